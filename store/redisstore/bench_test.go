package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/bench"
	"github.com/wetoken/wetoken/store"
)

// compare measures work beside floor.
func compare(b *testing.B, floor, work func() error) {
	times := func(do func() error) func(n int) {
		return func(n int) {
			for range n {
				if err := do(); err != nil {
					b.Error(err)
				}
			}
		}
	}
	bench.Ratio(b, 1, times(floor), times(work))
}

// BenchmarkGet compares Store.Get with the bare client's GET.
func BenchmarkGet(b *testing.B) {
	s := withPrefix(b, "redis://"+redisAddress(b))
	require.NoError(b, s.Set(b.Context(), "k", make([]byte, 512), time.Hour))
	key := s.Prefix + "k"
	compare(b, func() error {
		return s.Client.Get(b.Context(), key).Err()
	}, func() error {
		_, _, err := s.Get(b.Context(), "k")
		return err
	})
}

// BenchmarkLease compares TryLease and Release with the bare client's SET NX and a script that deletes its own key.
func BenchmarkLease(b *testing.B) {
	s := withPrefix(b, "redis://"+redisAddress(b))
	key := s.Prefix + "floor"
	release := redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
	compare(b, func() error {
		if err := s.Client.SetArgs(b.Context(), key, "mark", redis.SetArgs{Mode: "NX", TTL: time.Minute}).Err(); err != nil {
			return err
		}
		return release.Run(b.Context(), s.Client, []string{key}, "mark").Err()
	}, func() error {
		l, _, err := store.TryLease(b.Context(), s, "lease", time.Minute)
		if err != nil {
			return err
		}
		return l.Release(b.Context())
	})
}

// BenchmarkGetAllocations counts the allocations of Get, and of the bare client.
func BenchmarkGetAllocations(b *testing.B) {
	s := withPrefix(b, "redis://"+redisAddress(b))
	require.NoError(b, s.Set(b.Context(), "k", make([]byte, 512), time.Hour))
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Client.Get(b.Context(), s.Prefix+"k").Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Store", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := s.Get(b.Context(), "k"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
