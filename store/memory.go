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

// Memory keeps values in this process and forgets them when it ends. The zero value is ready, starts no goroutine and
// is safe for concurrent use; it must not be copied after first use. Values are copied in and out. What has expired is
// never seen again, and is thrown away during later writes, so that the store holds at most about twice what lives.
//
// Processes do not see each other's Memory: use it for one process, for tests and for demonstrations.
type Memory struct {
	once  sync.Once
	cache *cache.Cache

	mu     sync.Mutex // held by writers, so that Swap is one step; readers need only the cache's own lock
	writes int        // since the last sweep
	kept   int        // keys left by the last sweep
}

var _ Store = (*Memory)(nil)

// Get returns the value of key. Its only error is that of a ctx that is done.
func (m *Memory) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, fmt.Errorf("store: get: %w", err)
	}
	value, _, ok = m.look(key)
	return bytes.Clone(value), ok, nil
}

// Set writes a copy of value. A ttl below 0 is refused.
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

// Swap replaces old by new if the value still is old.
func (m *Memory) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("store: swap: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, until, ok := m.look(key)
	if ok != (old != nil) || !bytes.Equal(now, old) {
		return false, nil
	}
	if new == nil {
		m.open().Delete(key)
		return true, nil
	}
	if ttl < 0 {
		ttl = 0
		if !until.IsZero() {
			ttl = max(time.Until(until)+1, 1) // +1: write takes one off
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
	m.open().Delete(key)
	return nil
}

// Keys yields the keys that live when the sequence starts.
func (m *Memory) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", fmt.Errorf("store: keys: %w", err))
			return
		}
		for key := range m.open().Items() {
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

func (m *Memory) open() *cache.Cache {
	m.once.Do(func() { m.cache = cache.New(cache.NoExpiration, 0) }) // 0: no janitor goroutine
	return m.cache
}

// look returns the stored bytes themselves, which nobody may change, and the instant they expire, zero for never.
func (m *Memory) look(key string) (value []byte, until time.Time, ok bool) {
	item, until, ok := m.open().GetWithExpiration(key)
	if !ok {
		return nil, time.Time{}, false
	}
	return item.([]byte), until, true
}

// write stores a copy of value, and sweeps once the writes since the last sweep outnumber the keys it left: each
// write then pays for a constant number of looked-at keys.
func (m *Memory) write(key string, value []byte, ttl time.Duration) {
	life := time.Duration(cache.NoExpiration)
	if ttl > 0 {
		life = max(ttl-1, 1) // the cache still shows a value at the very instant it expires
	}
	m.open().Set(key, append([]byte{}, value...), life)
	if m.writes++; m.writes > 100+m.kept {
		m.cache.DeleteExpired()
		m.kept, m.writes = m.cache.ItemCount(), 0
	}
}
