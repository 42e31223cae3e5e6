package registry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/store"
)

// newSealed returns a store that encrypts what it keeps in raw.
func newSealed(t *testing.T, raw store.Store) *store.Sealed {
	t.Helper()
	keys, err := store.ParseKeys(strings.Repeat("A", 43) + "=")
	require.NoError(t, err)
	return &store.Sealed{Store: raw, KeyRing: keys}
}

// planted returns values that a program without the keys of sealed records may write, by what they are.
func planted(t *testing.T) map[string][]byte {
	t.Helper()
	foreign := new(store.Memory)
	keys, err := store.ParseKeys(strings.Repeat("B", 42) + "A=")
	require.NoError(t, err)
	require.NoError(t, (&store.Sealed{Store: foreign, KeyRing: keys}).Set(t.Context(), "registry/changes", []byte(`{}`), 0))
	other := new(store.Memory)
	require.NoError(t, newSealed(t, other).Set(t.Context(), "another key", []byte(`{}`), 0))
	return map[string][]byte{
		"not sealed":              []byte(`{"revision":9000000000000000,"floor":0,"changes":[]}`),
		"a later version":         []byte(`{"v":1}`),
		"no JSON":                 []byte("x"),
		"empty":                   {},
		"sealed with another key": mustGet(t, foreign, "registry/changes"),
		"sealed for another key":  mustGet(t, other, "another key"),
		"too large":               make([]byte, 3<<20),
	}
}

func TestARecordOfChangesThatCannotBeReadIsReplaced(t *testing.T) {
	for name, value := range planted(t) {
		for _, first := range []string{"a change", "a reader"} { // meets it first
			t.Run(name+" for "+first, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					raw := new(store.Memory)
					healed := 0
					r := &registry.Registry{Store: newSealed(t, raw), OnHeal: func(_ context.Context, err error) {
						healed++
						require.True(t, registry.IsUnreadable(err))
						require.ErrorContains(t, err, "registry/changes")
					}}
					_, err := put(t.Context(), r, "shop", "shop", `1`)
					require.NoError(t, err)
					f := follow(t, r)
					require.NoError(t, raw.Set(t.Context(), "registry/changes", value, 0))

					reads := func(want bool, says string) {
						t.Helper()
						_, all, err := f.Read(t.Context())
						require.NoError(t, err)
						require.Equal(t, want, all, says)
					}
					if first == "a change" {
						_, err = put(t.Context(), r, "news", "news", `1`)
						require.NoError(t, err)
					}
					reads(true, "a change that was named there is lost")
					reads(false, "nothing has changed since")
					time.Sleep(29 * time.Second)
					reads(false, "nothing has changed since")
					time.Sleep(time.Second)
					reads(true, "a change that was pending has been made by now")
					reads(false, "nothing has changed since")
					require.NoError(t, remove(t.Context(), r, "shop"))
					require.Equal(t, 1, healed)
					_, _ = read(t, f)
					_, err = put(t.Context(), r, "last", "last", `1`)
					require.NoError(t, err)
					ids, all := read(t, f)
					require.Equal(t, []string{"last"}, ids)
					require.False(t, all)
					require.Equal(t, 1, healed)
				})
			})
		}
	}
}

// Processes whose clocks differ number changes from different times.
func TestAReplacedRecordOfChangesIsNotMistakenForTheFormerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		r := &registry.Registry{Store: s}
		ahead := time.Now().Add(5 * time.Second).UnixMilli() // by a clock that is ahead
		require.NoError(t, s.Set(t.Context(), "registry/changes", fmt.Appendf(nil, `{"epoch":"a","revision":%d,"floor":%[1]d,"changes":[]}`, ahead), 0))
		f := follow(t, r)
		require.NoError(t, s.Set(t.Context(), "registry/changes", []byte("x"), 0))
		_, err := put(t.Context(), r, "missed", "missed", `1`)
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		_, err = put(t.Context(), r, "last", "last", `1`)
		require.NoError(t, err)
		_, all := read(t, f)
		require.True(t, all)
	})
}

// lateStore answers a read after another process has changed what was read.
type lateStore struct {
	*store.Sealed
	meanwhile func()
}

func (s *lateStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	value, ok, err := s.Sealed.Get(ctx, key)
	if f := s.meanwhile; key == "registry/changes" && f != nil {
		s.meanwhile = nil
		f()
	}
	return value, ok, err
}

// Two processes meet a record that neither can read: the later one keeps what the first has written in its place.
func TestAReplacedRecordOfChangesIsNotReplacedAgain(t *testing.T) {
	for name, value := range planted(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				raw, late := new(store.Memory), new(lateStore)
				late.Sealed = newSealed(t, raw)
				first := &registry.Registry{Store: newSealed(t, raw)}
				healed := 0
				second := &registry.Registry{Store: late, OnHeal: func(context.Context, error) { healed++ }}
				f := follow(t, first)
				require.NoError(t, raw.Set(t.Context(), "registry/changes", value, 0))
				_, _, err := f.Read(t.Context())
				require.NoError(t, err)
				require.NoError(t, raw.Set(t.Context(), "registry/changes", value, 0))
				late.meanwhile = func() {
					_, err := put(t.Context(), first, "shop", "shop", `1`)
					require.NoError(t, err)
				}
				_, err = put(t.Context(), second, "news", "news", `1`)
				require.NoError(t, err)
				require.Zero(t, healed)
				_, _, err = f.Read(t.Context())
				require.NoError(t, err)
				record, _, err := late.Sealed.Get(t.Context(), "registry/changes")
				require.NoError(t, err)
				require.Contains(t, string(record), "app/shop")
				require.Contains(t, string(record), "app/news")
			})
		})
	}
}

// Two administrators delete a damaged entry, and one registers it anew.
func TestDiscardLeavesARecordThatWasReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := new(store.Memory)
		one, two := &registry.Registry{Store: newSealed(t, raw)}, &registry.Registry{Store: newSealed(t, raw)}
		_, err := put(t.Context(), one, "shop", "shop", `1`)
		require.NoError(t, err)
		require.NoError(t, raw.Set(t.Context(), "registry/app/shop", []byte("x"), 0))
		id, reason, err := one.FindUnreadable(t.Context(), "app", "shop", "shop")
		require.NoError(t, err)
		require.Error(t, reason)
		require.NoError(t, two.Discard(t.Context(), "app", "shop", id))
		_, err = put(t.Context(), two, "shop", "shop", `2`)
		require.NoError(t, err)
		require.NoError(t, one.Discard(t.Context(), "app", "shop", id))
		_, ok, err := two.ByID(t.Context(), "app", "shop")
		require.NoError(t, err)
		require.True(t, ok)
	})
}
