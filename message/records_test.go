package message_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

// Each file of testdata/records is a record as the first release wrote it: its key, a line feed and its value.
// Processes of several releases share a store while one replaces the other, so each release must read them.

// record returns the key and the value of a file.
func record(t testing.TB, kind string) (key string, value []byte) {
	b, err := os.ReadFile(filepath.Join("testdata", "records", kind))
	require.NoError(t, err)
	before, value, ok := bytes.Cut(b, []byte("\n"))
	require.True(t, ok)
	return string(before), value
}

// storeWith returns a store that holds records of those kinds.
func storeWith(t testing.TB, kinds ...string) store.Store {
	s := new(store.Memory)
	for _, kind := range kinds {
		key, value := record(t, kind)
		life := 3 * time.Second // that of a claim
		if kind != "running" {
			life = 25 * time.Minute
		}
		require.NoError(t, s.Set(t.Context(), key, value, life))
	}
	return s
}

// written is a store that keeps every value that was written.
type written struct {
	store.Store
	mu  sync.Mutex
	all map[string][]string
}

func (w *written) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	w.mu.Lock()
	if w.all == nil {
		w.all = make(map[string][]string)
	}
	w.all[key] = append(w.all[key], string(new))
	w.mu.Unlock()
	return w.Store.Swap(ctx, key, old, new, ttl)
}

// values returns the values that were written under a key.
func (w *written) values(key string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all[key])
}

// subscribed is an event, which has no MsgId.
const subscribed = "<xml><ToUserName>gh_1</ToUserName><FromUserName>oUser</FromUserName><CreateTime>1714112445</CreateTime>" +
	"<MsgType>event</MsgType><Event>subscribe</Event></xml>"

func sealedPost(in *message.Receiver, doc string) string {
	query, body := official().send(doc)
	rec := post(in, query, body)
	return rec.Result().Status + " " + rec.Body.String()
}

func TestRecordsAreWrittenInTheFormatOfTheFirstRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &written{Store: new(store.Memory)}
		share := func(c *message.Config) { c.Store = w }
		b := new(backends)
		b.set("b", respondAfter(0, replyJSON("hi")))
		in, _ := forwarding(t, b, []message.Backend{{}, {Answer: true}}, share)
		sealedPost(in, hello)
		sealedPost(in, subscribed)

		b.set("c", respondAfter(6500*time.Millisecond, replyJSON("late"))) // after the request for it ended, at 6 s
		slow, _ := forwarding(t, b, []message.Backend{{URL: "http://c/", Answer: true, Late: true, Timeout: time.Minute}}, share,
			func(c *message.Config) { c.Forward.API = lateClient(t, new(wechattest.Server)) })
		sealedPost(slow, strings.Replace(hello, "<MsgId>1<", "<MsgId>2<", 1))
		<-time.After(5 * time.Second)

		plain := plainReceiver(t, w)
		require.Equal(t, 200, post(plain, querySince2000(), []byte(hello)).Code)
		<-time.After(time.Minute)

		for _, kind := range []string{"answered", "answered_event", "waiting", "tries", "round", "seen"} {
			key, value := record(t, kind)
			require.Contains(t, w.values(key), string(value), kind)
		}
		key, value := record(t, "running")
		require.Len(t, w.values(key)[0], len(value))
		require.Equal(t, string(value[:4]), w.values(key)[0][:4])

		key, value = record(t, "copy")
		require.Len(t, w.values(key), 1)
		require.JSONEq(t, withoutTime(t, string(value)), withoutTime(t, w.values(key)[0]))
	})
}

// querySince2000 returns the query of a message that was signed when a bubble began, at the beginning of 2000.
func querySince2000() map[string][]string {
	const at = "946684800"
	w := official()
	return map[string][]string{"signature": {sign(w.token, at, w.nonce)}, "timestamp": {at}, "nonce": {w.nonce}}
}

// withoutTime returns the JSON of an item with its time in UTC.
func withoutTime(t testing.TB, item string) string {
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(item), &fields))
	at, err := time.Parse(time.RFC3339Nano, fields["added"].(string))
	require.NoError(t, err)
	fields["added"] = at.UTC()
	b, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(b)
}

func TestRecordsOfTheFirstReleaseAreRead(t *testing.T) {
	w := official()
	for kind, c := range map[string]struct {
		doc, want string
		runs      int32
		takes     time.Duration
	}{
		"answered":       {hello, "<Content><![CDATA[hi]]></Content>", 0, 0},
		"answered_event": {subscribed, "<Content><![CDATA[hi]]></Content>", 0, 0},
		"waiting":        {strings.Replace(hello, "<MsgId>1<", "<MsgId>2<", 1), "<Content><![CDATA[late]]></Content>", 0, 0},
		"running":        {hello, "<Content><![CDATA[answer to hello]]></Content>", 1, 3 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var runs atomic.Int32
			in, _ := receiver(t, func(cfg *message.Config) { cfg.Store = storeWith(t, kind) })
			in.Handle(message.Any, slow(0, &runs))
			begun := time.Now()
			query, body := w.send(c.doc)
			rec := post(in, query, body)
			require.Equal(t, 200, rec.Code, kind)
			require.Contains(t, w.read(t, rec.Body.Bytes()), c.want, kind)
			require.Equal(t, c.runs, runs.Load(), kind)
			require.InDelta(t, c.takes.Seconds(), time.Since(begun).Seconds(), 0.2, kind)
		})
	}
	for _, c := range []struct {
		kinds []string
		takes time.Duration // until the response to the last try, or the end of another one
	}{
		{[]string{"tries"}, 6 * time.Second}, // of one before: there is one more to come
		{[]string{"tries", "round"}, 6 * time.Second},
		{[]string{"tries_2"}, 4500 * time.Millisecond},
		{[]string{"tries_2", "round"}, 6 * time.Second}, // counted with the one before
	} {
		synctest.Test(t, func(t *testing.T) {
			in, _ := receiver(t, func(cfg *message.Config) {
				cfg.Store = storeWith(t, c.kinds...)
			})
			var runs atomic.Int32
			in.Handle(message.Any, slow(14*time.Second, &runs))
			begun := time.Now()
			sealedPost(in, strings.Replace(hello, "<MsgId>1<", "<MsgId>2<", 1))
			require.Equal(t, c.takes, time.Since(begun), c.kinds)
			<-time.After(time.Minute)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		in := plainReceiver(t, storeWith(t, "seen"))
		forged := strings.Replace(hello, "hello", "forged", 1)
		require.Equal(t, 401, post(in, querySince2000(), []byte(forged)).Code)
		require.Equal(t, 200, post(in, querySince2000(), []byte(hello)).Code)
	})
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), storeWith(t, "copy")
		b.set("a", respondAfter(0, ""))
		in, log := forwarding(t, b, []message.Backend{{}}, func(c *message.Config) { c.Store = s })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, in.Run(ctx), context.DeadlineExceeded)
		require.Len(t, b.requests("a"), 1, log)
		require.Equal(t, hello, b.requests("a")[0].Body)
		for range s.Keys(t.Context(), "") {
			t.Error("it is gone once it is delivered")
		}
	})
}
