package registry_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/store"
)

// Each file of testdata is a record as the first release wrote it: its key, a line feed and its value.

func recorded(t *testing.T, name string) (key string, value []byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	before, value, ok := bytes.Cut(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	require.True(t, ok)
	return string(before), value
}

var records = []string{"entry", "name", "former", "list", "changes"}

// anonymous returns a record without the values that are random.
func anonymous(t *testing.T, value []byte) (fields map[string]any) {
	require.NoError(t, json.Unmarshal(value, &fields))
	for _, name := range []string{"revision", "epoch"} {
		if text, ok := fields[name].(string); ok {
			require.NotEmpty(t, text)
			fields[name] = ""
		}
	}
	return fields
}

func TestRecordsAreThoseOfTheFirstRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the time begins at 2000-01-01
		s := new(store.Memory)
		r := &registry.Registry{Store: s}
		_, err := put(t.Context(), r, "old", "s1", `{"app_id":"wx1"}`, "appid/wx1")
		require.NoError(t, err)
		require.NoError(t, rename(t.Context(), r, "old", "shop"))
		for _, name := range records {
			key, want := recorded(t, name)
			require.Equal(t, anonymous(t, want), anonymous(t, mustGet(t, s, key)), name)
		}
	})
}

func TestRecordsOfTheFirstReleaseAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		for _, name := range records {
			key, value := recorded(t, name)
			require.NoError(t, s.Set(t.Context(), key, value, 0))
		}
		r := &registry.Registry{Store: s}
		require.Equal(t, `{"app_id":"wx1"}`, found(t, r, "shop"))
		require.Equal(t, `{"app_id":"wx1"}`, found(t, r, "old"))
		require.Equal(t, []string{"s1"}, withTerm(t, r, "appid/wx1"))
		f := follow(t, r)
		_, err := put(t.Context(), r, "shop", "s1", `2`)
		require.NoError(t, err)
		ids, all := read(t, f)
		require.Equal(t, []string{"s1"}, ids)
		require.False(t, all)
	})
}

func TestRecordsOfALaterReleaseAreRefused(t *testing.T) {
	for _, name := range records {
		s := new(store.Memory)
		for _, other := range records {
			key, value := recorded(t, other)
			if other == name {
				value = []byte(`{"v":1,"ids":"another form","id":["s1"],"revision":{}}`)
			}
			require.NoError(t, s.Set(t.Context(), key, value, 0))
		}
		r := &registry.Registry{Store: s}
		changed := "shop"
		if name == "former" {
			changed = "old"
		}
		_, err := put(t.Context(), r, changed, "s1", `2`, "appid/wx1", "appid/wx2")
		require.ErrorIs(t, err, registry.ErrNewer, name)
	}
}

func FuzzRecords(f *testing.F) {
	for _, name := range records {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		_, value, _ := bytes.Cut(b, []byte("\n"))
		f.Add(value)
	}
	f.Add([]byte(`{"v":-1}`))
	f.Add([]byte(`{"id":"s1","name":"a/b","revision":"x","settings":null}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		s := new(store.Memory)
		for _, name := range records {
			key, _ := recorded(t, name)
			require.NoError(t, s.Set(t.Context(), key, value, 0))
		}
		r := &registry.Registry{Store: s}
		if e, ok, err := r.ByName(t.Context(), app, "shop"); ok {
			require.NoError(t, err)
			require.Equal(t, "s1", e.ID)
		}
		_, _ = r.ByTerm(t.Context(), app, "appid/wx1", 10)
		_, _, _ = (&registry.Feed{Registry: r}).Read(t.Context())
		_, _ = put(t.Context(), r, "shop", "s1", `2`, "appid/wx1")
	})
}
