package renew

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

const (
	pollFirst = 10 * time.Millisecond  // between reads of the store while another process fetches …
	pollMost  = 200 * time.Millisecond // … doubling to this
)

// ErrStillRefused is the failure to renew a value because WeChat answers the refused value again.
var ErrStillRefused = errors.New("WeChat still answers the refused value as the current one")

// Keeper keeps one credential of a cluster. Each process has its own Keeper over the same Store and Key, and reads the
// credential through the Keeper's Copy.
type Keeper struct {
	Store store.Store
	Key   string

	// Fetch asks WeChat for the credential.
	Fetch func(ctx context.Context) (wechat.Credential, error)

	// Force asks WeChat for another credential than the current one; nil where WeChat has no such call.
	Force func(ctx context.Context) (wechat.Credential, error)

	// Alone is the Fetch of a process that cannot reach the store. It ends no value of other processes. Default Fetch,
	// which does so where Supersedes is set.
	Alone func(ctx context.Context) (wechat.Credential, error)

	Overlaps   bool // WeChat issues the next value before this one ends
	Supersedes bool // each Fetch makes a new value, and ends the one before

	// Early spreads renewals over a third of the life, from its half to its last sixth: the last 60 to 20 minutes of 2 hours. It is for
	// the tokens of many apps that one platform renews. Default: within the time in which WeChat accepts two values.
	Early bool

	OnError func(context.Context, error) // as Copy.OnError
	Jitter  func() float64               // returns numbers in [0, 1), so that processes do not act in step; default random
}

// Copy returns the copy of the credential that this process reads. It starts nothing.
func (k *Keeper) Copy() *Copy {
	var m memory // loads run one at a time
	load := func(ctx context.Context, held *Kept, refused string) (kept *Kept, err error) {
		kept, m, err = k.load(ctx, m, held, refused)
		return kept, err
	}
	return &Copy{Load: load, OnError: k.OnError}
}

// load returns the credential to hold from now on, and the memory for the next load.
func (k *Keeper) load(ctx context.Context, m memory, held *Kept, refused string) (*Kept, memory, error) {
	if isRetry(ctx) {
		m.backoff, m.denied = backoff{}, backoff{}
	}
	s := state{mode: mode{overlaps: k.Overlaps, supersedes: k.Supersedes, forces: k.Force != nil}, memory: m, refused: refused, current: held}
	s, served, err := k.attempt(ctx, s)
	if !served && err == nil { // the value ended between two reads of the store
		s, served, err = k.attempt(ctx, s)
	}
	if !served {
		s.current = nil
		if err == nil {
			err = ErrStillRefused
		}
	}
	return s.current, s.memory, joinErrors(err, s.warning)
}

// attempt takes the steps of one load, and reports whether the current value may be served after them.
func (k *Keeper) attempt(ctx context.Context, s state) (_ state, served bool, err error) {
	s, err = k.readAndRenew(ctx, s)
	if s.isGood(time.Now()) {
		return s, true, err
	}
	s, served = k.stillInStore(ctx, s)
	return s, served, err
}

// readAndRenew reads the store, and renews the value if that is due.
func (k *Keeper) readAndRenew(ctx context.Context, s state) (state, error) {
	s, err := k.readStore(ctx, s)
	if err == nil {
		s, err = k.renoteCall(ctx, s)
	}
	if err != nil {
		return k.fetchWithoutStore(ctx, s, err)
	}
	next := s.decide(storeRead, time.Now())
	if next.action == dropCurrent || next.action == writeBack {
		if s, err = k.restore(ctx, s, next.action); err != nil {
			return k.fetchWithoutStore(ctx, s, err)
		}
		next = s.decide(storeSynced, time.Now())
	}
	switch next.action {
	case serveCurrent, returnError:
		return s, next.err
	case waitFirst:
		if err := sleep(ctx, next.wait); err != nil {
			return s, fmt.Errorf("wait for other processes to hear of the last value: %w", err)
		}
	}
	return k.renewUnderLease(ctx, s)
}

// renewUnderLease renews the value, unless another process does so or has done so.
func (k *Keeper) renewUnderLease(ctx context.Context, s state) (state, error) {
	s, lease, err := k.waitForLease(ctx, s)
	if err != nil {
		return k.fetchWithoutStore(ctx, s, err)
	}
	if lease == nil {
		return s, nil
	}
	if s, err = k.readStore(ctx, s); err != nil {
		s, err = k.fetchWithoutStore(ctx, s, err)
	} else {
		switch next := s.decide(leaseHeld, time.Now()); next.action {
		case serveCurrent:
		case dropCurrent, writeBack:
			s.keepsLease = true
			return k.restore(ctx, s, next.action)
		default:
			s, err = k.fetch(ctx, s, next.action)
		}
	}
	s.warning = joinErrors(s.warning, release(ctx, lease))
	return s, err
}

// waitForLease takes the lease, or returns nil once the store holds a good value.
func (k *Keeper) waitForLease(ctx context.Context, s state) (state, *store.Lease, error) {
	for wait := pollFirst; ; wait = min(2*wait, pollMost) {
		s.leased = time.Now()
		lease, ok, err := k.takeLease(ctx, "/lease", leaseTTL)
		if err != nil || ok {
			return s, lease, err
		}
		if s.decide(leaseBusy, time.Now()).action == serveCurrent {
			return s, nil, nil
		}
		if err := k.sleep(ctx, wait); err != nil {
			return s, nil, fmt.Errorf("wait for the process that asks WeChat: %w", err)
		}
		if s, err = k.readStore(ctx, s); err != nil {
			return s, nil, err
		}
		if s.decide(leaseBusy, time.Now()).action == serveCurrent {
			return s, nil, nil
		}
	}
}
