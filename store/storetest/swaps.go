package storetest

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
)

var swapChecks = []check{
	{"Swap replaces the old value and no other", func(t *testing.T, s store.Store) {
		for name, value := range oddValues {
			requireSwap(t, s, name, nil, value, true)
			for other, not := range oddValues {
				if other != name {
					requireSwap(t, s, name, not, []byte("wrong"), false)
				}
			}
			requireValue(t, s, name, value)
			requireSwap(t, s, name, value, []byte("right"), true)
			requireSwap(t, s, name, []byte("right"), value, true)
			requireValue(t, s, name, value)
		}
		requireSwap(t, s, "absent", []byte("v"), []byte("w"), false)
		requireSwap(t, s, "absent", []byte{}, []byte("w"), false)
		requireAbsent(t, s, "absent")
	}},
	{"Swap compares values byte by byte", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "k", []byte("Value"), 0))
		for _, not := range []string{"value", "Value ", "Valu", "", "Value\x00", "V%", "V____", "Välue"} {
			requireSwap(t, s, "k", []byte(not), []byte("wrong"), false)
			requireSwap(t, s, "k", []byte(not), nil, false)
		}
		requireValue(t, s, "k", []byte("Value"))
	}},
	{"a nil old requires that the key be absent", func(t *testing.T, s store.Store) {
		requireSwap(t, s, "k", nil, []byte("v"), true)
		requireSwap(t, s, "k", nil, []byte("w"), false)
		requireSwap(t, s, "k", nil, []byte("v"), false)
		requireValue(t, s, "k", []byte("v"))
		require.NoError(t, s.Set(t.Context(), "empty", []byte{}, 0))
		requireSwap(t, s, "empty", nil, []byte("w"), false)
		requireValue(t, s, "empty", []byte{})
	}},
	{"a nil new deletes the key", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "k", []byte("v"), time.Hour))
		requireSwap(t, s, "k", []byte("w"), nil, false)
		requireValue(t, s, "k", []byte("v"))
		requireSwap(t, s, "k", []byte("v"), nil, true)
		requireAbsent(t, s, "k")
		requireSwap(t, s, "k", []byte("v"), nil, false)
		requireSwap(t, s, "k", nil, []byte("again"), true)
	}},
	{"an empty old is a value, and so is an empty new", func(t *testing.T, s store.Store) {
		requireSwap(t, s, "k", []byte{}, []byte("v"), false)
		requireSwap(t, s, "k", nil, []byte{}, true)
		requireValue(t, s, "k", []byte{})
		requireSwap(t, s, "k", []byte{}, []byte("v"), true)
		requireSwap(t, s, "k", []byte{}, []byte("w"), false)
		requireSwap(t, s, "k", []byte("v"), []byte{}, true)
		requireValue(t, s, "k", []byte{})
		requireSwap(t, s, "k", []byte{}, nil, true)
		requireAbsent(t, s, "k")
	}},
	{"nil for nil reports whether the key is absent", func(t *testing.T, s store.Store) {
		requireSwap(t, s, "k", nil, nil, true)
		requireAbsent(t, s, "k")
		require.NoError(t, s.Set(t.Context(), "k", []byte{}, 0))
		requireSwap(t, s, "k", nil, nil, false)
		requireValue(t, s, "k", []byte{})
	}},
	{"swapping a value for the same one counts", func(t *testing.T, s store.Store) {
		for _, value := range [][]byte{[]byte("v"), {}} {
			require.NoError(t, s.Set(t.Context(), "k", value, 0))
			for range 3 {
				requireSwap(t, s, "k", value, value, true)
				swapped, err := s.Swap(t.Context(), "k", value, value, -1)
				require.NoError(t, err)
				require.True(t, swapped)
			}
		}
	}},
	{"one of many concurrent swaps succeeds", func(t *testing.T, s store.Store) {
		requireOneWinner(t, s, "absent", nil)
		require.NoError(t, s.Set(t.Context(), "present", []byte("v"), time.Hour))
		requireOneWinner(t, s, "present", []byte("v"))
	}},
	{"one of many concurrent deletes by Swap succeeds", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "code", []byte("v"), time.Hour))
		var won atomic.Int32
		runTogether(t, 32, func(int) error {
			swapped, err := s.Swap(t.Context(), "code", []byte("v"), nil, 0)
			if swapped {
				won.Add(1)
			}
			return err
		})
		require.EqualValues(t, 1, won.Load())
	}},
	{"no step is lost between swaps", func(t *testing.T, s store.Store) {
		const workers, steps = 4, 10
		require.NoError(t, s.Set(t.Context(), "count", []byte("0"), 0))
		runTogether(t, workers, func(int) error {
			for range steps {
				for swapped := false; !swapped; {
					old, ok, err := s.Get(t.Context(), "count")
					if err != nil || !ok {
						return fmt.Errorf("get: %v, %w", ok, err)
					}
					n, err := strconv.Atoi(string(old))
					if err != nil {
						return err
					}
					if swapped, err = s.Swap(t.Context(), "count", old, []byte(strconv.Itoa(n+1)), 0); err != nil {
						return err
					}
				}
			}
			return nil
		})
		requireValue(t, s, "count", fmt.Append(nil, workers*steps))
	}},
}

// requireSwap requires that a Swap for an hour returns want.
func requireSwap(t *testing.T, s store.Store, key string, old, new []byte, want bool) {
	t.Helper()
	swapped, err := s.Swap(t.Context(), key, old, new, time.Hour)
	require.NoError(t, err)
	require.Equal(t, want, swapped, "swap %q from %.40q to %.40q", key, old, new)
}

// requireOneWinner swaps old for 32 different values at once, and requires that one swap succeeds and that its value is
// stored.
func requireOneWinner(t *testing.T, s store.Store, key string, old []byte) {
	t.Helper()
	won := make(chan string, 32)
	runTogether(t, cap(won), func(i int) error {
		mark := "mark " + strconv.Itoa(i)
		swapped, err := s.Swap(t.Context(), key, old, []byte(mark), time.Hour)
		if swapped {
			won <- mark
		}
		return err
	})
	require.Len(t, won, 1)
	requireValue(t, s, key, []byte(<-won))
}
