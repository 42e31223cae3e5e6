package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
)

// earlyMargin is how much sooner than its ttl a value may expire, since a store rounds to milliseconds and its clock
// may be adjusted.
const earlyMargin = 50 * time.Millisecond

// shortLife is a life short enough to wait for. Values that a test must find live have a second or more, since the
// machine may be slow.
const shortLife = 300 * time.Millisecond

var lifeChecks = []check{
	{"a value lives for its ttl and no longer", func(t *testing.T, s store.Store) {
		start := time.Now()
		require.NoError(t, s.Set(t.Context(), "k", []byte("v"), time.Second))
		value, ok, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		if time.Since(start) < time.Second-earlyMargin {
			require.True(t, ok, "gone at once")
			require.Equal(t, "v", string(value))
		}
		require.GreaterOrEqual(t, waitUntilGone(t, s, "k").Sub(start), time.Second-earlyMargin)
	}},
	{"a ttl of 0 keeps the value", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "set", []byte("v"), 0))
		_, err := s.Swap(t.Context(), "swap", nil, []byte("v"), 0)
		require.NoError(t, err)
		waitOut(t, s, shortLife)
		requireValue(t, s, "set", []byte("v"))
		requireValue(t, s, "swap", []byte("v"))
	}},
	{"a ttl below a millisecond is not for ever", func(t *testing.T, s store.Store) {
		for _, ttl := range []time.Duration{1, 999 * time.Nanosecond, 300 * time.Microsecond} {
			require.NoError(t, s.Set(t.Context(), "set", []byte("v"), ttl))
			waitUntilGone(t, s, "set")
			swapped, err := s.Swap(t.Context(), "swap", nil, []byte("v"), ttl)
			require.NoError(t, err)
			require.True(t, swapped)
			waitUntilGone(t, s, "swap")
		}
	}},
	{"a ttl may be years", func(t *testing.T, s store.Store) {
		for _, ttl := range []time.Duration{30 * 24 * time.Hour, 50 * 365 * 24 * time.Hour} {
			require.NoError(t, s.Set(t.Context(), "k", []byte("v"), ttl))
			requireValue(t, s, "k", []byte("v"))
		}
	}},
	{"a ttl below 0 is an error of Set", func(t *testing.T, s store.Store) {
		require.Error(t, s.Set(t.Context(), "k", []byte("v"), -1))
		require.Error(t, s.Set(t.Context(), "k", []byte("v"), -time.Hour))
		requireAbsent(t, s, "k")
	}},
	{"Set replaces the life", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "longer", []byte("v"), shortLife))
		require.NoError(t, s.Set(t.Context(), "longer", []byte("v"), time.Hour))
		require.NoError(t, s.Set(t.Context(), "ever", []byte("v"), shortLife))
		require.NoError(t, s.Set(t.Context(), "ever", []byte("v"), 0))
		require.NoError(t, s.Set(t.Context(), "shorter", []byte("v"), 0))
		require.NoError(t, s.Set(t.Context(), "shorter", []byte("v"), shortLife))
		waitOut(t, s, shortLife)
		requireValue(t, s, "longer", []byte("v"))
		requireValue(t, s, "ever", []byte("v"))
		waitUntilGone(t, s, "shorter")
	}},
	{"Swap replaces the life", func(t *testing.T, s store.Store) {
		for key, ttl := range map[string]time.Duration{"longer": time.Second, "ever": time.Second, "shorter": 0} {
			require.NoError(t, s.Set(t.Context(), key, []byte("v"), ttl))
		}
		for key, ttl := range map[string]time.Duration{"longer": time.Hour, "ever": 0, "shorter": time.Second} {
			swapped, err := s.Swap(t.Context(), key, []byte("v"), []byte("w"), ttl)
			require.NoError(t, err)
			require.True(t, swapped)
		}
		waitOut(t, s, time.Second)
		requireValue(t, s, "longer", []byte("w"))
		requireValue(t, s, "ever", []byte("w"))
		waitUntilGone(t, s, "shorter")
	}},
	{"Swap with a ttl below 0 keeps the remaining life", func(t *testing.T, s store.Store) {
		start := time.Now()
		require.NoError(t, s.Set(t.Context(), "short", []byte("v"), 2*time.Second))
		require.NoError(t, s.Set(t.Context(), "long", []byte("v"), time.Hour))
		require.NoError(t, s.Set(t.Context(), "ever", []byte("v"), 0))
		for _, key := range []string{"short", "long", "ever"} {
			for _, step := range []string{"vw", "wx"} {
				swapped, err := s.Swap(t.Context(), key, []byte(step[:1]), []byte(step[1:]), -time.Hour)
				require.NoError(t, err)
				require.True(t, swapped, key)
			}
		}
		swapped, err := s.Swap(t.Context(), "new", nil, []byte("x"), -1)
		require.NoError(t, err)
		require.True(t, swapped)
		requireValue(t, s, "short", []byte("x"))
		require.GreaterOrEqual(t, waitUntilGone(t, s, "short").Sub(start), 2*time.Second-earlyMargin)
		requireValue(t, s, "long", []byte("x"))
		requireValue(t, s, "ever", []byte("x"))
		requireValue(t, s, "new", []byte("x"))
	}},
	{"an expired key is absent to every method", func(t *testing.T, s store.Store) {
		for _, key := range []string{"swap/nil", "swap/old", "swap/both", "delete", "set"} {
			require.NoError(t, s.Set(t.Context(), key, []byte("v"), shortLife))
		}
		for _, key := range []string{"swap/nil", "swap/old", "swap/both", "delete", "set"} {
			waitUntilGone(t, s, key)
		}
		require.Empty(t, listKeys(t, s, ""))
		swapped, err := s.Swap(t.Context(), "swap/old", []byte("v"), []byte("w"), -1)
		require.NoError(t, err)
		require.False(t, swapped, "the old value has expired")
		swapped, err = s.Swap(t.Context(), "swap/old", []byte("v"), nil, 0)
		require.NoError(t, err)
		require.False(t, swapped, "the old value has expired")
		swapped, err = s.Swap(t.Context(), "swap/both", nil, nil, 0)
		require.NoError(t, err)
		require.True(t, swapped)
		swapped, err = s.Swap(t.Context(), "swap/nil", nil, []byte("w"), 0)
		require.NoError(t, err)
		require.True(t, swapped)
		requireValue(t, s, "swap/nil", []byte("w"))
		requireAbsent(t, s, "swap/old")
		require.NoError(t, s.Delete(t.Context(), "delete"))
		require.NoError(t, s.Set(t.Context(), "set", []byte("w"), 0))
		requireValue(t, s, "set", []byte("w"))
	}},
	{"one of many concurrent swaps replaces an expired value", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "k", []byte("v"), shortLife))
		waitUntilGone(t, s, "k")
		requireOneWinner(t, s, "k", nil)
	}},
}

// waitUntilGone waits until key is absent and returns the time at which it was. It fails the test after five seconds.
func waitUntilGone(t *testing.T, s store.Store, key string) time.Time {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); ; <-tick.C {
		_, ok, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		if !ok {
			return time.Now()
		}
		require.Less(t, time.Since(start), 5*time.Second, "%q does not expire", key)
	}
}

// waitOut waits until a value that is written now has lived for ttl by the store's clock.
func waitOut(t *testing.T, s store.Store, ttl time.Duration) {
	t.Helper()
	require.NoError(t, s.Set(t.Context(), "a witness", []byte("v"), ttl))
	waitUntilGone(t, s, "a witness")
}
