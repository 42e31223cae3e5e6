package outbox_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/store"
)

// Each file of testdata is a record as the first release wrote it: its key, a line feed and its value.
// Processes of several releases share a store while one replaces the other, so each release must read them.

func record(t *testing.T, kind string) (key string, value []byte) {
	b, err := os.ReadFile(filepath.Join("testdata", kind))
	require.NoError(t, err)
	before, value, ok := bytes.Cut(b, []byte("\n"))
	require.True(t, ok)
	return string(before), value
}

// recorded are the kinds of records, and the keys under which they were added.
var recorded = map[string][]string{
	"item":             nil,
	"item_signed":      {"sign key"},
	"item_signed_with": {"sign key", "previous sign key"},
}

// fieldsOf returns the fields of a record, with its time in UTC.
func fieldsOf(t *testing.T, value []byte) (fields map[string]any) {
	require.NoError(t, json.Unmarshal(value, &fields))
	at, err := time.Parse(time.RFC3339Nano, fields["added"].(string))
	require.NoError(t, err)
	fields["added"] = at.UTC()
	return fields
}

func TestAddWritesRecordsOfTheFirstRelease(t *testing.T) {
	for kind, keys := range recorded {
		synctest.Test(t, func(t *testing.T) {
			s := new(store.Memory)
			require.NoError(t, (&outbox.Outbox{Store: s, Keys: keysFor(keys...)}).Add(t.Context(), shopItem))
			key, value := added(t, s)
			wantKey, want := record(t, kind)
			require.Equal(t, wantKey, key, kind)
			require.Equal(t, fieldsOf(t, want), fieldsOf(t, value), kind)
		})
	}
}

func TestRecordsOfTheFirstReleaseAreDelivered(t *testing.T) {
	for kind, keys := range recorded {
		synctest.Test(t, func(t *testing.T) {
			s := new(store.Memory)
			key, value := record(t, kind)
			require.NoError(t, s.Set(t.Context(), key, value, time.Hour))
			if len(keys) == 2 {
				keys = keys[1:] // one of the keys is enough
			}
			x, r := deliverAll(t, s, keys...)
			require.Equal(t, 1, x.count("a"), kind)
			require.Empty(t, r.list, kind)
			require.Empty(t, keysOf(t, s), kind)
		})
	}
}

func TestRecordOfALaterReleaseIsKept(t *testing.T) {
	for name, planted := range map[string]string{
		"with a new field":            `{"app":"shop","id":"a","target":"http://crm/wx","body":"PHhtbC8+","added":"2000-01-01T00:00:00Z","v":1,"new":[]}`,
		"with another form":           `{"v":2,"id":{"new":"a"},"added":946684800}`,
		"of a later release, too old": `{"v":1,"added":"1999-01-01T00:00:00Z"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			s, x, r := new(store.Memory), new(target), new(reports)
			first, _ := record(t, "item_signed")
			later := first[:len(first)-1] + "0" // of the same target
			require.NoError(t, s.Set(t.Context(), later, []byte(planted), 48*time.Hour))
			o := &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Keys: keysFor("sign key")}
			require.NoError(t, o.Add(t.Context(), shopItem))
			stop := runOutbox(t, o)
			<-time.After(25 * time.Hour)
			synctest.Wait()
			stop()
			require.Equal(t, 1, x.count("a"), "%s: readable items do not wait", name)
			require.Equal(t, 1, x.total(), name)
			require.Equal(t, 1, r.count("items wait for a process of a later release"), "%s: %q", name, r.list)
			require.Len(t, r.list, 1, name)
			value, ok, err := s.Get(t.Context(), later)
			require.NoError(t, err)
			require.True(t, ok, name)
			require.Equal(t, planted, string(value), name)
		})
	}
}
