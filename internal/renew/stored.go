package renew

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/store"
)

const (
	leaseTTL     = 10 * time.Second
	storeTimeout = 2 * time.Second   // of one read or write
	keepTTL      = time.Duration(-1) // keeps the life that a record has in the store
	maxClockSkew = time.Minute       // between machines that share a store
)

// readStore reads the store. The record there becomes the current one if it is of a later generation, or of the same one
// with less life left. Clocks differ, so that any record replaces a current one that has reached its end.
func (k *Keeper) readStore(ctx context.Context, s state) (state, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	raw, ok, err := k.Store.Get(ctx, k.Key)
	if err != nil {
		return s, fmt.Errorf("read store: %w", err)
	}
	if s.stored = nil; !ok {
		return s, nil
	}
	s.seen = time.Now()
	if s.last != nil && bytes.Equal(s.last.raw, raw) {
		s.stored = s.last
	} else if s.stored, err = parse(raw, s.seen); err != nil {
		s.warning = err // an invalid record is replaced
	} else {
		s.last = s.stored
	}
	s.memory = s.withRecord(s.stored, s.seen)
	switch {
	case s.current != nil && before(s.seen, s.current.WaitAfter) && !s.stored.newerThan(s.current.record):
	case s.stored.Value == "":
		s.current = nil
	default:
		s.current = k.hold(s.stored, time.Now(), false)
	}
	return s, nil
}

// stillInStore reports whether the current value, near its end by the clock of this process, is alive by that of the
// store, which still holds it.
func (k *Keeper) stillInStore(ctx context.Context, s state) (state, bool) {
	if !s.current.usable(time.Now(), s.refused) {
		return s, false
	}
	s, err := k.readStore(ctx, s)
	if err != nil {
		return s, false
	}
	return s, s.stored != nil && s.current != nil && s.stored.Value == s.current.Value && s.current.usable(time.Now(), s.refused)
}

// write replaces the record that was read by r.
func (k *Keeper) write(ctx context.Context, s state, r *record, ttl time.Duration) (_ state, swapped bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	next, err := r.encode()
	if err != nil {
		return s, false, fmt.Errorf("write store: %w", err)
	}
	var was []byte
	if s.stored != nil {
		was = s.stored.raw
	}
	swapped, err = k.Store.Swap(ctx, k.Key, was, next, ttl)
	if err != nil {
		return s, false, fmt.Errorf("write store: %w", err)
	}
	if swapped {
		stored := *r
		stored.raw = next
		s.stored, s.seen, s.last = &stored, time.Now(), &stored
		s.memory = s.withRecord(r, s.seen)
	}
	return s, swapped, nil
}

// takeLease takes one of the leases of the credential.
func (k *Keeper) takeLease(ctx context.Context, name string, ttl time.Duration) (*store.Lease, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return store.TryLease(ctx, k.Store, k.Key+name, ttl)
}

// release gives a lease back, even if ctx is done.
func release(ctx context.Context, lease *store.Lease) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return lease.Release(ctx)
}
