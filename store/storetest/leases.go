package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
)

var leases = []check{
	{"a lease is held by one until it is given back", func(t *testing.T, s store.Store) {
		mine, ok, err := store.Take(t.Context(), s, "lease", time.Hour)
		require.NoError(t, err)
		require.True(t, ok)
		none, ok, err := store.Take(t.Context(), s, "lease", time.Hour)
		require.NoError(t, err)
		require.False(t, ok)
		require.Nil(t, none)
		still, err := mine.Extend(t.Context(), time.Hour)
		require.NoError(t, err)
		require.True(t, still)
		require.NoError(t, mine.Release(t.Context()))
		lacks(t, s, "lease")
		_, ok, err = store.Take(t.Context(), s, "lease", time.Hour)
		require.NoError(t, err)
		require.True(t, ok)
	}},
	{"of many who take a lease at once one does", func(t *testing.T, s store.Store) {
		var won atomic.Int32
		together(t, 32, func(int) error {
			_, ok, err := store.Take(t.Context(), s, "lease", time.Hour)
			if ok {
				won.Add(1)
			}
			return err
		})
		require.EqualValues(t, 1, won.Load())
	}},
	{"a lease that lapsed goes to the next and is not given back by the last", func(t *testing.T, s store.Store) {
		start := time.Now()
		last, ok, err := store.Take(t.Context(), s, "lease", moment)
		require.NoError(t, err)
		require.True(t, ok)
		require.GreaterOrEqual(t, gone(t, s, "lease").Sub(start), moment-early)
		next, ok, err := store.Take(t.Context(), s, "lease", time.Hour)
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
	{"a lease that is extended lasts longer", func(t *testing.T, s store.Store) {
		l, ok, err := store.Take(t.Context(), s, "lease", time.Second)
		require.NoError(t, err)
		require.True(t, ok)
		still, err := l.Extend(t.Context(), time.Hour)
		require.NoError(t, err)
		require.True(t, still)
		outwait(t, s, time.Second)
		_, ok, err = store.Take(t.Context(), s, "lease", time.Hour)
		require.NoError(t, err)
		require.False(t, ok)
	}},
	{"a lease must end", func(t *testing.T, s store.Store) {
		for _, ttl := range []time.Duration{0, -1} {
			_, ok, err := store.Take(t.Context(), s, "lease", ttl)
			require.Error(t, err)
			require.False(t, ok)
		}
		lacks(t, s, "lease")
	}},
}
