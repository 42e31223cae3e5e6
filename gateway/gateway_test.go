package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// pass lets time go by, of which a bubble has plenty.
func pass(d time.Duration) { <-time.After(d) }

const (
	shopID  = "wx0123456789abcdef"
	corpID  = "ww0123456789abcdef"
	secret  = "a-secret-of-this-test"
	allKey  = "a-key-of-this-test-for-all"
	readKey = "a-key-of-this-test-to-read"
	newsKey = "a-key-of-this-test-for-news"
)

// config has an official account, a mini program that two names share, and a WeCom application.
func config() gateway.Config {
	return gateway.Config{
		Keys: []gateway.Key{
			{Name: "all", Key: allKey, Apps: []string{"*"}, Scopes: []string{"*"}},
			{Name: "read", Key: readKey, Apps: []string{"shop"}, Scopes: []string{"token", "ticket"}},
			{Name: "news", Key: newsKey, Apps: []string{"新闻"}, Scopes: []string{"*"}},
		},
		Apps: map[string]gateway.App{
			"shop": {AppID: shopID, Secret: secret},
			"新闻":   {AppID: "wxaaaaaaaaaaaaaaaa", Secret: secret, Kind: wechat.Mini},
			"too":  {AppID: "wxaaaaaaaaaaaaaaaa", Secret: secret, Kind: wechat.Mini, Allow: []string{"/ticket"}},
			"corp": {AppID: corpID, Secret: secret, Kind: wechat.Work, AgentID: 7},
			"gone": {AppID: "wxbbbbbbbbbbbbbbbb", Secret: secret, ExpiresAt: time.Unix(1, 0)},
		},
	}
}

func newWeChat() *wechattest.Server {
	wx := new(wechattest.Server)
	wx.AddApp(shopID, secret)
	wx.Add(wechattest.App{ID: "wxaaaaaaaaaaaaaaaa", Secret: secret, Kind: wechattest.Mini})
	wx.Add(wechattest.App{ID: corpID, Secret: secret, Kind: wechattest.Work, AgentID: 7})
	return wx
}

// private serves a gateway's private side on a real socket.
func private(t *testing.T, o gateway.Options) string {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g, err := gateway.New(o)
	require.NoError(t, err)
	srv := httptest.NewServer(g.Private())
	t.Cleanup(srv.Close)
	return srv.URL
}

type answer struct {
	Token  string `json:"access_token"`
	Ticket string `json:"ticket"`
	Code   int    `json:"errcode"`
	Msg    string `json:"errmsg"`
}

func ask(t *testing.T, method, url, key, body string) (status int, a answer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &a), "%s", b)
	require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	return resp.StatusCode, a
}

func TestAMiniProgramHasNoTickets(t *testing.T) {
	base := private(t, gateway.Options{Config: config(), HTTP: newWeChat().Client()})
	for _, method := range []string{"GET", "POST"} {
		status, a := ask(t, method, base+"/app/too/ticket/jsapi", allKey, map[string]string{"POST": `{"refused":"x"}`}[method])
		require.Equal(t, http.StatusNotFound, status, a.Msg)
		require.Contains(t, a.Msg, "no such ticket for this kind of app")
	}
}

func TestEachAppHasItsToken(t *testing.T) {
	wx := newWeChat()
	base := private(t, gateway.Options{Config: config(), HTTP: wx.Client()})
	for _, path := range []string{"shop", shopID, "corp", url.PathEscape("新闻")} {
		status, a := ask(t, "GET", base+"/app/"+path+"/token", allKey, "")
		require.Equal(t, http.StatusOK, status, "%s: %s", path, a.Msg)
		require.Zero(t, wx.Check(a.Token))
	}
	require.Equal(t, 2, wx.Calls("/cgi-bin/stable_token"))
	require.Equal(t, 1, wx.Calls("/cgi-bin/gettoken"))

	status, a := ask(t, "GET", base+"/app/corp/ticket/agent_config", allKey, "")
	require.Equal(t, http.StatusOK, status, a.Msg)
	require.NotEmpty(t, a.Ticket)
}

func TestANameIsNeverTakenForAnotherAppsAppID(t *testing.T) {
	c := config()
	c.Apps["odd"] = gateway.App{AppID: "shop", Secret: secret}
	for range 20 { // maps differ in order
		base := private(t, gateway.Options{Config: c, HTTP: newWeChat().Client()})
		status, a := ask(t, "GET", base+"/app/shop/token", readKey, "")
		require.Equal(t, http.StatusOK, status, a.Msg)
	}
}

