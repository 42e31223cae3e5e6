package old

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Where each fetch ends the value before, a fetch whose outcome is not known may yet reach WeChat, and end a value that
// was fetched after it. So a lease is taken before each fetch, which a process that is killed leaves behind, and it is
// released once the outcome is known. While another process holds it, the next value comes from Alone, which such a
// fetch cannot end.

const (
	// landMax is how long after its start a fetch may reach WeChat, whatever became of its caller. It is shorter than
	// the life that announce leaves to the value that such a fetch ends.
	landMax = 2 * time.Minute

	// settleTime is how long other processes may take to hear of a change in the store while they are read.
	settleTime = 3 * time.Second
)

// errUnanswered is the failure to fetch because the current value may not be the latest that WeChat made: to fetch would
// end it at once, while other processes serve it.
var errUnanswered = errors.New("an earlier fetch has not been answered")

// noteCall records that a fetch begins.
func (l *load) noteCall(ctx context.Context) error {
	if l.stored != nil && (l.stored.Brief || l.stored.Value != "" && l.current != nil && l.stored.Value != l.current.Value) {
		return errUnanswered
	}
	call, ok, err := l.take(ctx, "/unanswered", landMax)
	if err != nil {
		return err
	}
	if !ok {
		return errUnanswered
	}
	l.call, l.unanswered = call, time.Now().Add(landMax)
	return nil
}

// renoteCall records again that a fetch from here was not answered, in a store that lost it. The value that such a fetch
// ends may by then have been written back, and be served for longer than announce left to it.
func (l *load) renoteCall(ctx context.Context) error {
	left := time.Until(l.unanswered)
	if left <= 0 {
		return nil
	}
	_, _, err := l.take(ctx, "/unanswered", left+3*clocksApart)
	return err
}

// clearCall records that the outcome of the fetch is known.
func (l *load) clearCall(ctx context.Context) error {
	l.unanswered = time.Time{}
	return release(ctx, l.call)
}

// release gives back a lease, should ctx be done, too.
func release(ctx context.Context, lease *store.Lease) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeMax)
	defer cancel()
	return lease.Release(ctx)
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
