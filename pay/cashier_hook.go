package pay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/once"
	"github.com/wetoken/wetoken/store"
)

const (
	recordTimeout = time.Hour      // for recording that a hook returned nil
	claimTTL      = 25 * time.Hour // longer than WeChat repeats a notification
)

// errRunning is returned while a hook runs in this or another process.
var errRunning = errors.New("pay: the hook is running")

// claimOf returns the claim on calling the hook for a record.
func (c *Cashier) claimOf(key string) *once.Work {
	return &once.Work{Store: c.claims(), Key: "pay/hand/" + strings.TrimPrefix(key, "pay/"), TTL: claimTTL}
}

func (c *Cashier) claims() store.Store {
	if c.Store != nil {
		return c.Store
	}
	return c.Records
}

// runExclusive runs work unless another process runs it. It returns errRunning when ctx ends first; work continues.
func (c *Cashier) runExclusive(ctx context.Context, key string, work func(context.Context) error) error {
	claim := c.claimOf(key)
	claimed, err := claim.Claim(ctx)
	if err != nil {
		return fmt.Errorf("pay: claim %s: %w", key, err)
	}
	if !claimed {
		return errRunning
	}
	done, returned := make(chan error), make(chan struct{})
	defer close(returned)
	go func() {
		ctx := context.WithoutCancel(ctx)
		stop := claim.KeepClaim(ctx)
		err := work(ctx)
		stop()
		if released := claim.Save(ctx, once.Record{}); released != nil {
			c.report(ctx, fmt.Errorf("pay: release %s: %w", key, released))
		}
		select {
		case done <- err:
		case <-returned:
			if err != nil {
				c.report(ctx, err)
			}
		}
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errRunning
	}
}

// runWithRetry calls runExclusive, and schedules a check by Run after an error. since is the time of the first attempt.
func (c *Cashier) runWithRetry(ctx context.Context, key string, work func(context.Context) (since time.Time, err error)) error {
	return c.runExclusive(ctx, key, func(ctx context.Context) error {
		since, err := work(ctx)
		if err != nil {
			now := time.Now()
			if since.IsZero() {
				since = now
			}
			c.schedule(ctx, key, retryAt(since, now, maxRetryDelay))
		}
		return err
	})
}

// schedule makes Run check a record at a time.
func (c *Cashier) schedule(ctx context.Context, key string, at time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := addDue(ctx, c.records(), key, c.App, at); err != nil {
		c.report(ctx, err)
	}
}

// callHook calls a hook of the application, and returns a panic as an error.
func callHook(ctx context.Context, name string, hook func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("pay: %s: panic: %v\n%s", name, v, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	if err := hook(ctx); err != nil {
		return hookError{name, err}
	}
	return nil
}

// hookError is an error of the application. It hides the wrapped error, so a Cause in it does not change the status 503.
type hookError struct {
	name string
	err  error
}

func (e hookError) Error() string { return "pay: " + e.name + ": " + e.err.Error() }

// recordDone records that the hook returned nil for the record r, which was read from raw. It retries while the store fails,
// because otherwise the hook would be called again. If the record was changed by others, same reports whether it needs mark too.
func recordDone[T any, P interface {
	*T
	record
}](ctx context.Context, c *Cashier, key string, raw []byte, r P, mark func(P), same func(P) bool) {
	mark(r)
	end := time.Now().Add(recordTimeout)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		swapped, _, err := swapRecord(ctx, c.records(), key, raw, r)
		if err == nil && !swapped {
			_, err = changeRecord(ctx, c.records(), key, func(now P) (P, error) {
				switch {
				case now == nil: // the store lost it
					return r, nil
				case !same(now):
					return nil, errUnchanged
				}
				mark(now)
				return now, nil
			})
		}
		if err == nil {
			return
		}
		if time.Now().After(end) {
			c.report(ctx, fmt.Errorf("pay: record that a hook returned nil, which is called again otherwise: %w", err))
			return
		}
		time.Sleep(wait)
	}
}

// hashNotification returns an id for the content of a notification. WeChat's own id differs between API versions.
func hashNotification(kind string, raw []byte) string {
	h := sha256.New()
	_, _ = io.WriteString(h, kind+"\n")
	_, _ = h.Write(raw)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
