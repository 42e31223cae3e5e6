package pay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wetoken/wetoken/store"
)

const (
	recordVersion = 1
	maxRecord     = 1 << 20 // bytes
	maxRaw        = 128 << 10
	storeTimeout  = 5 * time.Second // of one call of the store
	paidTTL       = 400 * 24 * time.Hour
	closedTTL     = 30 * 24 * time.Hour
)

// record is implemented by pointers to the types that are stored in Records.
type record interface {
	head() *recordHead
	check() error                    // returns an error for a record that this package did not write
	ttl(now time.Time) time.Duration // 0 means no expiry
}

// recordHead is the first part of each record.
type recordHead struct {
	Version int `json:"v"`
}

func (h *recordHead) head() *recordHead { return h }

// readRecord returns the record of key and its encoded form, or nil and nil if the store has none.
func readRecord[T any, P interface {
	*T
	record
}](ctx context.Context, s store.Store, key string) (r P, raw []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return getRecord[T, P](ctx, s, key)
}

// getRecord is readRecord without a limit of time.
func getRecord[T any, P interface {
	*T
	record
}](ctx context.Context, s store.Store, key string) (r P, raw []byte, err error) {
	raw, ok, err := s.Get(ctx, key)
	if err != nil {
		return nil, nil, fmt.Errorf("pay: read %s: %w", key, err)
	}
	if !ok {
		return nil, nil, nil
	}
	r = P(new(T))
	if err := decodeRecord(raw, r); err != nil {
		return nil, nil, fmt.Errorf("pay: read %s: %w", key, err)
	}
	return r, raw, nil
}

// decodeRecord decodes and checks a record. It does not trust the content of the store.
func decodeRecord(raw []byte, r record) error {
	if len(raw) > maxRecord {
		return fmt.Errorf("the record has more than %d bytes", maxRecord)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // sends a number in Extra unchanged
	if err := d.Decode(r); err != nil {
		return fmt.Errorf("decode the record: %w", err)
	}
	if v := r.head().Version; v != recordVersion {
		return fmt.Errorf("invalid record version %d: want %d", v, recordVersion)
	}
	return r.check()
}

func encodeRecord(r record) ([]byte, error) {
	r.head().Version = recordVersion
	raw, err := json.Marshal(r)
	if err == nil && len(raw) > maxRecord {
		err = fmt.Errorf("the record has more than %d bytes", maxRecord)
	}
	return raw, err
}

// swapRecord replaces the record whose encoded form is old, or creates it if old is nil. It returns false if another one is stored.
func swapRecord(ctx context.Context, s store.Store, key string, old []byte, r record) (swapped bool, raw []byte, err error) {
	raw, err = encodeRecord(r)
	if err != nil {
		return false, nil, fmt.Errorf("pay: write %s: %w", key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	swapped, err = s.Swap(ctx, key, old, raw, r.ttl(time.Now()))
	if err != nil {
		return false, nil, fmt.Errorf("pay: write %s: %w", key, err)
	}
	return swapped, raw, nil
}

// removeRecord removes the record if its encoded form is still raw, and reports whether the store has no record of key now.
func removeRecord(ctx context.Context, s store.Store, key string, raw []byte) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	gone, err = s.Swap(ctx, key, raw, nil, 0)
	if err == nil && !gone {
		_, found, failed := s.Get(ctx, key)
		gone, err = failed == nil && !found, failed
	}
	if err != nil {
		return false, fmt.Errorf("pay: remove %s: %w", key, err)
	}
	return gone, nil
}

// errUnchanged is returned by an edit that does not change the record.
var errUnchanged = errors.New("unchanged")

// changeRecord writes the result of edit for the record of key, and repeats this if others have changed the record. edit is called
// with nil if the store has none.
func changeRecord[T any, P interface {
	*T
	record
}](ctx context.Context, s store.Store, key string, edit func(P) (P, error)) (P, error) {
	for try := 0; ; try++ {
		old, raw, err := readRecord[T, P](ctx, s, key)
		if err != nil {
			return nil, err
		}
		r, err := edit(old)
		if errors.Is(err, errUnchanged) {
			return old, nil
		}
		if err != nil {
			return nil, err
		}
		if same, err := encodeRecord(r); err == nil && raw != nil && bytes.Equal(same, raw) {
			return r, nil
		}
		swapped, _, err := swapRecord(ctx, s, key, raw, r)
		if err != nil || swapped {
			return r, err
		}
		if err := waitBriefly(ctx, try); err != nil {
			return nil, fmt.Errorf("pay: write %s: %w", key, err)
		}
	}
}

// waitBriefly waits up to 20 ms after three failed swaps.
func waitBriefly(ctx context.Context, try int) error {
	if try < 3 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(1+rand.Int64N(20)) * time.Millisecond):
		return nil
	}
}
