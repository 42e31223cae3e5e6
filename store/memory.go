package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/patrickmn/go-cache"
)

// Memory keeps values in this process and loses them when it ends. The zero value is ready to use, starts no goroutine
// and is safe for concurrent use. It must not be copied after first use. Values are copied in and out. Expired values
// are never returned. Later writes remove them, so that the store has at most about twice as many keys as are live.
//
// Processes do not share a Memory: use it for one process, for tests and for demonstrations.
type Memory struct {
	once  sync.Once
	cache *cache.Cache

	// mu is held by writers, so that Swap is one step. Readers need only the cache's own lock.
	mu sync.Mutex

	writes int // writes since the last sweep
	swept  int // keys left by the last sweep
}

var _ Store = (*Memory)(nil)

// Get returns the value of key. It fails only if ctx is done.
func (m *Memory) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, fmt.Errorf("store: get: %w", err)
	}
	value, _, ok = m.read(key)
	return bytes.Clone(value), ok, nil
}

// Set stores a copy of value. A ttl below 0 is an error.
func (m *Memory) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: set: %w", err)
	}
	if ttl < 0 {
		return errors.New("store: set: ttl is below 0")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.write(key, value, ttl)
	return nil
}

// Swap replaces old by new if the value is old.
func (m *Memory) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("store: swap: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, until, ok := m.read(key)
	if ok != (old != nil) || !bytes.Equal(now, old) {
		return false, nil
	}
	if new == nil {
		m.openCache().Delete(key)
		return true, nil
	}
	if ttl < 0 {
		ttl = 0
		if !until.IsZero() {
			ttl = max(time.Until(until)+1, 1) // +1, as write subtracts 1
		}
	}
	m.write(key, new, ttl)
	return true, nil
}

// Delete removes key.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: delete: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.openCache().Delete(key)
	return nil
}

// Keys yields the keys that are live when the sequence starts.
func (m *Memory) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", fmt.Errorf("store: keys: %w", err))
			return
		}
		for key := range m.openCache().Items() {
			if err := ctx.Err(); err != nil {
				yield("", fmt.Errorf("store: keys: %w", err))
				return
			}
			if strings.HasPrefix(key, prefix) && !yield(key, nil) {
				return
			}
		}
	}
}

func (m *Memory) openCache() *cache.Cache {
	m.once.Do(func() { m.cache = cache.New(cache.NoExpiration, 0) }) // 0: no janitor goroutine
	return m.cache
}

// read returns the stored bytes, which must not be changed, and the time at which they expire, zero for never.
func (m *Memory) read(key string) (value []byte, until time.Time, ok bool) {
	item, until, ok := m.openCache().GetWithExpiration(key)
	if !ok {
		return nil, time.Time{}, false
	}
	return item.([]byte), until, true
}

// write stores a copy of value. It sweeps when the writes since the last sweep outnumber the keys that were left, so
// that the cost per write is constant.
func (m *Memory) write(key string, value []byte, ttl time.Duration) {
	life := time.Duration(cache.NoExpiration)
	if ttl > 0 {
		life = max(ttl-1, 1) // the cache still returns a value at the instant it expires
	}
	m.openCache().Set(key, append([]byte{}, value...), life)
	if m.writes++; m.writes > 100+m.swept {
		m.cache.DeleteExpired()
		m.swept, m.writes = m.cache.ItemCount(), 0
	}
}
