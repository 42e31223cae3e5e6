package compat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const (
	shopID = "wx0123456789abcdef"
	newsID = "wxaaaaaaaaaaaaaaaa"
	miniID = "wxbbbbbbbbbbbbbbbb"
	goneID = "wxcccccccccccccccc"
	freeID = "wxdddddddddddddddd" // known to WeChat, and not registered
	noneID = "wxeeeeeeeeeeeeeeee"

	secret      = "a+secret/of=this&test"
	otherSecret = "another-secret-of-this-test"
	allKey      = "a-key-of-this-test-for-all"
	shopKey     = "a-key-of-this-test-for-shop"
	readKey     = "a-key-of-this-test-to-read"
	adminKey    = "a-key-of-this-test-to-administer"
	unknownKey  = "a-key-of-this-test-that-nobody-has"

	aesKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

var longAgo = time.Unix(1, 0)

// countedStore counts the reads of a store, and fails while away is set.
type countedStore struct {
	store.Store
	gets atomic.Int64
	away atomic.Bool
}

func (s *countedStore) Sealed() bool { return true }

func (s *countedStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	s.gets.Add(1)
	if s.away.Load() {
		return nil, false, io.ErrUnexpectedEOF
	}
	return s.Store.Get(ctx, key)
}

func (s *countedStore) Swap(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error) {
	if s.away.Load() {
		return false, io.ErrUnexpectedEOF
	}
	return s.Store.Swap(ctx, key, old, value, ttl)
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// world is a gateway with both systems, and the WeChat that it calls.
type world struct {
	t              *testing.T
	wx             *wechattest.Server
	store, records *countedStore
	log            *logBuffer
	options        gateway.Options
	gateway        *gateway.Gateway
	private        http.Handler
	rpc            http.Handler
}

func newWorld(t *testing.T, change ...func(*gateway.Options)) *world {
	t.Helper()
	w := &world{t: t, wx: new(wechattest.Server), store: &countedStore{Store: new(store.Memory)}, records: &countedStore{Store: new(store.Memory)}, log: new(logBuffer)}
	for _, id := range []string{shopID, newsID, goneID, freeID} {
		w.wx.AddApp(id, secret)
	}
	w.wx.Add(wechattest.App{ID: miniID, Secret: secret, Kind: wechattest.Mini})
	w.options = gateway.Options{
		Config: gateway.Config{
			Keys: []gateway.Key{
				{Name: "all", Key: allKey, Apps: []string{"*"}, Scopes: []string{"*"}},
				{Name: "shop", Key: shopKey, Apps: []string{"shop"}, Scopes: []string{"*"}},
				{Name: "read", Key: readKey, Apps: []string{"shop", "news"}, Scopes: []string{"token"}},
				{Name: "admin", Key: adminKey, Apps: []string{"*"}, Scopes: []string{"admin"}},
			},
			Apps: map[string]gateway.App{
				"shop": {AppID: shopID, Secret: secret, WCodeTemplateID: "the-template"},
				"news": {AppID: newsID, Secret: secret},
				"mini": {AppID: miniID, Secret: secret, Kind: wechat.Mini},
				"gone": {AppID: goneID, Secret: secret, ExpiresAt: longAgo},
			},
			Compat: gateway.Compat{Systems: []string{"wetoken", "accesstoken"}, Create: true},
		},
		Store: w.store, Records: w.records, HTTP: w.wx.Client(), Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&w.options)
	}
	w.gateway, w.private, w.rpc = w.open()
	return w
}

// open returns another gateway with the same stores.
func (w *world) open() (g *gateway.Gateway, private, rpc http.Handler) {
	o := w.options
	o.PrivateFallback = compat.Private(o.Config.Compat)
	g, err := gateway.New(o)
	require.NoError(w.t, err)
	return g, g.Private(), compat.JSONRPC(g, o.Config.Compat)
}

// input is a request. The zero value of a field is none.
type input struct {
	method, path, key, body, form string
}

const (
	formJSON = "application/json"
	formForm = "application/x-www-form-urlencoded"
)

func send(h http.Handler, in input) (status int, body string, header http.Header) {
	method := in.method
	if method == "" {
		method = http.MethodGet
	}
	r := httptest.NewRequest(method, in.path, strings.NewReader(in.body))
	if in.form != "" {
		r.Header.Set("Content-Type", in.form)
	}
	if in.key != "" {
		r.Header.Set("Authorization", "Bearer "+in.key)
	}
	return serve(h, r)
}

func serve(h http.Handler, r *http.Request) (status int, body string, header http.Header) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

// unknownKeyText returns the text of a refusal of an unknown key, as the gateway's own routes have it.
func (w *world) unknownKeyText() string {
	var got struct {
		Msg string `json:"errmsg"`
	}
	status, body := w.get(input{path: "/app/shop/token", key: unknownKey})
	require.Equal(w.t, http.StatusUnauthorized, status)
	require.NoError(w.t, json.Unmarshal([]byte(body), &got))
	require.Contains(w.t, got.Msg, "unknown caller key")
	return got.Msg
}

// get sends a request to the private side.
func (w *world) get(in input) (status int, body string) {
	status, body, _ = send(w.private, in)
	return status, body
}
