package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/store"
)

const app = registry.Kind("app")

// put stores an entry with an id under a name, whatever is there.
func put(ctx context.Context, r *registry.Registry, name, id, settings string, terms ...string) (*registry.Entry, error) {
	return r.Change(ctx, app, name, "", func(old *registry.Entry) (*registry.Entry, error) {
		if old != nil {
			id = old.ID
		}
		return &registry.Entry{ID: id, Name: name, Settings: json.RawMessage(settings), Terms: terms}, nil
	})
}

func remove(ctx context.Context, r *registry.Registry, name string) error {
	_, err := r.Change(ctx, app, name, "", func(*registry.Entry) (*registry.Entry, error) { return nil, nil })
	return err
}

func rename(ctx context.Context, r *registry.Registry, from, to string) error {
	_, err := r.Change(ctx, app, from, "", func(old *registry.Entry) (*registry.Entry, error) {
		if old == nil {
			return nil, nil
		}
		old.Name = to
		return old, nil
	})
	return err
}

// found returns the settings that a name leads to, or "".
func found(t *testing.T, r *registry.Registry, name string) string {
	t.Helper()
	e, ok, err := r.ByName(t.Context(), app, name)
	require.NoError(t, err)
	if !ok {
		return ""
	}
	return string(e.Settings)
}

// withTerm returns the ids of the entries that have a term.
func withTerm(t *testing.T, r *registry.Registry, term string) (ids []string) {
	t.Helper()
	list, err := r.ByTerm(t.Context(), app, term, 100)
	require.NoError(t, err)
	for _, e := range list {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestAnEntryIsFoundByIDNameAndTerm(t *testing.T) {
	r := &registry.Registry{Store: new(store.Memory)}
	first, err := put(t.Context(), r, "shop", "s1", `{"a":1}`, "appid/wx1", "keep/01")
	require.NoError(t, err)
	require.NotEmpty(t, first.Revision)
	require.Equal(t, `{"a":1}`, found(t, r, "shop"))
	e, ok, err := r.ByID(t.Context(), app, "s1")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "shop", e.Name)
	require.Equal(t, []string{"s1"}, withTerm(t, r, "appid/wx1"))

	second, err := put(t.Context(), r, "shop", "ignored", `{"a":2}`, "appid/wx2")
	require.NoError(t, err)
	require.NotEqual(t, first.Revision, second.Revision)
	require.Empty(t, withTerm(t, r, "appid/wx1"))
	require.Empty(t, withTerm(t, r, "keep/01"))
	require.Equal(t, []string{"s1"}, withTerm(t, r, "appid/wx2"))
	for _, name := range []string{"", "none", "a/b", strings.Repeat("x", 65), "\xff"} {
		require.Empty(t, found(t, r, name))
	}

	require.NoError(t, remove(t.Context(), r, "shop"))
	require.Empty(t, found(t, r, "shop"))
	require.Empty(t, withTerm(t, r, "appid/wx2"))
	require.NoError(t, remove(t.Context(), r, "shop"), "nothing to remove is no error")
}

func TestNamesAndIDsBelongToOneEntry(t *testing.T) {
	r := &registry.Registry{Store: new(store.Memory)}
	_, err := put(t.Context(), r, "shop", "shop", `1`)
	require.NoError(t, err)
	_, err = put(t.Context(), r, "news", "shop", `2`)
	require.ErrorIs(t, err, registry.ErrIDTaken)
	_, err = put(t.Context(), r, "news", "news", `2`)
	require.NoError(t, err)
	require.ErrorIs(t, rename(t.Context(), r, "news", "shop"), registry.ErrNameTaken)
	require.Equal(t, "1", found(t, r, "shop"))
	require.Equal(t, "2", found(t, r, "news"))
}

func TestAFormerNameLeadsToItsEntryFor30Days(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &registry.Registry{Store: new(store.Memory)}
		_, err := put(t.Context(), r, "old", "old", `1`)
		require.NoError(t, err)
		require.NoError(t, rename(t.Context(), r, "old", "new"))
		time.Sleep(30*24*time.Hour - time.Second)
		require.Equal(t, "1", found(t, r, "old"))
		require.Equal(t, "1", found(t, r, "new"))
		_, err = put(t.Context(), r, "old", "other", `2`)
		require.ErrorIs(t, err, registry.ErrNameTaken)
		time.Sleep(2 * time.Second)
		require.Empty(t, found(t, r, "old"))
		_, err = put(t.Context(), r, "old", "other", `2`)
		require.NoError(t, err)
		require.Equal(t, "2", found(t, r, "old"))
		require.NoError(t, rename(t.Context(), r, "new", "third"))
		require.NoError(t, rename(t.Context(), r, "third", "new"), "an entry may have its own name back")
		require.Equal(t, "1", found(t, r, "third"))
	})
}

