package pay_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/wetoken/wetoken/store"
)

var errStore = errors.New("the store is away")

// flaky is a store that can be unavailable, refuse writes, or end its process at an operation.
type flaky struct {
	store.Store

	mu       sync.Mutex
	away     bool
	readOnly bool
	left     int  // operations until the process dies …
	lands    bool // … after the last one was done
	mortal   bool
	ops      int
}

func (f *flaky) set(change func(*flaky)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// begin reports whether an operation is done, and whether its reply is lost.
func (f *flaky) begin(write bool) (do, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops++
	if f.away || write && f.readOnly {
		return false, true
	}
	if !f.mortal {
		return true, false
	}
	f.left--
	switch {
	case f.left > 0:
		return true, false
	case f.left == 0:
		return f.lands, true
	}
	return false, true
}

func (f *flaky) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if do, lost := f.begin(false); !do || lost {
		return nil, false, errStore
	}
	return f.Store.Get(ctx, key)
}

func (f *flaky) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	do, lost := f.begin(true)
	if do {
		if err := f.Store.Set(ctx, key, value, ttl); err != nil {
			return err
		}
	}
	if lost {
		return errStore
	}
	return nil
}

func (f *flaky) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	do, lost := f.begin(true)
	if do {
		if swapped, err = f.Store.Swap(ctx, key, old, new, ttl); err != nil {
			return false, err
		}
	}
	if lost {
		return false, errStore
	}
	return swapped, nil
}

func (f *flaky) Delete(ctx context.Context, key string) error {
	if do, lost := f.begin(true); !do || lost {
		return errStore
	}
	return f.Store.Delete(ctx, key)
}

func (f *flaky) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if do, lost := f.begin(false); !do || lost {
		return func(yield func(string, error) bool) { yield("", errStore) }
	}
	return f.Store.Keys(ctx, prefix)
}
