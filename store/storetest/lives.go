package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
)

// early is how much sooner than its ttl a value may be gone: a store rounds to milliseconds, and its clock may be set.
const early = 50 * time.Millisecond

// moment is a life short enough to wait for. What has to be found alive is given a second or more, since the machine
// may be slow.
const moment = 300 * time.Millisecond

var lives = []check{
	{"a value lives for its ttl and no longer", func(t *testing.T, s store.Store) {
		start := time.Now()
		require.NoError(t, s.Set(t.Context(), "k", []byte("v"), time.Second))
		value, ok, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		if time.Since(start) < time.Second-early {
			require.True(t, ok, "gone at once")
			require.Equal(t, "v", string(value))
		}
		require.GreaterOrEqual(t, gone(t, s, "k").Sub(start), time.Second-early)
	}},
	{"a ttl of 0 keeps the value", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "set", []byte("v"), 0))
		_, err := s.Swap(t.Context(), "swap", nil, []byte("v"), 0)
		require.NoError(t, err)
		outwait(t, s, moment)
		has(t, s, "set", []byte("v"))
		has(t, s, "swap", []byte("v"))
	}},
	{"a ttl below a millisecond is not for ever", func(t *testing.T, s store.Store) {
		for _, ttl := range []time.Duration{1, 999 * time.Nanosecond, 300 * time.Microsecond} {
			require.NoError(t, s.Set(t.Context(), "set", []byte("v"), ttl))
			gone(t, s, "set")
			swapped, err := s.Swap(t.Context(), "swap", nil, []byte("v"), ttl)
			require.NoError(t, err)
			require.True(t, swapped)
			gone(t, s, "swap")
		}
	}},
	{"a ttl of years is not too much", func(t *testing.T, s store.Store) {
		for _, ttl := range []time.Duration{30 * 24 * time.Hour, 50 * 365 * 24 * time.Hour} {
			require.NoError(t, s.Set(t.Context(), "k", []byte("v"), ttl))
			has(t, s, "k", []byte("v"))
		}
	}},
	{"a ttl below 0 is an error of Set", func(t *testing.T, s store.Store) {
		require.Error(t, s.Set(t.Context(), "k", []byte("v"), -1))
		require.Error(t, s.Set(t.Context(), "k", []byte("v"), -time.Hour))
		lacks(t, s, "k")
	}},
	{"Set gives a new life, whatever the old one was", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "longer", []byte("v"), moment))
		require.NoError(t, s.Set(t.Context(), "longer", []byte("v"), time.Hour))
		require.NoError(t, s.Set(t.Context(), "ever", []byte("v"), moment))
		require.NoError(t, s.Set(t.Context(), "ever", []byte("v"), 0))
		require.NoError(t, s.Set(t.Context(), "shorter", []byte("v"), 0))
		require.NoError(t, s.Set(t.Context(), "shorter", []byte("v"), moment))
		outwait(t, s, moment)
		has(t, s, "longer", []byte("v"))
		has(t, s, "ever", []byte("v"))
		gone(t, s, "shorter")
	}},
	{"Swap gives a new life", func(t *testing.T, s store.Store) {
		for key, ttl := range map[string]time.Duration{"longer": time.Second, "ever": time.Second, "shorter": 0} {
			require.NoError(t, s.Set(t.Context(), key, []byte("v"), ttl))
		}
		for key, ttl := range map[string]time.Duration{"longer": time.Hour, "ever": 0, "shorter": time.Second} {
			swapped, err := s.Swap(t.Context(), key, []byte("v"), []byte("w"), ttl)
			require.NoError(t, err)
			require.True(t, swapped)
		}
		outwait(t, s, time.Second)
		has(t, s, "longer", []byte("w"))
		has(t, s, "ever", []byte("w"))
		gone(t, s, "shorter")
	}},
	{"Swap with a ttl below 0 keeps the life that is left", func(t *testing.T, s store.Store) {
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
		has(t, s, "short", []byte("x"))
		require.GreaterOrEqual(t, gone(t, s, "short").Sub(start), 2*time.Second-early)
		has(t, s, "long", []byte("x"))
		has(t, s, "ever", []byte("x"))
		has(t, s, "new", []byte("x"))
	}},
	{"an expired key is absent to every method", func(t *testing.T, s store.Store) {
		for _, key := range []string{"swap/nil", "swap/old", "swap/both", "delete", "set"} {
			require.NoError(t, s.Set(t.Context(), key, []byte("v"), moment))
		}
		for _, key := range []string{"swap/nil", "swap/old", "swap/both", "delete", "set"} {
			gone(t, s, key)
		}
		require.Empty(t, list(t, s, ""))
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
		has(t, s, "swap/nil", []byte("w"))
		lacks(t, s, "swap/old")
		require.NoError(t, s.Delete(t.Context(), "delete"))
		require.NoError(t, s.Set(t.Context(), "set", []byte("w"), 0))
		has(t, s, "set", []byte("w"))
	}},
	{"one of many takes the place of an expired value", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "k", []byte("v"), moment))
		gone(t, s, "k")
		winners(t, s, "k", nil)
	}},
}

// gone waits until key is absent and returns the time by which it was. It gives up after five seconds.
func gone(t *testing.T, s store.Store, key string) time.Time {
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

// outwait waits until a value that is written now has lived for ttl by the store's clock.
func outwait(t *testing.T, s store.Store, ttl time.Duration) {
	t.Helper()
	require.NoError(t, s.Set(t.Context(), "a witness", []byte("v"), ttl))
	gone(t, s, "a witness")
}