func TestAnEntryGoesByItselfAtDeleteAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		r := &registry.Registry{Store: s}
		at := time.Now().Add(time.Hour)
		_, err := r.Change(t.Context(), app, "shop", "", func(*registry.Entry) (*registry.Entry, error) {
			return &registry.Entry{ID: "shop", Name: "shop", Settings: json.RawMessage(`{"secret":"s"}`), DeleteAt: at.UnixMilli(), Terms: []string{"appid/wx1"}}, nil
		})
		require.NoError(t, err)
		time.Sleep(time.Hour + time.Second)
		require.Empty(t, found(t, r, "shop"))
		require.Empty(t, withTerm(t, r, "appid/wx1"))
		for key, err := range s.Keys(t.Context(), "") {
			require.NoError(t, err)
			value, _, _ := s.Get(t.Context(), key)
			require.NotContains(t, string(value), "secret")
		}
		_, err = put(t.Context(), r, "shop", "other", `2`, "appid/wx1")
		require.NoError(t, err, "its name is free")
		require.Equal(t, []string{"other"}, withTerm(t, r, "appid/wx1"))
	})
}

func TestChangesAtOnceLoseNone(t *testing.T) {
	r := &registry.Registry{Store: new(store.Memory)}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 20 {
				_, err := put(t.Context(), r, fmt.Sprint("app", n, "-", i), fmt.Sprint("app", n, "-", i), `1`, "keep/01")
				require.NoError(t, err)
				_, err = r.Change(t.Context(), app, "counter", "", func(old *registry.Entry) (*registry.Entry, error) {
					if old == nil {
						return &registry.Entry{ID: "counter", Name: "counter", Settings: json.RawMessage("1")}, nil
					}
					count := 0
					require.NoError(t, json.Unmarshal(old.Settings, &count))
					old.Settings = json.RawMessage(fmt.Sprint(count + 1))
					return old, nil
				})
				require.NoError(t, err)
			}
		})
	}
	all.Wait()
	require.Equal(t, "160", found(t, r, "counter"))
	ids, err := r.Listed(t.Context(), app, "keep/01")
	require.NoError(t, err)
	require.Len(t, ids, 160)
	read := 0
	for e, err := range r.All(t.Context(), app) {
		require.NoError(t, err)
		require.NotNil(t, e)
		read++
	}
	require.Equal(t, 161, read)
	var paged []string
	for after, more := "", true; more; {
		var page []string
		page, more, err = r.Page(t.Context(), app, after, 50)
		require.NoError(t, err)
		paged = append(paged, page...)
		after = page[len(page)-1]
	}
	require.Len(t, paged, 161)
	require.True(t, slices.IsSorted(paged))
}

// dyingStore fails for ever after a number of calls that change it, as if its process had ended there.
type dyingStore struct {
	store.Store
	left int
}

var errDied = errors.New("the process has ended")

func (d *dyingStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if d.left == 0 {
		return false, errDied
	}
	d.left--
	return d.Store.Swap(ctx, key, old, new, ttl)
}

