package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
)

var leaseChecks = []check{
	{"a lease has one holder until it is released", func(t *testing.T, s store.Store) {
		mine, ok, err := store.TryLease(t.Context(), s, "lease", time.Hour)
		require.NoError(t, err)
		require.True(t, ok)
		none, ok, err := store.TryLease(t.Context(), s, "lease", time.Hour)
		require.NoError(t, err)
		require.False(t, ok)
		require.Nil(t, none)
		still, err := mine.Extend(t.Context(), time.Hour)
		require.NoError(t, err)
		require.True(t, still)
		require.NoError(t, mine.Release(t.Context()))
		requireAbsent(t, s, "lease")
		_, ok, err = store.TryLease(t.Context(), s, "lease", time.Hour)
		require.NoError(t, err)
		require.True(t, ok)
	}},
	{"one of many concurrent TryLease calls succeeds", func(t *testing.T, s store.Store) {
		var won atomic.Int32
		runTogether(t, 32, func(int) error {
			_, ok, err := store.TryLease(t.Context(), s, "lease", time.Hour)
			if ok {
				won.Add(1)
			}
			return err
		})
		require.EqualValues(t, 1, won.Load())
	}},
	{"an expired lease goes to the next holder and is not released by the last", func(t *testing.T, s store.Store) {
		start := time.Now()
		last, ok, err := store.TryLease(t.Context(), s, "lease", shortLife)
		require.NoError(t, err)
		require.True(t, ok)
		require.GreaterOrEqual(t, waitUntilGone(t, s, "lease").Sub(start), shortLife-earlyMargin)
		next, ok, err := store.TryLease(t.Context(), s, "lease", time.Hour)
		require.NoError(t, err)
		require.True(t, ok)
		still, err := last.Extend(t.Context(), time.Hour)
		require.NoError(t, err)
		require.False(t, still)
		require.NoError(t, last.Release(t.Context()))
		still, err = next.Extend(t.Context(), time.Hour)
		require.NoError(t, err)
		require.True(t, still, "the last holder gave back what the next one holds")
	}},
	{"an extended lease lasts longer", func(t *testing.T, s store.Store) {
		l, ok, err := store.TryLease(t.Context(), s, "lease", time.Second)
		require.NoError(t, err)
		require.True(t, ok)
		still, err := l.Extend(t.Context(), time.Hour)
		require.NoError(t, err)
		require.True(t, still)
		waitOut(t, s, time.Second)
		_, ok, err = store.TryLease(t.Context(), s, "lease", time.Hour)
		require.NoError(t, err)
		require.False(t, ok)
	}},
	{"a lease must end", func(t *testing.T, s store.Store) {
		for _, ttl := range []time.Duration{0, -1} {
			_, ok, err := store.TryLease(t.Context(), s, "lease", ttl)
			require.Error(t, err)
			require.False(t, ok)
		}
		requireAbsent(t, s, "lease")
	}},
}
