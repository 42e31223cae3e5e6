package old

import (
	"context"
	"time"
)

// Refresh renews the credential if it is due, and returns when it is due next. Unlike Get it waits for a renewal.
func (c *Copy) Refresh(ctx context.Context) (due time.Time, err error) {
	if h := c.held.Load(); h != nil && before(time.Now(), h.Due) {
		return h.Due, nil
	}
	f, _, err := c.start(ctx, "")
	if err != nil {
		return due, err
	}
	if err := f.land(ctx); err != nil {
		return due, err
	}
	if f.kept != nil {
		due = f.kept.Due
	}
	return due, f.err
}

// Retry loads the credential now, without regard to earlier failures, and returns why that failed. A credential that is
// not due is not fetched again.
func (c *Copy) Retry(ctx context.Context) error {
	ctx = context.WithValue(ctx, retryKey{}, true)
	for {
		f, ours := c.startRetry(ctx)
		if err := f.land(ctx); err != nil {
			return err
		}
		if ours {
			return f.err
		}
	}
}

// startRetry begins a flight that forgets, or joins one that is under way, which may have begun too early for that.
func (c *Copy) startRetry(ctx context.Context) (f *flight, ours bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != nil {
		return c.flight, false
	}
	f = &flight{done: make(chan struct{})}
	c.flight, c.failed = f, failure{}
	go c.fly(context.WithoutCancel(ctx), f, c.held.Load())
	return f, true
}

// retryKey marks the context of a load that Retry began.
type retryKey struct{}

// forget drops the memory of earlier failures if ctx is that of a Retry. Loads call it, which run one at a time.
func (k *Keeper) forget(ctx context.Context) {
	if ctx.Value(retryKey{}) != nil {
		k.backoff, k.denied = backoff{}, backoff{}
	}
}