func TestAProcessMayEndAtAnyStepOfAChange(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		change func(*registry.Registry) error
		steps  int // calls that change the store
	}{
		"make": {func(r *registry.Registry) error {
			_, err := put(ctx, r, "made", "made", `"made"`, "appid/wx1", "keep/01")
			return err
		}, 6},
		"modify": {func(r *registry.Registry) error {
			_, err := put(ctx, r, "shop", "shop", `"modified"`, "appid/wx2")
			return err
		}, 5},
		"rename": {func(r *registry.Registry) error { return rename(ctx, r, "shop", "renamed") }, 4},
		"remove": {func(r *registry.Registry) error { return remove(ctx, r, "shop") }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			for dies := range c.steps + 1 {
				synctest.Test(t, func(t *testing.T) {
					s := new(store.Memory)
					r := &registry.Registry{Store: s}
					_, err := put(ctx, r, "shop", "shop", `"first"`, "appid/wx1")
					require.NoError(t, err)
					_, err = put(ctx, r, "other", "other", `"other"`, "appid/wx1")
					require.NoError(t, err)
					time.Sleep(2 * time.Minute)
					feed := &registry.Feed{Registry: r}
					_, _, err = feed.Read(ctx)
					require.NoError(t, err)
					before := fmt.Sprint(found(t, r, "shop"), found(t, r, "made"), found(t, r, "renamed"))

					dying := &dyingStore{s, dies}
					err = c.change(&registry.Registry{Store: dying})
					if dies == c.steps {
						require.NoError(t, err)
						require.Zero(t, dying.left, "every step was tried")
					}
					if err != nil {
						require.ErrorIs(t, err, errDied)
					}
					after := fmt.Sprint(found(t, r, "shop"), found(t, r, "made"), found(t, r, "renamed"))
					require.True(t, err != nil || after != before)
					changed, all, err := feed.Read(ctx)
					require.NoError(t, err)
					require.False(t, all)
					if after != before {
						require.NotEmpty(t, changed, "others learn of the change")
					}
					require.Equal(t, `"other"`, found(t, r, "other"), "another entry is as it was")
					require.Contains(t, withTerm(t, r, "appid/wx1"), "other")

					time.Sleep(2 * time.Minute)
					require.NoError(t, c.change(r), "the change can be made by another process")
					_, err = put(ctx, r, "made", "made-too", `"last"`)
					require.NoError(t, err)
				})
			}
		})
	}
}

func TestANameIsReservedForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		_, err := put(t.Context(), &registry.Registry{Store: &dyingStore{s, 1}}, "shop", "first", `1`)
		require.ErrorIs(t, err, errDied)
		r := &registry.Registry{Store: s}
		_, err = put(t.Context(), r, "shop", "second", `2`)
		require.ErrorIs(t, err, registry.ErrNameTaken)
		time.Sleep(time.Minute + time.Second)
		_, err = put(t.Context(), r, "shop", "second", `2`)
		require.NoError(t, err)
		require.Equal(t, "2", found(t, r, "shop"))
	})
}

func TestAnIndexThatIsWrongIsNotBelieved(t *testing.T) {
	s := new(store.Memory)
	r := &registry.Registry{Store: s}
	_, err := put(t.Context(), r, "shop", "shop", `1`, "appid/wx1")
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "registry/app-name/planted", []byte(`{"id":"shop","reserved_at":1}`), 0))
	require.NoError(t, s.Set(t.Context(), "registry/app-list/appid/wx2", []byte(`{"ids":{"shop":1,"none":1}}`), 0))
	require.Empty(t, found(t, r, "planted"))
	require.Empty(t, withTerm(t, r, "appid/wx2"))
	require.NoError(t, s.Set(t.Context(), "registry/app/moved", mustGet(t, s, "registry/app/shop"), 0))
	_, _, err = r.ByID(t.Context(), app, "moved")
	require.ErrorContains(t, err, "another id")
}

func mustGet(t *testing.T, s store.Store, key string) []byte {
	t.Helper()
	value, ok, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	require.True(t, ok, key)
	return value
}
