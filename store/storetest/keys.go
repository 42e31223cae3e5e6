package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
)

var keyChecks = []check{
	{"Keys yields each key that begins with prefix", func(t *testing.T, s store.Store) {
		require.Empty(t, listKeys(t, s, ""))
		for _, key := range similarKeys {
			require.NoError(t, s.Set(t.Context(), key, []byte("v"), time.Hour))
		}
		prefixes := []string{
			"", "t", "token/", "token/wx0123/s", "token/wx0123/S", "TOKEN", "token/wx0123/stable ", "%", "_", "*", "?", "[", `\`, "'",
			"token/wx0123/%", "token/wx0123/_", "token/wx0123/*", "token/wx0123/?", "token/wx0123/[", "token/wx0123/[a", `token/wx0123/\`,
			"t*", "t%", "t_", "t?", "小", "小店/", "小店/票", "kkk", "nothing", "^", "$", ".", ".*", "~", "token/{",
			strings.Repeat("k", 511), strings.Repeat("k", 512), strings.Repeat("k", 513),
		}
		for _, prefix := range slices.Concat(prefixes, similarKeys) {
			var want []string
			for _, key := range similarKeys {
				if strings.HasPrefix(key, prefix) {
					want = append(want, key)
				}
			}
			require.ElementsMatch(t, want, listKeys(t, s, prefix), "prefix %q", prefix)
		}
	}},
	{"Keys yields each key once, however many there are", func(t *testing.T, s store.Store) {
		const workers, each = 10, 60
		var want []string
		for i := range workers * each {
			want = append(want, fmt.Sprintf("many/%03d", i))
		}
		runTogether(t, workers, func(i int) error {
			for n := range each {
				if err := s.Set(t.Context(), want[i*each+n], []byte("v"), time.Hour); err != nil {
					return err
				}
			}
			return nil
		})
		require.ElementsMatch(t, want, listKeys(t, s, "many/"))
		require.ElementsMatch(t, want[100:200], listKeys(t, s, "many/1"))
	}},
	{"Keys leaves out what was deleted", func(t *testing.T, s store.Store) {
		for _, key := range []string{"a/1", "a/2", "a/3"} {
			require.NoError(t, s.Set(t.Context(), key, nil, 0))
		}
		require.NoError(t, s.Delete(t.Context(), "a/2"))
		requireSwap(t, s, "a/3", []byte{}, nil, true)
		require.Equal(t, []string{"a/1"}, listKeys(t, s, "a/"))
	}},
	{"a loop over Keys may end early", func(t *testing.T, s store.Store) {
		for _, key := range []string{"a/1", "a/2", "a/3"} {
			require.NoError(t, s.Set(t.Context(), key, nil, 0))
		}
		for range 40 { // more often than a pool has connections to leak
			for _, err := range s.Keys(t.Context(), "a/") {
				require.NoError(t, err)
				break
			}
		}
		require.Len(t, listKeys(t, s, "a/"), 3)
	}},
	{"a loop over Keys may use the store", func(t *testing.T, s store.Store) {
		for i := range 20 {
			require.NoError(t, s.Set(t.Context(), fmt.Sprint("a/", i), []byte("v"), 0))
		}
		seen := map[string]int{}
		for key, err := range s.Keys(t.Context(), "a/") {
			require.NoError(t, err)
			seen[key]++
			requireValue(t, s, key, []byte("v"))
			requireSwap(t, s, key, []byte("v"), []byte("w"), true)
			require.NoError(t, s.Delete(t.Context(), key))
		}
		require.Len(t, seen, 20)
		for key, n := range seen {
			require.Equal(t, 1, n, key)
		}
		require.Empty(t, listKeys(t, s, "a/"))
	}},
	{"a sequence of Keys may be used again", func(t *testing.T, s store.Store) {
		seq := s.Keys(t.Context(), "a/")
		require.NoError(t, s.Set(t.Context(), "a/1", nil, 0))
		for range 2 {
			n := 0
			for key, err := range seq {
				require.NoError(t, err)
				require.Equal(t, "a/1", key)
				n++
			}
			require.Equal(t, 1, n)
		}
	}},
}

// listKeys returns the keys that Keys yields.
func listKeys(t *testing.T, s store.Store, prefix string) []string {
	t.Helper()
	var all []string
	for key, err := range s.Keys(t.Context(), prefix) {
		require.NoError(t, err)
		all = append(all, key)
	}
	return all
}
