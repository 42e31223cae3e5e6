// Package once has one of the processes that share a store do a piece of work, while the others wait for its outcome.
package once

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/wetoken/wetoken/store"
)

const (
	claimLife = 3 * time.Second // the work of a process that died is claimed by another one after that
	claimBeat = time.Second
	storeMax  = time.Second // for one call of the store
)

// Work is a piece of work, as one request for it sees it. Its record in the store says how far the work is.
type Work struct {
	Store store.Store
	Key   string        // of the record
	Life  time.Duration // of a record without a claim: the work may be done again after that

	claim Record // ours
}

// Claim records that this process does the work, and reports false if there is a record already. On an error the claim
// may be recorded or not. The caller decides whether the work is done all the same: KeepClaim and Save record it as soon
// as the store answers.
func (w *Work) Claim(ctx context.Context) (claimed bool, err error) {
	w.claim = Record{State: Running, Text: rand.Text()}
	return w.swap(ctx, Record{}, w.claim, claimLife)
}

// KeepClaim keeps the claim from lapsing until stop is called, and puts it back into a store that was down or emptied.
func (w *Work) KeepClaim(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		beat := time.NewTicker(claimBeat)
		defer beat.Stop()
		for {
			select {
			case <-beat.C:
				kept, err := w.swap(ctx, w.claim, w.claim, claimLife)
				if err == nil && !kept {
					_, _ = w.swap(ctx, Record{}, w.claim, claimLife) // the next beat tries again
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
// nothing if another process has claimed the work meanwhile.
func (w *Work) Save(ctx context.Context, outcome Record) error {
	saved, err := w.swap(ctx, w.claim, outcome, w.Life)
	if err == nil && !saved && outcome.State != Absent { // the store has lost the claim, or never had it
		_, err = w.swap(ctx, Record{}, outcome, w.Life)
	}
	return err
}

// Read returns the record.
func (w *Work) Read(ctx context.Context) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	value, ok, err := w.Store.Get(ctx, w.Key)
	if err != nil || !ok {
		return Record{}, err
	}
	return parseRecord(value), nil
}

// Replace replaces an outcome, and reports false if the record is another one by now.
func (w *Work) Replace(ctx context.Context, old, new Record) (replaced bool, err error) {
	return w.swap(ctx, old, new, w.Life)
}

func (w *Work) swap(ctx context.Context, old, new Record, ttl time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	return w.Store.Swap(ctx, w.Key, old.value(), new.value(), ttl)
}
