package renew

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

const (
	// landMax is how long after its start a fetch may reach WeChat, whatever became of its caller. It is shorter than
	// the time for which a value fetched meanwhile is trusted, so that the one after it is trusted in full.
	landMax = 3 * time.Minute

	// settleTime is how long other processes may take to hear of a change in the store while they are read.
	settleTime = 3 * time.Second
)

// unanswered is the record of the fetches whose outcome is not known, where each fetch ends the value before. Such a
// fetch may yet reach WeChat and end a value that was fetched after it. The record is written before the fetch, so that
// a process killed in the middle leaves it behind, and is taken back once WeChat has answered. Instants are milliseconds
// of Unix time.
type unanswered struct {
	ID     string `json:"id"`               // of the last of them
	Until  int64  `json:"until"`            // it may reach WeChat until then
	Before int64  `json:"before,omitempty"` // the ones before it may reach WeChat until then; 0 when there are none

	raw []byte // as it is in the store, for Swap
}

func (k *Keeper) callKey() string { return k.Key + "/unanswered" }

// noteCall records that a fetch begins.
func (l *load) noteCall(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	raw, ok, err := l.Store.Get(ctx, l.callKey())
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	now := time.Now()
	call := &unanswered{ID: rand.Text(), Until: now.Add(landMax).UnixMilli()}
	if !ok {
		raw = nil
	} else {
		var several bool
		call.Before, several = lastLanding(raw, now)
		if l.Alone != nil && (several || l.stored != nil && l.stored.Value != "") {
			return errUnanswered
		}
	}
	if call.raw, err = json.Marshal(call); err != nil {
		return fmt.Errorf("write store: %w", err)
	}
	swapped, err := l.Store.Swap(ctx, l.callKey(), raw, call.raw, landMax)
	if err != nil {
		return fmt.Errorf("write store: %w", err)
	}
	if !swapped { // another process took the lease
		return errChanged
	}
	l.call = call
	return nil
}

// errUnanswered is the failure to fetch because fetches before it may yet reach WeChat: with them, it would end at once a
// value that is still in use.
var errUnanswered = errors.New("earlier fetches have not been answered yet")

// lastLanding returns until when the fetches of a stored record may reach WeChat, and whether there are several. The
// store keeps the record no longer than that, so that a record that is there says so even where clocks differ.
func lastLanding(raw []byte, now time.Time) (last int64, several bool) {
	var old unanswered
	until := now.Add(landMax)
	if len(raw) <= maxRecord && json.Unmarshal(raw, &old) == nil {
		if t := time.UnixMilli(max(old.Until, old.Before)); t.Before(until) {
			until = t
		}
	}
	if least := now.Add(time.Second); until.Before(least) {
		until = least
	}
	return until.UnixMilli(), old.Before > now.Add(-clocksApart).UnixMilli()
}

// clearCall records that the outcome of the fetch is known. Fetches before it remain.
func (l *load) clearCall(ctx context.Context) error {
	if l.call == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	var rest []byte
	left := time.Until(time.UnixMilli(l.call.Before))
	if left > 0 {
		var err error
		if rest, err = json.Marshal(unanswered{ID: l.call.ID, Until: l.call.Before}); err != nil {
			return fmt.Errorf("write store: %w", err)
		}
	}
	if _, err := l.Store.Swap(ctx, l.callKey(), l.call.raw, rest, max(left, 0)); err != nil {
		return fmt.Errorf("write store: %w", err)
	}
	return nil
}

// isOutcome reports whether it is known after err, nil included, what a fetch did: WeChat answered, or was never
// reached.
func isOutcome(err error) bool {
	var refusal *wechat.Error
	var dial *net.OpError
	return err == nil || errors.As(err, &refusal) || errors.Is(err, ErrStillRefused) || errors.As(err, &dial) && dial.Op == "dial"
}

// generation is a generation of the stored record, and since when this process knows of it.
type generation struct {
	gen   int64
	since time.Time
}

func (k *Keeper) noteGeneration(gen int64) {
	if gen != k.written.gen {
		k.written = generation{gen, time.Now()}
	}
}

// settling returns how long a fetch that ends the last value but one has to wait until no other process serves that.
// A record that is old by any clock needs no wait, even when it is first seen here.
func (l *load) settling() time.Duration {
	now := time.Now()
	if !l.Supersedes || l.stored == nil || l.stored.Gen != l.written.gen {
		return 0
	}
	if now.Sub(time.UnixMilli(l.stored.Gen)) > settleTime+clocksApart {
		return 0
	}
	return l.written.since.Add(settleTime).Sub(now)
}
