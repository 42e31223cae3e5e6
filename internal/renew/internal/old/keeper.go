package old

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

const (
	leaseLife  = 10 * time.Second
	fetchMax   = 8 * time.Second        // from asking for the lease; it lasts longer, so that two processes never fetch at once
	storeMax   = 2 * time.Second        // for one look at the store
	watchFirst = 10 * time.Millisecond  // between looks while another process fetches …
	watchMost  = 200 * time.Millisecond // … growing to this
	keepLife   = time.Duration(-1)      // has the store leave a record the life it has
)

// ErrStillRefused is the failure to renew because WeChat goes on answering the very value that was refused.
var ErrStillRefused = renew.ErrStillRefused

// Keeper keeps one credential of a cluster. Each process has its own Keeper over the same Store and Key, and reads it
// through the Copy that stands before it.
type Keeper struct {
	Store store.Store
	Key   string
	Fetch func(ctx context.Context) (wechat.Credential, error) // asks WeChat for the credential

	Force      func(ctx context.Context) (wechat.Credential, error) // asks for another one than the current; nil where WeChat cannot
	Alone      func(ctx context.Context) (wechat.Credential, error) // Fetch that harms no other process, for a store that is down; default Fetch, unless that supersedes
	Ahead      bool                                                 // WeChat hands out the next value before this one ends
	Supersedes bool                                                 // each Fetch makes a new value and ends the one before
	Report     func(context.Context, error)                         // as Copy.Report
	Jitter     func() float64                                       // in [0, 1), so that processes do not act in step; default random

	backoff backoff   // of WeChat; touched by loads alone, which run one at a time
	denied  backoff   // of renewals of the value that was refused
	seen    time.Time // when the store held a record last, or this process did without
	written generation

	unanswered time.Time // until when a fetch from here may reach WeChat that was not answered
}

// Copy makes the copy of the credential that this process reads. It starts nothing.
func (k *Keeper) Copy() *Copy { return &Copy{Load: k.load, Report: k.Report} }

// load is what one look at the credential knows and does.
type load struct {
	*Keeper
	refused string
	stored  *record   // as the store has it; nil when it has none
	current *Kept     // the best that is known; nil when nothing is
	leased  time.Time // when the lease was asked for
	holds   bool      // the lease, and keeps it
	trouble error     // what went wrong and changed nothing

	base, announced *record      // what announce found to be current, and wrote
	call            *store.Lease // held while a fetch is not answered: see unanswered
}

func (k *Keeper) load(ctx context.Context, held *Kept, refused string) (*Kept, error) {
	k.forget(ctx)
	l := &load{Keeper: k, refused: refused, current: held}
	err := l.run(ctx)
	served := l.good() || l.stands(ctx)
	if !served && err == nil { // it ended between two looks
		err = l.run(ctx)
		served = l.good() || l.stands(ctx)
	}
	if !served {
		if l.current = nil; err == nil {
			err = ErrStillRefused
		}
	}
	return l.current, joinErrors(err, l.trouble)
}

// joinErrors returns two errors on one line.
func joinErrors(a, b error) error {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return fmt.Errorf("%w; %w", a, b)
}

func (l *load) run(ctx context.Context) error {
	if err := l.look(ctx); err != nil {
		return l.alone(ctx, err)
	}
	err := l.renoteCall(ctx)
	if err == nil {
		err = l.restore(ctx)
	}
	if err != nil {
		return l.alone(ctx, err)
	}
	if l.fresh() || l.pending() {
		return nil
	}
	if err := l.remembered(); err != nil {
		return err
	}
	if wait := l.settling(); wait > 0 {
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("wait for other processes to hear of the last value: %w", err)
		}
	}
	return l.renew(ctx)
}

// good tells whether the current value is served without waiting for another.
func (l *load) good() bool {
	now := time.Now()
	return l.current.usable(now, l.refused) && before(now, l.current.Late)
}

// fresh tells whether there is nothing to renew.
func (l *load) fresh() bool { return l.good() && before(time.Now(), l.current.Due) }

// remembered is the failure that keeps this load from asking WeChat, or nil.
func (l *load) remembered() error {
	now := time.Now()
	if err := l.backoff.remembered(now); err != nil {
		return err
	}
	if l.refused != "" && l.refused == l.denied.refused {
		return l.denied.remembered(now)
	}
	return nil
}

// renew asks WeChat, unless another process does or has done so.
func (l *load) renew(ctx context.Context) error {
	lease, err := l.lease(ctx)
	if err != nil {
		return l.alone(ctx, err)
	}
	if lease == nil {
		return nil
	}
	flushed := false
	defer func() {
		if !flushed {
			l.trouble = joinErrors(l.trouble, release(ctx, lease))
		}
	}()
	if err := l.look(ctx); err != nil {
		return l.alone(ctx, err)
	}
	if flushed = l.Supersedes && l.stored == nil && l.good(); flushed {
		l.holds = true
		return l.restore(ctx)
	}
	if l.fresh() || l.pending() {
		return nil
	}
	return l.fetch(ctx)
}

