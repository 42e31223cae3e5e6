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

var swaps = []check{
	{"Swap replaces the old value and no other", func(t *testing.T, s store.Store) {
		for name, value := range odd {
			swap(t, s, name, nil, value, true)
			for other, not := range odd {
				if other != name {
					swap(t, s, name, not, []byte("wrong"), false)
				}
			}
			has(t, s, name, value)
			swap(t, s, name, value, []byte("right"), true)
			swap(t, s, name, []byte("right"), value, true)
			has(t, s, name, value)
		}
		swap(t, s, "absent", []byte("v"), []byte("w"), false)
		swap(t, s, "absent", []byte{}, []byte("w"), false)
		lacks(t, s, "absent")
	}},
	{"Swap tells values apart byte by byte", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "k", []byte("Value"), 0))
		for _, not := range []string{"value", "Value ", "Valu", "", "Value\x00", "V%", "V____", "Välue"} {
			swap(t, s, "k", []byte(not), []byte("wrong"), false)
			swap(t, s, "k", []byte(not), nil, false)
		}
		has(t, s, "k", []byte("Value"))
	}},
	{"a nil old asks that the key be absent", func(t *testing.T, s store.Store) {
		swap(t, s, "k", nil, []byte("v"), true)
		swap(t, s, "k", nil, []byte("w"), false)
		swap(t, s, "k", nil, []byte("v"), false)
		has(t, s, "k", []byte("v"))
		require.NoError(t, s.Set(t.Context(), "empty", []byte{}, 0))
		swap(t, s, "empty", nil, []byte("w"), false)
		has(t, s, "empty", []byte{})
	}},
	{"a nil new deletes the key", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "k", []byte("v"), time.Hour))
		swap(t, s, "k", []byte("w"), nil, false)
		has(t, s, "k", []byte("v"))
		swap(t, s, "k", []byte("v"), nil, true)
		lacks(t, s, "k")
		swap(t, s, "k", []byte("v"), nil, false)
		swap(t, s, "k", nil, []byte("again"), true)
	}},
	{"an empty old is a value, and so is an empty new", func(t *testing.T, s store.Store) {
		swap(t, s, "k", []byte{}, []byte("v"), false)
		swap(t, s, "k", nil, []byte{}, true)
		has(t, s, "k", []byte{})
		swap(t, s, "k", []byte{}, []byte("v"), true)
		swap(t, s, "k", []byte{}, []byte("w"), false)
		swap(t, s, "k", []byte("v"), []byte{}, true)
		has(t, s, "k", []byte{})
		swap(t, s, "k", []byte{}, nil, true)
		lacks(t, s, "k")
	}},
	{"nil for nil tells whether the key is absent", func(t *testing.T, s store.Store) {
		swap(t, s, "k", nil, nil, true)
		lacks(t, s, "k")
		require.NoError(t, s.Set(t.Context(), "k", []byte{}, 0))
		swap(t, s, "k", nil, nil, false)
		has(t, s, "k", []byte{})
	}},
	{"swapping a value for the same one counts", func(t *testing.T, s store.Store) {
		for _, value := range [][]byte{[]byte("v"), {}} {
			require.NoError(t, s.Set(t.Context(), "k", value, 0))
			for range 3 {
				swap(t, s, "k", value, value, true)
				swapped, err := s.Swap(t.Context(), "k", value, value, -1)
				require.NoError(t, err)
				require.True(t, swapped)
			}
		}
	}},
	{"of many who swap at once one does", func(t *testing.T, s store.Store) {
		winners(t, s, "absent", nil)
		require.NoError(t, s.Set(t.Context(), "present", []byte("v"), time.Hour))
		winners(t, s, "present", []byte("v"))
	}},
	{"of many who delete by Swap at once one does", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "code", []byte("v"), time.Hour))
		var won atomic.Int32
		together(t, 32, func(int) error {
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
		together(t, workers, func(int) error {
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
		has(t, s, "count", fmt.Append(nil, workers*steps))
	}},
}

// swap requires that a Swap for an hour answers want.
func swap(t *testing.T, s store.Store, key string, old, new []byte, want bool) {
	t.Helper()
	swapped, err := s.Swap(t.Context(), key, old, new, time.Hour)
	require.NoError(t, err)
	require.Equal(t, want, swapped, "swap %q from %.40q to %.40q", key, old, new)
}

// winners requires that of 32 who swap old for a mark of their own one wins, whose mark then is there.
func winners(t *testing.T, s store.Store, key string, old []byte) {
	t.Helper()
	won := make(chan string, 32)
	together(t, cap(won), func(i int) error {
		mark := "mark " + strconv.Itoa(i)
		swapped, err := s.Swap(t.Context(), key, old, []byte(mark), time.Hour)
		if swapped {
			won <- mark
		}
		return err
	})
	require.Len(t, won, 1)
	has(t, s, key, []byte(<-won))
}
