// Package once makes one of the processes that share a store do a piece of work, and records its outcome for the others.
package once

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/wetoken/wetoken/store"
)

const (
	claimTTL      = 3 * time.Second // another process may claim the work of one that died after that
	claimInterval = time.Second     // between extensions of a claim
	storeTimeout  = time.Second     // of one call of the store
	maxSaves      = 4               // tries to record an outcome while others claim the work
)

// Work is one request for a piece of work. The record under Key is the state of the work.
type Work struct {
	Store store.Store
	Key   string
	TTL   time.Duration // of a recorded outcome; the work may be done again after that

	claim Record // of this request
}

// Claim records that this process does the work, and returns false if there is a record already. After an error the
// claim may be recorded or not. The caller decides whether to do the work without a claim: KeepClaim and Save record it
// as soon as the store works.
func (w *Work) Claim(ctx context.Context) (claimed bool, err error) {
	w.claim = Record{State: Running, Text: rand.Text()}
	return w.swap(ctx, Record{}, w.claim, claimTTL)
}

// KeepClaim extends the claim until stop is called, and records it again if the store has lost it.
func (w *Work) KeepClaim(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(claimInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				kept, err := w.swap(ctx, w.claim, w.claim, claimTTL)
				if err == nil && !kept {
					_, _ = w.swap(ctx, Record{}, w.claim, claimTTL) // the next tick tries again
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// Save replaces the claim by the outcome: Waiting or Done, or Absent so that the work can be claimed again. It does
// nothing if another process has claimed the work since.
func (w *Work) Save(ctx context.Context, outcome Record) error {
	saved, err := w.swap(ctx, w.claim, outcome, w.TTL)
	if err == nil && !saved && outcome.State != Absent { // the store does not have the claim
		_, err = w.swap(ctx, Record{}, outcome, w.TTL)
	}
	return err
}

// SaveFirst is Save for Done that counts although another process has claimed the work since, unless that process has
// recorded Done before.
func (w *Work) SaveFirst(ctx context.Context, outcome Record) error {
	saved, err := w.swap(ctx, w.claim, outcome, w.TTL)
	for try := 1; try < maxSaves && err == nil && !saved; try++ {
		var found Record
		if found, err = w.Read(ctx); err != nil || found.State == Done || found.State == Running && found.Text == "" {
			return err // done, or of a later release
		}
		saved, err = w.swap(ctx, found, outcome, w.TTL)
	}
	return err
}

// Read returns the record.
func (w *Work) Read(ctx context.Context) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	value, ok, err := w.Store.Get(ctx, w.Key)
	if err != nil || !ok {
		return Record{}, err
	}
	return parseRecord(value), nil
}

// Replace replaces an outcome, and returns false if the record has changed.
func (w *Work) Replace(ctx context.Context, old, new Record) (replaced bool, err error) {
	return w.swap(ctx, old, new, w.TTL)
}

func (w *Work) swap(ctx context.Context, old, new Record, ttl time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return w.Store.Swap(ctx, w.Key, old.value(), new.value(), ttl)
}
