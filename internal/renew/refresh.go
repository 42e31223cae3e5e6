package renew

import (
	"context"
	"time"
)

// unheldKey marks the context of a Refresh after which the Copy is dropped.
type unheldKey struct{}

// Unheld returns the context of a Refresh after which the Copy is dropped. The next one will not know that this process fetched the
// credential, and so is due later.
func Unheld(ctx context.Context) context.Context { return context.WithValue(ctx, unheldKey{}, true) }

// Refresh renews the credential if it is due, and returns when to call it again. Unlike Get it waits for a renewal.
func (c *Copy) Refresh(ctx context.Context) (due time.Time, err error) {
	if h := c.held.Load(); h != nil && before(time.Now(), h.RenewAfter) {
		return h.refreshAt(ctx), nil
	}
	f, _, err := c.start(ctx, "")
	if err != nil {
		return due, err
	}
	if err := f.wait(ctx); err != nil {
		return due, err
	}
	if f.kept != nil {
		due = f.kept.refreshAt(ctx)
	}
	return due, f.err
}

func (k *Kept) refreshAt(ctx context.Context) time.Time {
	at := k.RenewAfter
	if k.RefreshAt.After(at) {
		at = k.RefreshAt
	}
	if ctx.Value(unheldKey{}) != nil {
		at = at.Add(k.ahead)
	}
	return at
}

// Retry loads the credential now, without regard to earlier failures, and returns the error of that. A credential that is
// not due is not fetched again.
func (c *Copy) Retry(ctx context.Context) error {
	ctx = context.WithValue(ctx, retryKey{}, true)
	for {
		f, started := c.startRetry(ctx)
		if err := f.wait(ctx); err != nil {
			return err
		}
		if started { // a flight that was in progress may have begun with the earlier failures
			return f.err
		}
	}
}
