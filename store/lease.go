package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// Lease is the right to do something alone for a while, held through a Store under one key. Take makes one. It may be
// extended and released from any goroutine.
//
// A lease is a promise among the living: a holder that stalls for longer than its ttl no longer holds it and cannot
// know. What is done under a lease must therefore be harmless when done twice, or end in a [Store] Swap.
type Lease struct {
	store Store
	key   string
	mark  []byte // tells this lease from every other one on the key
}

// Take takes the lease on key for ttl, which must be above 0. ok is false when somebody else holds it: ask again
// later. Take never waits.
//
// After an error nobody knows whether the lease was taken, so the caller must not act as if it were; if it was, it
// lapses by itself after ttl.
func Take(ctx context.Context, s Store, key string, ttl time.Duration) (l *Lease, ok bool, err error) {
	if ttl <= 0 {
		return nil, false, errors.New("store: take lease: ttl must be above 0, or a dead holder would never be replaced")
	}
	l = &Lease{store: s, key: key, mark: []byte(rand.Text())}
	ok, err = s.Swap(ctx, key, nil, l.mark, ttl)
	if err != nil {
		return nil, false, fmt.Errorf("store: take lease: %w", err)
	}
	if !ok {
		return nil, false, nil
	}
	return l, true, nil
}

// Extend makes the lease last ttl, above 0, from now on. still is false when it has lapsed or was released: whoever
// holds it now keeps it, and the caller must stop.
func (l *Lease) Extend(ctx context.Context, ttl time.Duration) (still bool, err error) {
	if ttl <= 0 {
		return false, errors.New("store: extend lease: ttl must be above 0")
	}
	still, err = l.store.Swap(ctx, l.key, l.mark, l.mark, ttl)
	if err != nil {
		return false, fmt.Errorf("store: extend lease: %w", err)
	}
	return still, nil
}

// Release gives the lease back. One that has lapsed is no error, and if somebody else holds it now they keep it.
// Release with a ctx that outlives the work, such as context.WithoutCancel, or the next holder waits for the ttl.
func (l *Lease) Release(ctx context.Context) error {
	if _, err := l.store.Swap(ctx, l.key, l.mark, nil, 0); err != nil {
		return fmt.Errorf("store: release lease: %w", err)
	}
	return nil
}
