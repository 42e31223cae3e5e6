package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// Lease is an exclusive right for a limited time, held in a Store under one key. TryLease takes it. Its methods may be
// called from any goroutine.
//
// A holder that stalls for longer than the ttl loses the lease without noticing. Work under a lease must therefore be
// harmless when done twice, or end in a [Store] Swap.
type Lease struct {
	store Store
	key   string
	id    []byte // distinguishes this lease from all others on the key
}

// TryLease takes the lease on key for ttl, which must be above 0. ok is false if another holder has it: try again
// later. TryLease never waits.
//
// After an error it is unknown whether the lease was taken. The caller must act as if it were not. A lease that was
// taken expires after ttl.
func TryLease(ctx context.Context, s Store, key string, ttl time.Duration) (l *Lease, ok bool, err error) {
	if ttl <= 0 {
		return nil, false, errors.New("store: take lease: invalid ttl: want more than 0, since a dead holder would never be replaced")
	}
	l = &Lease{store: s, key: key, id: []byte(rand.Text())}
	ok, err = s.Swap(ctx, key, nil, l.id, ttl)
	if err != nil {
		return nil, false, fmt.Errorf("store: take lease: %w", err)
	}
	if !ok {
		return nil, false, nil
	}
	return l, true, nil
}

// Extend extends the lease to ttl, which must be above 0, from now on. still is false if the lease has expired or was
// released. The caller must then stop: another holder may have it.
func (l *Lease) Extend(ctx context.Context, ttl time.Duration) (still bool, err error) {
	if ttl <= 0 {
		return false, errors.New("store: extend lease: invalid ttl: want more than 0")
	}
	still, err = l.store.Swap(ctx, l.key, l.id, l.id, ttl)
	if err != nil {
		return false, fmt.Errorf("store: extend lease: %w", err)
	}
	return still, nil
}

// Release gives the lease back. It is no error if the lease has expired, or if another holder has it, who keeps it. Use
// a ctx that outlives the work, such as context.WithoutCancel; otherwise the next holder waits for the ttl.
func (l *Lease) Release(ctx context.Context) error {
	if _, err := l.store.Swap(ctx, l.key, l.id, nil, 0); err != nil {
		return fmt.Errorf("store: release lease: %w", err)
	}
	return nil
}
