package renew

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// backoff holds the error of the last fetch, and the time before which WeChat is not called again.
type backoff struct {
	err     error
	refused string // the value whose renewal failed; "" for any
	wait    time.Duration
	until   time.Time
}

// next returns the backoff after another failed fetch. A failure that lasts until a person acts is followed by a wait of a
// minute, doubling to ten; any other by two seconds, doubling to twenty.
func (b backoff) next(err error, now time.Time, shorten func(time.Duration) time.Duration) backoff {
	first, most := 2*time.Second, 20*time.Second
	if isLasting(err) {
		first, most = time.Minute, 10*time.Minute
	}
	b.err = err
	b.wait = min(max(2*b.wait, first), most)
	b.until = now.Add(shorten(b.wait))
	return b
}

// cachedError returns the error that is returned in place of a call to WeChat, or nil.
func (b backoff) cachedError(now time.Time) error {
	if b.err == nil || !now.Before(b.until) {
		return nil
	}
	return &cachedError{b.err, b.until.Sub(now).Round(time.Second)}
}

// cachedError repeats an earlier error.
type cachedError struct {
	err  error
	next time.Duration
}

func (e *cachedError) Error() string { return fmt.Sprintf("%v; next try in %s", e.err, e.next) }
func (e *cachedError) Unwrap() error { return e.err }

func isCached(err error) bool {
	var e *cachedError
	return errors.As(err, &e)
}

// Transient marks an error of Fetch as one that passes without a person's help, whatever code it wraps.
func Transient(err error) error { return &transientError{err} }

type transientError struct{ error }

func (e *transientError) Unwrap() error { return e.error }

// errConcurrency is WeChat's refusal of too many calls at once.
const errConcurrency wechat.Code = 45033

// isLasting reports whether err is a refusal that lasts until a person acts: a wrong secret, an IP address that is not
// whitelisted, a quota used up.
func isLasting(err error) bool {
	var refusal *wechat.Error
	var transient *transientError
	if errors.As(err, &transient) || !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Code {
	case wechat.ErrBusy, wechat.ErrMinuteQuota, errConcurrency:
		return false
	}
	return true
}

// joinErrors returns two errors on one line.
func joinErrors(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return fmt.Errorf("%w; %w", a, b)
}

// sleep waits for about d.
func (k *Keeper) sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, k.shorten(d)) }

// sleep waits for d, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// jitter returns the next number in [0, 1).
func (k *Keeper) jitter() float64 {
	if k.Jitter != nil {
		return k.Jitter()
	}
	return rand.Float64()
}

// shorten returns between three quarters and all of d.
func (k *Keeper) shorten(d time.Duration) time.Duration {
	return d - time.Duration(k.jitter()*float64(d)/4)
}
