package outbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/store"
)

// keysFor returns Keys for app shop alone.
func keysFor(keys ...string) func(string) ([]string, error) {
	return func(app string) ([]string, error) {
		if app != "shop" {
			return nil, fmt.Errorf("unknown app %.64q", app)
		}
		return keys, nil
	}
}

var shopItem = outbox.Item{App: "shop", ID: "a", Target: "http://crm/wx", Query: "appid=wx1", ContentType: "text/xml", Body: []byte("<xml/>")}

// added returns the only item of a store and its key.
func added(t *testing.T, s store.Store) (key string, record []byte) {
	for _, key = range keysOf(t, s) {
		if strings.HasPrefix(key, "item/") {
			break
		}
	}
	record, ok, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	require.True(t, ok)
	return key, record
}

// deliverAll runs an outbox on a store for five seconds.
func deliverAll(t *testing.T, s store.Store, keys ...string) (*target, *reports) {
	x, r := new(target), new(reports)
	stop := runOutbox(t, &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Keys: keysFor(keys...)})
	<-time.After(5 * time.Second)
	stop()
	return x, r
}

func TestForgedItemIsDroppedAndNotSent(t *testing.T) {
	forge := map[string]func(i *outbox.Item){
		"without a code": func(i *outbox.Item) { i.MACs = nil },
		"empty code":     func(i *outbox.Item) { i.MACs = [][]byte{{}} },
		"wrong code":     func(i *outbox.Item) { i.MACs = [][]byte{bytes.Repeat([]byte{1}, 32)} },
		"target":         func(i *outbox.Item) { i.Target = "http://evil/wx" },
		"query":          func(i *outbox.Item) { i.Query = "appid=wx2" },
		"type":           func(i *outbox.Item) { i.ContentType = "application/json" },
		"body":           func(i *outbox.Item) { i.Body = []byte("<xml>1</xml>") },
		"id":             func(i *outbox.Item) { i.ID = "b" },
		"time":           func(i *outbox.Item) { i.Added = i.Added.Add(time.Nanosecond) },
		"moved text":     func(i *outbox.Item) { i.Query, i.ContentType = "appid=wx1text/", "xml" },
		"many codes":     func(i *outbox.Item) { i.MACs = append(i.MACs, i.MACs[0], i.MACs[0]) },
		"ages ago":       func(i *outbox.Item) { i.Added = i.Added.Add(-100 * time.Hour) },
		"in years":       func(i *outbox.Item) { i.Added = i.Added.Add(9000 * time.Hour) },
	}
	for name, change := range forge {
		synctest.Test(t, func(t *testing.T) {
			s := new(store.Memory)
			require.NoError(t, (&outbox.Outbox{Store: s, Keys: keysFor("key", "old key")}).Add(t.Context(), shopItem))
			key, record := added(t, s)
			var item outbox.Item
			require.NoError(t, json.Unmarshal(record, &item))
			require.NoError(t, s.Delete(t.Context(), key))
			change(&item)

			// The item is stored under the key that Add would use, so that its key is valid.
			mirror := new(store.Memory)
			require.NoError(t, (&outbox.Outbox{Store: mirror}).Add(t.Context(), item))
			key, _ = added(t, mirror)
			record, err := json.Marshal(item)
			require.NoError(t, err)
			require.NoError(t, s.Set(t.Context(), key, record, 0))
			x, r := deliverAll(t, s, "key", "old key")
			require.Empty(t, x.times, name)
			require.Equal(t, 1, r.count("dropped an item of app"), "%s: %q", name, r.list)
			require.Empty(t, keysOf(t, s), name)
		})
	}
}

func TestRecordUnderAnotherKeyIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		require.NoError(t, (&outbox.Outbox{Store: s, Keys: keysFor("key")}).Add(t.Context(), shopItem))
		key, record := added(t, s)
		for i := range 100 { // a hundred copies
			require.NoError(t, s.Set(t.Context(), fmt.Sprintf("%s%024d", key[:len(key)-24], i), record, 0))
		}
		x, r := deliverAll(t, s, "key")
		require.Equal(t, 1, x.total())
		require.Len(t, x.times["a"], 1)
		require.Equal(t, 100, r.count("its record belongs to another key"))
		require.Empty(t, keysOf(t, s))
	})
}

func TestInvalidOrTooLargeRecordIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		huge := `{"id":"a","target":"http://evil/","added":"` + strings.Repeat("x", 100000) + `"}`
		for i, record := range []string{"", "null", "[]", "{", `{"id":1}`, huge, strings.Repeat(" ", 7<<20)} {
			require.NoError(t, s.Set(t.Context(), fmt.Sprintf("item/%024d/%024d", i, i), []byte(record), 0))
		}
		x, r := deliverAll(t, s, "key")
		require.Zero(t, x.total())
		require.Len(t, r.list, 7)
		for _, line := range r.list {
			require.Less(t, len(line), 300)
		}
		require.Empty(t, keysOf(t, s))
	})
}

func TestForgedItemDoesNotMakeLongReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		for _, item := range []outbox.Item{
			{App: strings.Repeat("x", 60000), ID: "a", Target: "http://evil/", Added: time.Now()},
			{App: "other", ID: "a", Target: "http://" + strings.Repeat("x", 60000) + "/", Added: time.Now()},
			{App: "shop", ID: "a", Target: "http://" + strings.Repeat("x", 100000) + "/", Added: time.Now()},
			{App: "shop", Target: "http://evil/", Added: time.Now()},
		} {
			record, err := json.Marshal(item)
			require.NoError(t, err)
			queue, id := sha256.Sum256([]byte(item.App+"\n"+item.Target)), sha256.Sum256([]byte(item.ID))
			require.NoError(t, s.Set(t.Context(), fmt.Sprintf("item/%x/%x", queue[:12], id[:12]), record, 0))
		}
		defer runOutbox(t, &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Keys: keysFor()})()
		<-time.After(30 * time.Hour)
		synctest.Wait()
		require.Zero(t, x.total())
		require.NotEmpty(t, r.list)
		for _, line := range r.list {
			require.Less(t, len(line), 400)
		}
		require.Empty(t, keysOf(t, s))
	})
}

func TestItemIsSentWhileItsAppHasAKeyThatAuthenticatesIt(t *testing.T) {
	for _, c := range []struct {
		added, now []string
		sent       bool
	}{
		{[]string{"k1"}, []string{"k1"}, true},
		{[]string{"k1"}, []string{"k2", "k1"}, true},
		{[]string{"k1"}, []string{"k2"}, false},
		{[]string{"k2", "k1"}, []string{"k1"}, true}, // a process without the new key
		{[]string{"k2", "k1"}, []string{"k3", "k2"}, true},
		{[]string{"k2", ""}, []string{"", "k2"}, true},
		{nil, []string{"k1"}, false},
		{[]string{"k1"}, nil, true}, // Send decides
		{[]string{""}, []string{""}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(store.Memory)
			require.NoError(t, (&outbox.Outbox{Store: s, Keys: keysFor(c.added...)}).Add(t.Context(), shopItem))
			x, r := deliverAll(t, s, c.now...)
			require.Equal(t, c.sent, x.total() == 1, "%q %q", c.added, c.now)
			require.Equal(t, !c.sent, r.count("neither sign_key nor previous_sign_key") == 1)
			require.Empty(t, keysOf(t, s))
		})
	}
}

func TestItemThatSendRefusesIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := new(store.Memory), new(reports)
		send := func(context.Context, outbox.Item) error {
			return fmt.Errorf("%w: its target is not configured", outbox.ErrRefused)
		}
		o := &outbox.Outbox{Store: s, Send: send, OnError: r.add, Keys: keysFor()}
		defer runOutbox(t, o)()
		require.NoError(t, o.Add(t.Context(), shopItem))
		<-time.After(5 * time.Second)
		require.Equal(t, 1, r.count(`dropped an item of app "shop" for "crm": refused: its target is not configured`), "%q", r.list)
		require.Empty(t, keysOf(t, s))
	})
}

func TestItemsOfAnUnknownAppWaitForAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		unknown := func(string) ([]string, error) { return nil, errors.New("unknown app") }
		stop := runOutbox(t, &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Keys: unknown})
		require.NoError(t, (&outbox.Outbox{Store: s, Keys: keysFor("key")}).Add(t.Context(), shopItem))
		<-time.After(time.Hour)
		synctest.Wait()
		require.Zero(t, x.total())
		require.Equal(t, 1, r.count("delivery to crm failed: unknown app"))
		require.NotEmpty(t, keysOf(t, s))

		stopSecond := runOutbox(t, &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Keys: keysFor("key")})
		<-time.After(time.Minute)
		synctest.Wait()
		require.Equal(t, 1, x.total())
		stopSecond()

		require.NoError(t, (&outbox.Outbox{Store: s, Keys: keysFor("key")}).Add(t.Context(), shopItem))
		<-time.After(25 * time.Hour)
		synctest.Wait()
		require.Equal(t, 1, r.count("gave up an item for crm after 24h"))
		require.Empty(t, keysOf(t, s))
		stop()
		require.ErrorContains(t, (&outbox.Outbox{Store: s, Keys: unknown}).Add(t.Context(), shopItem), "unknown app")
	})
}

func TestAddRejectsTooLongOrInvalidTexts(t *testing.T) {
	o := &outbox.Outbox{Store: new(store.Memory)}
	for _, change := range []func(*outbox.Item){
		func(i *outbox.Item) { i.Query = strings.Repeat("&", 64<<10) },
		func(i *outbox.Item) { i.Target = "http://crm/\xff" },
	} {
		item := shopItem
		change(&item)
		require.ErrorContains(t, o.Add(t.Context(), item), "outbox: add: ")
	}
	item := shopItem
	item.Query, item.Body = strings.Repeat("&", 64<<10-100), make([]byte, outbox.MaxBody)
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		require.NoError(t, (&outbox.Outbox{Store: s, Keys: keysFor("key")}).Add(t.Context(), item))
		x, r := deliverAll(t, s, "key")
		require.Equal(t, 1, x.total(), "%.300q", r.list)
	})
}