func TestAllowingTheRootAllowsAll(t *testing.T) {
	c := config()
	set(&c, "shop", func(a *gateway.App) { a.Allow = []string{"/"} })
	base := private(t, gateway.Options{Config: c, HTTP: newWeChat().Client()})
	for _, path := range []string{"/app/shop/token", "/app/shop/ticket/jsapi"} {
		status, a := ask(t, "GET", base+path, allKey, "")
		require.Equal(t, http.StatusOK, status, a.Msg)
	}
}

func TestNoEscapedPathLeadsOutOfAnApp(t *testing.T) {
	d := open(t, nil)
	g, err := gateway.New(gateway.Options{Config: config(), HTTP: d.wx.Client(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	both := httptest.NewServer(g.Both())
	defer both.Close()
	for _, method := range []string{"GET", "POST"} {
		for _, path := range []string{
			"/app/shop/ticket/..%2F..%2Fapp%2Fcorp%2Ftoken", "/app/shop/ticket/%2E%2E%2F%2E%2E%2Fapp%2Fcorp%2Ftoken", "/app/shop/%2e%2fmessage",
			"/app/none/x%2F..%2Fmessage", "/app/shop/%2F%2Fevil.example.com%2F..%2F", "/app/shop/message%2F%2F", "/app/shop%2F..%2Fcorp/token",
		} {
			for _, base := range []string{d.public, d.private, both.URL} {
				status, a := ask(t, method, base+path, allKey, `{"refused":"x"}`)
				require.Equal(t, http.StatusNotFound, status, path)
				require.Equal(t, "there is no such app or route", a.Msg)
			}
			status, _ := ask(t, method, d.private+path, "", "")
			require.Equal(t, http.StatusUnauthorized, status, path)
		}
	}
	status, a := ask(t, "GET", d.private+"/app/shop/ticket%2Fjsapi", allKey, "")
	require.Equal(t, http.StatusOK, status, a.Msg)
	require.Equal(t, 1, d.wx.Calls("/cgi-bin/stable_token"), "for the app that was named")
	require.Zero(t, d.wx.Calls("/cgi-bin/gettoken"))
}

func TestARenewalIsAudited(t *testing.T) {
	var log bytes.Buffer
	wx := newWeChat()
	base := private(t, gateway.Options{Config: config(), HTTP: wx.Client(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	_, first := ask(t, "GET", base+"/app/shop/token", allKey, "")
	wx.Refuse(first.Token)
	status, second := ask(t, "POST", base+"/app/shop/token", allKey, `{"refused":"`+first.Token+`"}`)
	require.Equal(t, http.StatusOK, status)
	require.NotEqual(t, first.Token, second.Token)
	require.Contains(t, log.String(), "caller=all app=shop scope=renew")
	for _, hidden := range []string{first.Token, second.Token, secret, allKey} {
		require.NotContains(t, log.String(), hidden)
	}
}

func TestOneCallerCannotUseUpAllForcedRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := newWeChat()
		c := config()
		c.Keys = append(c.Keys, gateway.Key{Name: "other", Key: "another-key-of-this-test", Apps: []string{"shop"}, Scopes: []string{"*"}})
		g, err := gateway.New(gateway.Options{Config: c, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		h := g.Private()
		renew := func(key, refused string) (int, answer) {
			wx.Refuse(refused)
			r := httptest.NewRequest("POST", "/app/shop/token", strings.NewReader(`{"refused":"`+refused+`"}`))
			r.Header.Set("Authorization", "Bearer "+key)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var a answer
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
			pass(31 * time.Second)
			return w.Code, a
		}
		r := httptest.NewRequest("GET", "/app/shop/token", nil)
		r.Header.Set("Authorization", "Bearer "+allKey)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var current answer
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &current))
		for range 10 {
			var status int
			status, current = renew(allKey, current.Token)
			require.Equal(t, http.StatusOK, status, current.Msg)
		}
		status, _ := renew(allKey, current.Token)
		require.Equal(t, http.StatusTooManyRequests, status)
		status, current = renew("another-key-of-this-test", current.Token)
		require.Equal(t, http.StatusOK, status, current.Msg)
	})
}

// broken is a store that answers nothing.
type broken struct{ store.Store }

var errBroken = errors.New("connection refused")

func (broken) Get(context.Context, string) ([]byte, bool, error) { return nil, false, errBroken }
func (broken) Swap(context.Context, string, []byte, []byte, time.Duration) (bool, error) {
	return false, errBroken
}
func (broken) Keys(context.Context, string) iter.Seq2[string, error] { return nil }

func TestHealthAndReadiness(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	g, err := gateway.New(gateway.Options{Config: config(), Store: broken{}, HTTP: newWeChat().Client(), Log: log})
	require.NoError(t, err)
	srv := httptest.NewServer(g.Private())
	defer srv.Close()
	status, _ := ask(t, "GET", srv.URL+"/healthz", "", "")
	require.Equal(t, http.StatusOK, status)
	status, a := ask(t, "GET", srv.URL+"/readyz", "", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, a.Msg, "store")
	status, _ = ask(t, "GET", srv.URL+"/app/shop/token", allKey, "")
	require.Equal(t, http.StatusOK, status, "a token is served without a store")

	require.Contains(t, a.Msg, "connection refused")

	var printed bytes.Buffer
	g, err = gateway.New(gateway.Options{Config: config(), Store: broken{}, Log: slog.New(slog.NewTextHandler(&printed, nil))})
	require.NoError(t, err)
	both := httptest.NewServer(g.Both())
	defer both.Close()
	status, a = ask(t, "GET", both.URL+"/readyz", "", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "gateway: a store cannot be used: the server's log has more", a.Msg, "strangers ask here, too")
	require.Contains(t, printed.String(), "connection refused")

	g, err = gateway.New(gateway.Options{Config: config(), Log: log})
	require.NoError(t, err)
	whole := httptest.NewServer(g.Private())
	defer whole.Close()
	status, _ = ask(t, "GET", whole.URL+"/readyz", "", "")
	require.Equal(t, http.StatusOK, status)
	g.Drain()
	status, _ = ask(t, "GET", whole.URL+"/readyz", "", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
}

// frank is a store that says by itself whether it can be used.
type frank struct {
	store.Memory
	broken atomic.Bool
}

func (f *frank) Ping(context.Context) error {
	if f.broken.Load() {
		return errBroken
	}
	return nil
}

func TestAStoreMaySayWhetherItCanBeUsed(t *testing.T) {
	f := new(frank)
	f.broken.Store(true)
	base := private(t, gateway.Options{Config: config(), Records: f})
	status, a := ask(t, "GET", base+"/readyz", "", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, a.Msg, "the records cannot be used: connection refused")
	f.broken.Store(false)
	status, _ = ask(t, "GET", base+"/readyz", "", "")
	require.Equal(t, http.StatusOK, status)
}

func TestAPlaintextValueInASealedStoreKeepsNoServerFromBeingReady(t *testing.T) {
	inner, printed := new(store.Memory), new(bytes.Buffer)
	sealed := &store.Sealed{Store: inner, KeyRing: store.KeyRing{bytes.Repeat([]byte("k"), 32)}}
	base := private(t, gateway.Options{Config: config(), Store: sealed, Log: slog.New(slog.NewTextHandler(printed, nil))})
	require.NoError(t, inner.Set(t.Context(), "ready", []byte("ok"), 0))
	status, a := ask(t, "GET", base+"/readyz", "", "")
	require.Equal(t, http.StatusOK, status, a.Msg)
	require.Contains(t, printed.String(), "somebody without the keys has written to the store")
}

func TestAppsThatAreKeptAreRenewedUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, c := newWeChat(), config()
		set(&c, "shop", func(a *gateway.App) { a.Keep = true })
		set(&c, "corp", func(a *gateway.App) { a.Keep, a.ExpiresAt = true, time.Now().Add(7*time.Hour) })
		ctx, cancel := context.WithCancel(t.Context())
		s := new(store.Memory)
		for range 3 {
			g, err := gateway.New(gateway.Options{Config: c, Store: s, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			go g.Keep(ctx)
		}
		pass(12 * time.Hour)
		require.InDelta(t, 6, wx.Calls("/cgi-bin/stable_token"), 1)
		require.InDelta(t, 4, wx.Calls("/cgi-bin/gettoken"), 1, "until its registration ends")
		cancel()
	})
}
