package storetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
)

// oddValues are values that a store would change if it treated bytes as text.
var oddValues = map[string][]byte{
	"text":         []byte("hello, 世界"),
	"empty":        {},
	"one byte":     {'x'},
	"NUL":          []byte("before\x00after"),
	"only NUL":     {0},
	"no UTF-8":     {0xff, 0xfe, 0xc3, 0x28, 0x80},
	"quotes":       []byte(`'"\;--` + "`"),
	"line ends":    []byte("\r\n \t\n"),
	"each byte":    eachByte(),
	"64 KiB":       bytes.Repeat([]byte("0123456789abcdef"), 64<<10/16),
	"NULL":         []byte("NULL"),
	"looks hex":    []byte(`\x00ff`),
	"blanks after": []byte("x   "),
}

func eachByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// similarKeys are keys that a store might confuse: by case, by form, by blanks, or as patterns.
var similarKeys = []string{
	"token/wx0123/stable", "token/wx0123/Stable", "TOKEN/WX0123/STABLE", "token/wx0123/stable ", " token/wx0123/stable",
	"token/wx0123/stabl", "token/wx0123/stable/", "token/wx0123/%", "token/wx0123/_", "token/wx0123/*", "token/wx0123/?",
	"token/wx0123/[a-z]", "token/wx0123/[", "token/wx0123/]", `token/wx0123/\`, `token/wx0123/\\`, `token/wx0123/\*`,
	"token/wx0123/'", `token/wx0123/"`, "token/{wx0123}/stable", "小店/票据", "小店/票據", "caf\u00e9", "cafe\u0301", "cafe", "ß", "ss",
	"a\nb", "a\tb", "a b", ":", "$1", "?1", ":1", "@p", "0", "00", "0.0", "1e3", "1000", "null", "NULL",
	strings.Repeat("k", 511), strings.Repeat("k", 512), strings.Repeat("k", 511) + "K",
}

