package registry_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/store"
)

// follow returns a Feed that has read all changes so far.
func follow(t *testing.T, r *registry.Registry) *registry.Feed {
	t.Helper()
	f := &registry.Feed{Registry: r}
	_, all, err := f.Read(t.Context())
	require.NoError(t, err)
	require.True(t, all, "the first Read may have missed anything")
	return f
}

// read returns the ids that a Feed reports.
func read(t *testing.T, f *registry.Feed) (ids []string, all bool) {
	t.Helper()
	changed, all, err := f.Read(t.Context())
	require.NoError(t, err)
	for _, c := range changed {
		require.Equal(t, app, c.Kind)
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), all
}

func TestAFeedReportsEachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &registry.Registry{Store: new(store.Memory)}
		early := follow(t, r)
		_, err := put(t.Context(), r, "shop", "shop", `1`)
		require.NoError(t, err)
		_, all := read(t, early)
		require.True(t, all, "the record of changes is new")
		f := follow(t, r)
		ids, all := read(t, f)
		require.Empty(t, ids)
		require.False(t, all)
		for _, name := range []string{"a", "b"} {
			_, err := put(t.Context(), r, name, name, `1`)
			require.NoError(t, err)
		}
		require.NoError(t, remove(t.Context(), r, "shop"))
		ids, all = read(t, f)
		require.Equal(t, []string{"a", "b", "shop"}, ids)
		require.False(t, all)
		ids, _ = read(t, f)
		require.Empty(t, ids)
	})
}

func TestAFeedThatIsTooFarBehindReportsAll(t *testing.T) {
	s := new(store.Memory)
	r := &registry.Registry{Store: s}
	_, err := put(t.Context(), r, "first", "first", `1`)
	require.NoError(t, err)
	f := follow(t, r)
	for i := range 255 {
		_, err := put(t.Context(), r, fmt.Sprint(i), fmt.Sprint(i), `1`)
		require.NoError(t, err)
	}
	ids, all := read(t, f)
	require.Len(t, ids, 255)
	require.False(t, all)
	for i := range 257 {
		_, err := put(t.Context(), r, fmt.Sprint(i), fmt.Sprint(i), `2`)
		require.NoError(t, err)
	}
	_, all = read(t, f)
	require.True(t, all)

	require.NoError(t, s.Delete(t.Context(), "registry/changes"))
	_, all = read(t, f)
	require.True(t, all, "the store has lost the changes")
	_, err = put(t.Context(), r, "last", "last", `1`)
	require.NoError(t, err)
	_, all = read(t, f)
	require.True(t, all)
}

// A process that ends after it has written the entry leaves a change that is pending.
func TestAPendingChangeIsReportedFor30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		r := &registry.Registry{Store: s}
		_, err := put(t.Context(), r, "shop", "shop", `1`)
		require.NoError(t, err)
		f := follow(t, r)
		_, err = put(context.Background(), &registry.Registry{Store: &dyingStore{s, 1}}, "shop", "shop", `2`)
		require.ErrorIs(t, err, errDied)
		for range 30 {
			ids, _ := read(t, f)
			require.Equal(t, []string{"shop"}, ids)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		ids, _ := read(t, f)
		require.Empty(t, ids)

		// Another process changes the entry meanwhile: its mark does not replace that of the first.
		_, err = put(context.Background(), &registry.Registry{Store: &dyingStore{s, 1}}, "shop", "shop", `3`)
		require.ErrorIs(t, err, errDied)
		_, err = put(t.Context(), r, "shop", "shop", `4`)
		require.NoError(t, err)
		read(t, f)
		ids, _ = read(t, f)
		require.Equal(t, []string{"shop"}, ids)
	})
}
