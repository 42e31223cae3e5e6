package shop

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"time"
)

// limit is how many times something may happen within a time that begins with the first of them.
type limit struct {
	count  int
	within time.Duration
}

// allow counts an event under a key in the store that all processes share. It returns ErrLimited beyond the limit.
func (s *Shop) allow(ctx context.Context, key string, l limit) error {
	key = "shop/limit/" + key
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	mu := &s.counting[h.Sum32()%uint32(len(s.counting))]
	mu.Lock() // spares the database the tries of a flood that would lose against each other
	defer mu.Unlock()
	for range 50 {
		old, ok, err := s.Shared.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("shop: read limit: %w", err)
		}
		count, ttl := 0, l.within
		if ok {
			ttl = -1 // what is left of it
			if count, err = strconv.Atoi(string(old)); err != nil {
				return fmt.Errorf("shop: limit %s is not a number", key)
			}
		} else {
			old = nil
		}
		if count >= l.count {
			return ErrLimited
		}
		counted, err := s.Shared.Swap(ctx, key, old, strconv.AppendInt(nil, int64(count)+1, 10), ttl)
		if err != nil {
			return fmt.Errorf("shop: write limit: %w", err)
		}
		if counted {
			return nil
		}
	}
	return ErrLimited // many others count under this key now
}

// forget ends the counting under a key.
func (s *Shop) forget(ctx context.Context, key string) error {
	if err := s.Shared.Delete(ctx, "shop/limit/"+key); err != nil {
		return fmt.Errorf("shop: delete limit: %w", err)
	}
	return nil
}

// network returns what limits of an address apply to: an IPv4 address, or the 64-bit prefix that a customer of IPv6 gets.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}