var valueChecks = []check{
	{"Get returns what Set wrote, byte for byte", func(t *testing.T, s store.Store) {
		for name, value := range oddValues {
			require.NoError(t, s.Set(t.Context(), name, value, 0), name)
			requireValue(t, s, name, value)
		}
	}},
	{"an absent key is no error", func(t *testing.T, s store.Store) {
		requireAbsent(t, s, "absent")
	}},
	{"an empty value is not an absent one", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "empty", []byte{}, time.Hour))
		value, ok, err := s.Get(t.Context(), "empty")
		require.NoError(t, err)
		require.True(t, ok)
		require.Empty(t, value)
		require.NoError(t, s.Set(t.Context(), "nil", nil, 0), "a nil value is an empty one")
		_, ok, err = s.Get(t.Context(), "nil")
		require.NoError(t, err)
		require.True(t, ok)
	}},
	{"Set replaces the value", func(t *testing.T, s store.Store) {
		for _, value := range []string{"a longer value than the next", "short", "", "again"} {
			require.NoError(t, s.Set(t.Context(), "k", []byte(value), 0))
			requireValue(t, s, "k", []byte(value))
		}
	}},
	{"the value that Get returned belongs to the caller", func(t *testing.T, s store.Store) {
		for _, value := range []string{"x", "value"} {
			require.NoError(t, s.Set(t.Context(), "k", []byte(value), 0))
			got, _, err := s.Get(t.Context(), "k")
			require.NoError(t, err)
			for i := range got {
				got[i] = '!'
			}
			_ = append(got, "and more"...)
			requireValue(t, s, "k", []byte(value))
		}
	}},
	{"Set and Swap keep no reference to the value", func(t *testing.T, s store.Store) {
		value := []byte("value")
		require.NoError(t, s.Set(t.Context(), "set", value, 0))
		_, err := s.Swap(t.Context(), "swap", nil, value, 0)
		require.NoError(t, err)
		value[0] = '!'
		requireValue(t, s, "set", []byte("value"))
		requireValue(t, s, "swap", []byte("value"))
	}},
	{"Delete removes one key, and an absent one without error", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Delete(t.Context(), "absent"))
		require.NoError(t, s.Set(t.Context(), "k", []byte("1"), 0))
		require.NoError(t, s.Set(t.Context(), "k2", []byte("2"), 0))
		require.NoError(t, s.Delete(t.Context(), "k"))
		requireAbsent(t, s, "k")
		requireValue(t, s, "k2", []byte("2"))
	}},
	{"keys are compared byte by byte", func(t *testing.T, s store.Store) {
		for i, key := range similarKeys {
			swapped, err := s.Swap(t.Context(), key, nil, fmt.Append(nil, i), 0)
			require.NoError(t, err, "%q", key)
			require.True(t, swapped, "%q was taken for another key", key)
		}
		for i, key := range similarKeys {
			requireValue(t, s, key, fmt.Append(nil, i))
		}
		require.NoError(t, s.Delete(t.Context(), "token/wx0123/*"))
		require.NoError(t, s.Delete(t.Context(), "token/wx0123/%"))
		requireValue(t, s, "token/wx0123/stable", []byte("0"))
	}},
	{"a ctx that is done is an error and never a miss", func(t *testing.T, s store.Store) {
		require.NoError(t, s.Set(t.Context(), "k", []byte("value"), 0))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, ok, err := s.Get(ctx, "k")
		require.Error(t, err)
		require.False(t, ok)
		require.Error(t, s.Set(ctx, "k", []byte("other"), 0))
		swapped, err := s.Swap(ctx, "k", []byte("value"), []byte("other"), 0)
		require.Error(t, err)
		require.False(t, swapped)
		_, err = s.Swap(ctx, "new", nil, []byte("other"), 0)
		require.Error(t, err)
		require.Error(t, s.Delete(ctx, "k"))
		errs := 0
		for key, err := range s.Keys(ctx, "") {
			require.Error(t, err, "got %q", key)
			errs++
		}
		require.Equal(t, 1, errs, "an error ends the sequence")
		requireValue(t, s, "k", []byte("value"))
		requireAbsent(t, s, "new")
	}},
	{"all methods are safe for concurrent use", func(t *testing.T, s store.Store) {
		var writing atomic.Int32
		writing.Store(4)
		runTogether(t, 8, func(i int) error {
			if i < 4 {
				defer writing.Add(-1)
				return writeKeys(t.Context(), s)
			}
			for writing.Load() > 0 {
				if err := readKeys(t.Context(), s); err != nil {
					return err
				}
			}
			return nil
		})
	}},
}

// writeKeys and readKeys use few keys often. A value that does not begin with "value" is torn.
func writeKeys(ctx context.Context, s store.Store) error {
	for n := range 8 {
		key := fmt.Sprintf("key/%d", n%2)
		if err := s.Set(ctx, key, fmt.Append(nil, "value ", n), time.Hour); err != nil {
			return err
		}
		if _, err := s.Swap(ctx, key, fmt.Append(nil, "value ", n), []byte("value swapped"), -1); err != nil {
			return err
		}
		if n%4 == 3 {
			if err := s.Delete(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func readKeys(ctx context.Context, s store.Store) error {
	for key, err := range s.Keys(ctx, "key/") {
		if err != nil {
			return err
		}
		value, ok, err := s.Get(ctx, key)
		if err != nil {
			return err
		}
		if ok && !bytes.HasPrefix(value, []byte("value ")) {
			return fmt.Errorf("a torn value: %q", value)
		}
	}
	return nil
}

// requireValue requires that key holds value.
func requireValue(t *testing.T, s store.Store, key string, value []byte) {
	t.Helper()
	got, ok, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	require.True(t, ok, "%q is absent", key)
	require.True(t, bytes.Equal(value, got), "%q holds %.80q, not %.80q", key, got, value)
}

// requireAbsent requires that key is absent.
func requireAbsent(t *testing.T, s store.Store, key string) {
	t.Helper()
	value, ok, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	require.False(t, ok, "%q is there", key)
	require.Empty(t, value)
}

// runTogether calls do n times at once, with 0 to n-1, and requires that no call fails.
func runTogether(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}
