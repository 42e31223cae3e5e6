package outbox

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/wetoken/wetoken/store"
)

const (
	leaseTTL      = 6 * time.Second // the items of a process that died are delivered by another one after that
	leaseInterval = 2 * time.Second // between extensions of a lease
	storeTimeout  = 5 * time.Second // of one call of the store
)

// outcome is the outcome of the delivery of one key.
type outcome int

const (
	delivered   outcome = iota
	removed             // it was not in the store, gave up or was dropped
	leased              // another process delivers it
	failed              // Send failed
	storeFailed         // the store failed
	newer               // the record is of a later release
	held                // it must not be sent, and is kept
	waiting             // its app has enough deliveries
)

// result is what a delivery reports to the dispatcher.
type result struct {
	key     string
	started time.Time
	outcome outcome
	target  string // the host, for reports
	probe   bool   // the target was failing before
	err     error

	admitted bool // it counts as a delivery of its app
}

// deliver tries to deliver the item under key once, or gives it up. lastError is the last failure of its target in this
// process. When it is nil the item is tried however old it is, as this process may not have run for a long time. admit, if not nil, reports
// whether an item of an app may be sent now.
func (o *Outbox) deliver(ctx context.Context, key string, lastError error, admit func(key, app string) bool) result {
	r := result{key: key, started: time.Now()}
	lease, ok, err := o.takeLease(ctx, key)
	switch {
	case err != nil:
		return r.withOutcome(storeFailed, err)
	case !ok:
		return r.withOutcome(leased, nil)
	}
	defer o.releaseLease(ctx, lease)
	item, ok, err := o.readItem(ctx, key)
	switch {
	case errors.Is(err, ErrRefused):
		return o.dropItem(ctx, r, item, err)
	case errors.Is(err, errNewer):
		return r.withOutcome(newer, err)
	case err != nil:
		return r.withOutcome(storeFailed, err)
	case !ok:
		return r.withOutcome(removed, nil)
	}
	r.target = host(item.Target)
	err = o.checkItem(key, &item)
	expired := !o.Forever && lastError != nil && time.Since(item.Added) > o.age()
	if err == nil && !expired {
		if admit != nil && !admit(key, item.App) {
			return r.withOutcome(waiting, nil)
		}
		r.admitted = admit != nil
		err = o.sendUnderLease(ctx, lease, item)
	}
	switch {
	case errors.Is(err, ErrRefused):
		return o.dropItem(ctx, r, item, err)
	case err != nil && !expired:
		return r.withOutcome(failed, err)
	}
	if item.Mark {
		if err := o.writeMark(ctx, key); err != nil {
			return r.withOutcome(storeFailed, err)
		}
	}
	if err := o.removeItem(ctx, key); err != nil {
		return r.withOutcome(storeFailed, err)
	}
	if expired {
		o.report(ctx, fmt.Errorf("outbox: gave up an item for %s after %s: %w", r.target, time.Since(item.Added).Round(time.Second), lastError))
		return r.withOutcome(removed, nil)
	}
	return r.withOutcome(delivered, nil)
}

// dropItem removes and reports an item that must not be sent, or has it held.
func (o *Outbox) dropItem(ctx context.Context, r result, item Item, reason error) result {
	if o.Forever {
		return r.withOutcome(held, fmt.Errorf("outbox: an item of app %.64q for %q is held: %w", item.App, host(item.Target), reason))
	}
	if err := o.removeItem(ctx, r.key); err != nil {
		return r.withOutcome(storeFailed, err)
	}
	o.report(ctx, fmt.Errorf("outbox: dropped an item of app %.64q for %q: %w", item.App, host(item.Target), reason))
	return r.withOutcome(removed, nil)
}

// sendUnderLease calls Send, extends the lease meanwhile, and cancels Send when the lease is lost.
func (o *Outbox) sendUnderLease(ctx context.Context, lease *store.Lease, item Item) (err error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel() // another process may deliver it now
		extendLease(ctx, lease)
	}()
	defer func() {
		cancel()
		<-done
		if v := recover(); v != nil {
			err = fmt.Errorf("outbox: Send panicked: %v\n%s", v, debug.Stack())
		}
	}()
	return o.Send(ctx, item)
}

// extendLease extends the lease until ctx ends or the lease is lost.
func extendLease(ctx context.Context, lease *store.Lease) {
	ticker := time.NewTicker(leaseInterval)
	defer ticker.Stop()
	extended := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		short, cancel := context.WithTimeout(ctx, leaseInterval)
		held, err := lease.Extend(short, leaseTTL)
		cancel()
		switch {
		case err == nil && held:
			extended = now
		case err == nil || time.Since(extended) > leaseTTL-leaseInterval:
			return
		}
	}
}

func (o *Outbox) takeLease(ctx context.Context, key string) (*store.Lease, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	lease, ok, err := store.TryLease(ctx, o.Store, o.leaseKey(key), leaseTTL)
	if err != nil {
		return nil, false, fmt.Errorf("outbox: %w", err)
	}
	return lease, ok, nil
}

// releaseLease releases the lease. If that fails the item waits until the lease expires.
func (o *Outbox) releaseLease(ctx context.Context, lease *store.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	_ = lease.Release(ctx)
}

func (o *Outbox) removeItem(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := o.Store.Delete(ctx, key); err != nil {
		return fmt.Errorf("outbox: remove item: %w", err)
	}
	return nil
}

func (r result) withOutcome(o outcome, err error) result {
	r.outcome, r.err = o, err
	return r
}

// maxHost is the length of the longest host name with a port.
const maxHost = 253 + len(":65535")

// host returns the host of a target, for reports: the rest of an address may hold secrets.
func host(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || len(u.Host) > maxHost {
		return "a target without a host"
	}
	return u.Host
}
