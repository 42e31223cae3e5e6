package redisstore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
)

// against runs floor and work in turns, each turn of 500, and reports the median of the turns' ratios and the middle
// half's ends. Run it with -benchtime=40x or so: each iteration is one turn of both.
func against(b *testing.B, floor, work func() error) {
	turn := func(do func() error) time.Duration {
		begin := time.Now()
		for range 500 {
			if err := do(); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(begin)
	}
	turn(floor)
	turn(work)
	var ratios []float64
	var floors, works time.Duration
	for b.Loop() {
		f := turn(floor)
		w := turn(work)
		ratios = append(ratios, float64(w)/float64(f))
		floors, works = floors+f, works+w
	}
	slices.Sort(ratios)
	n := len(ratios)
	b.ReportMetric(ratios[n/2], "x-floor")
	b.ReportMetric(ratios[n/4], "x-floor-p25")
	b.ReportMetric(ratios[3*n/4], "x-floor-p75")
	b.ReportMetric(float64(floors.Nanoseconds())/float64(500*n), "floor-ns")
	b.ReportMetric(float64(works.Nanoseconds())/float64(500*n), "store-ns")
	b.ReportMetric(0, "ns/op") // that of both together says nothing
}

// BenchmarkGet sets Store.Get against the bare client's GET.
func BenchmarkGet(b *testing.B) {
	s := part(b, "redis://"+real(b))
	require.NoError(b, s.Set(b.Context(), "k", make([]byte, 512), time.Hour))
	key := s.Prefix + "k"
	against(b, func() error {
		return s.Client.Get(b.Context(), key).Err()
	}, func() error {
		_, _, err := s.Get(b.Context(), "k")
		return err
	})
}

// BenchmarkLease sets Take and Release against the bare client's SET NX and a script that deletes what is its own.
func BenchmarkLease(b *testing.B) {
	s := part(b, "redis://"+real(b))
	key := s.Prefix + "floor"
	release := redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
	against(b, func() error {
		if err := s.Client.SetArgs(b.Context(), key, "mark", redis.SetArgs{Mode: "NX", TTL: time.Minute}).Err(); err != nil {
			return err
		}
		return release.Run(b.Context(), s.Client, []string{key}, "mark").Err()
	}, func() error {
		l, _, err := store.Take(b.Context(), s, "lease", time.Minute)
		if err != nil {
			return err
		}
		return l.Release(b.Context())
	})
}

// BenchmarkGetAllocations counts what Get allocates, and what the bare client does.
func BenchmarkGetAllocations(b *testing.B) {
	s := part(b, "redis://"+real(b))
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
