package store_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
)

// waitFor waits in a bubble, where time is free.
func waitFor(d time.Duration) { <-time.After(d) }

func TestMemoryValueExpiresAtTheEndOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(store.Memory)
		for _, ttl := range []time.Duration{2, time.Millisecond, time.Hour} {
			require.NoError(t, m.Set(t.Context(), "k", []byte("v"), ttl))
			waitFor(ttl - 1)
			_, ok, err := m.Get(t.Context(), "k")
			require.NoError(t, err)
			require.True(t, ok, "%v before its time", ttl)
			waitFor(time.Nanosecond)
			_, ok, err = m.Get(t.Context(), "k")
			require.NoError(t, err)
			require.False(t, ok, "%v after its time", ttl)
		}
	})
}

func TestMemorySwapKeepsTheLifeToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(store.Memory)
		require.NoError(t, m.Set(t.Context(), "k", []byte("0"), time.Second))
		for i := range 9 {
			waitFor(100 * time.Millisecond)
			swapped, err := m.Swap(t.Context(), "k", fmt.Append(nil, i), fmt.Append(nil, i+1), -1)
			require.NoError(t, err)
			require.True(t, swapped)
		}
		waitFor(100*time.Millisecond - 1)
		_, ok, _ := m.Get(t.Context(), "k")
		require.True(t, ok)
		waitFor(time.Nanosecond)
		_, ok, _ = m.Get(t.Context(), "k")
		require.False(t, ok)
	})
}

func TestMemoryDoesNotGrowForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(store.Memory)
		for i := range 50 {
			require.NoError(t, m.Set(t.Context(), fmt.Sprint("kept/", i), nil, 0))
		}
		for i := range 20000 {
			require.NoError(t, m.Set(t.Context(), fmt.Sprint("passing/", i), nil, time.Second))
			waitFor(100 * time.Millisecond) // ten are live at any time
			require.LessOrEqual(t, m.Held(), 300)
		}
		kept := 0
		for _, err := range m.Keys(t.Context(), "kept/") {
			require.NoError(t, err)
			kept++
		}
		require.Equal(t, 50, kept)
	})
}

func TestLeaseExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(store.Memory)
		first, ok, err := store.TryLease(t.Context(), m, "lease", 10*time.Second)
		require.NoError(t, err)
		require.True(t, ok)
		waitFor(9 * time.Second)
		still, err := first.Extend(t.Context(), 10*time.Second)
		require.NoError(t, err)
		require.True(t, still)
		waitFor(10*time.Second - 1)
		_, ok, err = store.TryLease(t.Context(), m, "lease", time.Second)
		require.NoError(t, err)
		require.False(t, ok)
		waitFor(time.Nanosecond)
		_, ok, err = store.TryLease(t.Context(), m, "lease", time.Second)
		require.NoError(t, err)
		require.True(t, ok)
	})
}

// lostAnswers is a store that acts and then loses the answer.
type lostAnswers struct{ store.Store }

func (d lostAnswers) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if _, err := d.Store.Swap(ctx, key, old, new, ttl); err != nil {
		return false, err
	}
	return false, context.DeadlineExceeded
}

func TestLeaseWhoseAnswerWasLostExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(store.Memory)
		l, ok, err := store.TryLease(t.Context(), lostAnswers{m}, "lease", time.Minute)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, ok)
		require.Nil(t, l)
		waitFor(time.Minute)
		_, ok, err = store.TryLease(t.Context(), m, "lease", time.Minute)
		require.NoError(t, err)
		require.True(t, ok)
	})
}

func BenchmarkMemoryGet(b *testing.B) {
	m := new(store.Memory)
	require.NoError(b, m.Set(b.Context(), "k", make([]byte, 512), time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := m.Get(b.Context(), "k"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
