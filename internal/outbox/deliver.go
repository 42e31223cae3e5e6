package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/wetoken/wetoken/store"
)

const (
	leaseLife = 6 * time.Second // for so long the items of a process that died wait
	leaseBeat = 2 * time.Second
	storeMax  = 5 * time.Second
)

// outcome is what became of a key.
type outcome int

const (
	delivered outcome = iota
	gone              // not there any more, given up or refused
	busy              // another process has it
	failed            // its target did not take it
	lost              // the store did not answer
	later             // its record is of a later release
)

// result is what a worker tells the desk.
type result struct {
	key     string
	started time.Time
	outcome outcome
	target  string // what may be told of it
	probe   bool   // its target was failing
	err     error
}

// deliver tries the item under key once, or gives it up. last is how its target failed this process before; nil if it did
// not: then an item is tried however old it is, as it may have been us who were away.
func (o *Outbox) deliver(ctx context.Context, key string, last error) result {
	r := result{key: key, started: time.Now()}
	lease, ok, err := o.take(ctx, key)
	switch {
	case err != nil:
		return r.as(lost, err)
	case !ok:
		return r.as(busy, nil)
	}
	defer o.release(ctx, lease)
	item, ok, err := o.read(ctx, key)
	switch {
	case errors.Is(err, ErrRefused):
		return o.refuse(ctx, r, item, err)
	case errors.Is(err, errLater):
		return r.as(later, err)
	case err != nil:
		return r.as(lost, err)
	case !ok:
		return r.as(gone, nil)
	}
	r.target = host(item.Target)
	err = o.check(key, &item)
	old := last != nil && time.Since(item.Added) > o.age()
	if err == nil && !old {
		err = o.send(ctx, lease, item)
	}
	switch {
	case errors.Is(err, ErrRefused):
		return o.refuse(ctx, r, item, err)
	case err != nil && !old:
		return r.as(failed, err)
	}
	if err := o.remove(ctx, key); err != nil {
		return r.as(lost, err)
	}
	if old {
		o.report(ctx, fmt.Errorf("outbox: an item for %s was given up after %s: %w", r.target, time.Since(item.Added).Round(time.Second), last))
		return r.as(gone, nil)
	}
	return r.as(delivered, nil)
}

// refuse removes an item that must not be sent. It is the one place that decides about those.
func (o *Outbox) refuse(ctx context.Context, r result, item Item, why error) result {
	if err := o.remove(ctx, r.key); err != nil {
		return r.as(lost, err)
	}
	o.report(ctx, fmt.Errorf("outbox: dropped an item of app %.64q for %q: %w", item.App, host(item.Target), why))
	return r.as(gone, nil)
}

// send runs Send while holding on to the lease, and no longer than that.
func (o *Outbox) send(ctx context.Context, lease *store.Lease, item Item) (err error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	done := make(chan struct{})
	go func() {
		defer close(done)
		beat := time.NewTicker(leaseBeat)
		defer beat.Stop()
		held := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
			}
			at := time.Now()
			once, stop := context.WithTimeout(ctx, leaseBeat)
			still, err := lease.Extend(once, leaseLife)
			stop()
			if err == nil && still {
				held = at
			} else if err == nil || time.Since(held) > leaseLife-leaseBeat {
				cancel() // somebody else may deliver it now
				return
			}
		}
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

func (o *Outbox) read(ctx context.Context, key string) (item Item, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	record, ok, err := o.Store.Get(ctx, key)
	if err != nil {
		return item, false, fmt.Errorf("outbox: read item: %w", err)
	}
	if !ok {
		return item, false, nil
	}
	if len(record) > maxRecord {
		return item, false, fmt.Errorf("%w: its record has %d bytes", ErrRefused, len(record))
	}
	if err := parseItem(record, &item); err != nil {
		return Item{}, false, fmt.Errorf("%w under %q", err, key)
	}
	return item, true, nil
}

var (
	errLater   = errors.New("a record of a later release") // which this process cannot read
	errForeign = fmt.Errorf("%w: it is no record of an outbox", ErrRefused)
)

// parseItem reads a record. Its error is errForeign or errLater.
func parseItem(record []byte, item *Item) error {
	wrong := json.Unmarshal(record, item)
	var head struct {
		Version int `json:"v"`
	}
	if wrong != nil && json.Unmarshal(record, &head) != nil {
		return errForeign
	}
	switch version := max(item.Version, head.Version); {
	case version > recordVersion:
		return errLater
	case wrong != nil || version < 0:
		return errForeign
	}
	return nil
}

func (o *Outbox) take(ctx context.Context, key string) (*store.Lease, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	lease, ok, err := store.Take(ctx, o.Store, o.leaseKey(key), leaseLife)
	if err != nil {
		return nil, false, fmt.Errorf("outbox: %w", err)
	}
	return lease, ok, nil
}

func (o *Outbox) remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeMax)
	defer cancel()
	if err := o.Store.Delete(ctx, key); err != nil {
		return fmt.Errorf("outbox: remove item: %w", err)
	}
	return nil
}

// release gives the lease back; one that cannot be lapses by itself.
func (o *Outbox) release(ctx context.Context, lease *store.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeMax)
	defer cancel()
	_ = lease.Release(ctx) // a lease that stays costs a wait and loses nothing
}

func (r result) as(o outcome, err error) result {
	r.outcome, r.err = o, err
	return r
}

// maxHost is how long the name of a host can be, with a port.
const maxHost = 253 + len(":65535")

// host returns the part of a target that may be told: the rest of an address may hold secrets.
func host(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || len(u.Host) > maxHost {
		return "a target without a host"
	}
	return u.Host
}