// lease takes the lease, or returns nil once a good value stands in the store. While there is one already, nobody
// waits for the process that renews it.
func (l *load) lease(ctx context.Context) (*store.Lease, error) {
	for wait := watchFirst; ; wait = min(2*wait, watchMost) {
		l.leased = time.Now()
		lease, ok, err := l.take(ctx, "/lease", leaseLife)
		if err != nil || ok {
			return lease, err
		}
		if l.good() {
			return nil, nil
		}
		if err := l.sleep(ctx, wait); err != nil {
			return nil, fmt.Errorf("wait for the process that asks WeChat: %w", err)
		}
		if err := l.look(ctx); err != nil {
			return nil, err
		}
		if l.good() {
			return nil, nil
		}
	}
}

// take takes one of the leases of the credential.
func (k *Keeper) take(ctx context.Context, name string, life time.Duration) (*store.Lease, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	return store.Take(ctx, k.Store, k.Key+name, life)
}

// fetch asks WeChat for the next value, under the lease.
func (l *load) fetch(ctx context.Context) error {
	leased, cancel := context.WithDeadline(ctx, l.leased.Add(fetchMax)) // a slow store has used some of it
	defer cancel()
	if l.Supersedes {
		switch err := l.prepare(leased); {
		case errors.Is(err, errChanged):
			return nil
		case errors.Is(err, errUnanswered):
			if err := l.alone(leased, nil); err != nil {
				return err
			}
			return l.publish(ctx, l.current)
		case errors.Is(err, ErrRationed), leased.Err() != nil: // another process may ask by now
			return err
		case err != nil:
			return l.alone(ctx, err)
		}
	}
	next, err := l.ask(leased)
	if l.Supersedes && isOutcome(err) {
		l.trouble = joinErrors(l.trouble, l.clearCall(ctx))
	}
	if err != nil {
		return joinErrors(err, l.withdraw(ctx, err))
	}
	early := l.Ahead && l.current != nil && next.Value == l.current.Value
	err = l.publish(ctx, next)
	if soon := time.Now().Add(next.record.overlap() / 10); early && l.current != nil && l.current.Due.Before(soon) {
		l.current.Due = soon
	}
	return err
}

// ask gets a value other than the refused one from WeChat, or notes why not.
func (l *load) ask(ctx context.Context) (*Kept, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("ask WeChat: no time is left: %w", context.Cause(ctx))
	}
	start := time.Now()
	c, err := l.Fetch(ctx)
	if err != nil {
		l.backoff.fail(err, time.Now(), l.shorten)
		return nil, err
	}
	l.backoff = backoff{}
	if l.refused != "" && c.Value == l.refused {
		if start, c, err = l.insist(ctx, newRecord(c, start, l.nextGen(start))); err != nil {
			l.denied.refused = l.refused
			l.denied.fail(err, time.Now(), l.shorten)
			return nil, err
		}
	}
	l.denied = backoff{}
	gen := l.nextGen(start)
	if l.announced != nil {
		gen = l.announced.Gen + 1
	}
	return newRecord(c, start, gen).kept(start, true, l.Keeper), nil
}

// insist forces a new value, within the ration, where WeChat answers the refused one as current.
func (l *load) insist(ctx context.Context, current *record) (start time.Time, c wechat.Credential, err error) {
	if l.Force == nil {
		return start, c, ErrStillRefused
	}
	if err := l.ration(ctx, forcings); err != nil {
		return start, c, err
	}
	if err := l.announce(ctx, current); err != nil {
		return start, c, err
	}
	start = time.Now()
	c, err = l.Force(ctx)
	if err == nil && c.Value == l.refused {
		err = ErrStillRefused
	}
	return start, c, err
}

// alone keeps this process going while the store is down, because of cause.
func (l *load) alone(ctx context.Context, cause error) error {
	if l.fresh() {
		return cause
	}
	if ctx.Err() != nil {
		return joinErrors(cause, context.Cause(ctx))
	}
	if err := l.remembered(); err != nil {
		return joinErrors(err, cause)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchMax)
	defer cancel()
	fetch := l.Alone
	if fetch == nil {
		fetch = l.Fetch
	}
	start := time.Now()
	c, err := fetch(ctx)
	if err != nil {
		l.backoff.fail(err, time.Now(), l.shorten)
		return joinErrors(err, cause)
	}
	l.backoff = backoff{}
	if l.refused != "" && c.Value == l.refused {
		l.denied.refused = l.refused
		l.denied.fail(ErrStillRefused, time.Now(), l.shorten)
		return joinErrors(ErrStillRefused, cause)
	}
	l.current, l.seen = newRecord(c, start, l.nextGen(start)).kept(start, true, l.Keeper), start
	l.current.alone = true
	return cause
}

// sleep waits for about d.
func (k *Keeper) sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, k.shorten(d)) }

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
