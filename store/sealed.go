package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// Sealed is a Store that encrypts values with AES-256-GCM before another Store gets them. A reader of that store learns
// the names of the keys and the lengths of the values. A writer to it can remove values, and restore older values of
// the same key, but can neither make a value nor move one to another key: reading such a value is [ErrPlaintext],
// [ErrSealKey] or [ErrTampered], never a miss.
//
//	keys, err := store.ParseKeys(os.Getenv("STORE_KEYS"))
//	…
//	s := &store.Sealed{Store: shared, KeyRing: keys}
//
// To change the key while processes restart one by one, give every process the ring (old, new), then (new, old); run
// [Sealed.Reseal]; then give every process (new). One key is good for 4 billion writes.
//
// Set the fields before first use. It is then safe for concurrent use.
type Sealed struct {
	Store   Store
	KeyRing KeyRing // the first key seals, all keys open

	// Plaintext accepts values that were stored before the store was sealed, until Reseal has run. Meanwhile a writer
	// to the other store can plant a value. Default: such a value is an error.
	Plaintext bool

	once    sync.Once
	sealers []sealer
	err     error
}

var _ Store = (*Sealed)(nil)

func (s *Sealed) readKeys() ([]sealer, error) {
	s.once.Do(func() { s.sealers, s.err = s.KeyRing.sealers() })
	return s.sealers, s.err
}

// Format prints the number of keys.
func (s *Sealed) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "Sealed(%d keys)", len(s.KeyRing)) }

// Get returns the opened value of key.
func (s *Sealed) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	keys, err := s.readKeys()
	if err != nil {
		return nil, false, err
	}
	raw, ok, err := s.Store.Get(ctx, key)
	if err != nil || !ok {
		return nil, false, err
	}
	value, _, err = unseal(keys, key, raw, s.Plaintext)
	return value, err == nil, err
}

// Set seals value and stores it.
func (s *Sealed) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	keys, err := s.readKeys()
	if err != nil {
		return err
	}
	raw, err := keys[0].seal(key, value)
	if err != nil {
		return err
	}
	return s.Store.Set(ctx, key, raw, ttl)
}

// Swap opens the stored value, compares it with old, and swaps the sealed bytes. It starts again if they have changed
// meanwhile.
func (s *Sealed) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	keys, err := s.readKeys()
	if err != nil {
		return false, err
	}
	var sealed []byte
	if new != nil {
		if sealed, err = keys[0].seal(key, new); err != nil {
			return false, err
		}
	}
	if old == nil {
		return s.Store.Swap(ctx, key, nil, sealed, ttl)
	}
	for {
		raw, ok, err := s.Store.Get(ctx, key)
		if err != nil || !ok {
			return false, err
		}
		value, _, err := unseal(keys, key, raw, s.Plaintext)
		if err != nil {
			return false, err
		}
		if subtle.ConstantTimeCompare(value, old) != 1 {
			return false, nil
		}
		// No two sealed values are the same, so raw identifies this write of old.
		if swapped, err = s.Store.Swap(ctx, key, raw, sealed, ttl); err != nil || swapped {
			return swapped, err
		}
	}
}

// Delete removes key.
func (s *Sealed) Delete(ctx context.Context, key string) error { return s.Store.Delete(ctx, key) }

// DeleteUnreadable removes the value of key if Get refuses it for its content, and reports whether it did. A value that another
// process has written in its place stays.
func (s *Sealed) DeleteUnreadable(ctx context.Context, key string) (deleted bool, err error) {
	keys, err := s.readKeys()
	if err != nil {
		return false, err
	}
	for {
		raw, ok, err := s.Store.Get(ctx, key)
		if err != nil || !ok {
			return false, err
		}
		if _, _, err := unseal(keys, key, raw, s.Plaintext); err == nil {
			return false, nil
		}
		if deleted, err = s.Store.Swap(ctx, key, raw, nil, 0); err != nil || deleted {
			return deleted, err
		}
	}
}

// Keys yields the keys, which are not sealed.
func (s *Sealed) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return s.Store.Keys(ctx, prefix)
}

// Reseal seals all values with the current key that were sealed with a previous one, or with none if Plaintext is set,
// and returns their number. Others may read and write meanwhile. Lives are not changed. It may be repeated at any time,
// and run on several machines. A value that cannot be opened is skipped: the error names the first such key after all
// others are done.
func (s *Sealed) Reseal(ctx context.Context) (n int, err error) {
	keys, err := s.readKeys()
	if err != nil {
		return 0, err
	}
	var first error
	bad := 0
	for key, err := range s.Store.Keys(ctx, "") {
		if err != nil {
			return n, fmt.Errorf("store: reseal: %w", err)
		}
		done, err := s.resealKey(ctx, keys, key)
		switch {
		case err == nil && done:
			n++
		case err == nil:
		case errors.Is(err, ErrPlaintext), errors.Is(err, ErrSealKey), errors.Is(err, ErrTampered):
			if bad++; first == nil {
				first = fmt.Errorf("the first is %q: %w", key, err)
			}
		default:
			return n, fmt.Errorf("store: reseal: %w", err)
		}
	}
	if bad > 0 {
		return n, fmt.Errorf("store: reseal: %d values cannot be opened, %w", bad, first)
	}
	return n, nil
}

func (s *Sealed) resealKey(ctx context.Context, keys []sealer, key string) (done bool, err error) {
	for {
		raw, ok, err := s.Store.Get(ctx, key)
		if err != nil || !ok {
			return false, err
		}
		value, current, err := unseal(keys, key, raw, s.Plaintext)
		if err != nil || current {
			return false, err
		}
		sealed, err := keys[0].seal(key, value)
		if err != nil {
			return false, err
		}
		// A value that has changed meanwhile is read again, since another process may still seal with a previous key.
		if swapped, err := s.Store.Swap(ctx, key, raw, sealed, -1); err != nil || swapped {
			return swapped, err
		}
	}
}
