package gateway_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// advance waits, which takes no time inside a synctest bubble.
func advance(d time.Duration) { <-time.After(d) }

const (
	shopID  = "wx0123456789abcdef"
	corpID  = "ww0123456789abcdef"
	secret  = "a-secret-of-this-test"
	allKey  = "a-key-of-this-test-for-all"
	readKey = "a-key-of-this-test-to-read"
	newsKey = "a-key-of-this-test-for-news"
)

// config returns a configuration with an official account, a mini program under two names, and a WeCom application.
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
	d := openSides(t, nil)
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
				require.Equal(t, "unknown app or route", a.Msg)
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

func TestAnUncleanPathIsRefusedInJSONAndNeverRedirected(t *testing.T) {
	fallback := []func(*gateway.Gateway) http.Handler{func(*gateway.Gateway) http.Handler { return http.NotFoundHandler() }} // would serve every path
	at := threeSides(t, gateway.Options{Config: config(), PublicFallback: fallback, PrivateFallback: fallback, Log: slog.New(slog.DiscardHandler)})
	for _, path := range []string{
		"//", "//app/shop/token", "/app//shop/token", "/app/shop//token", "/app/./shop/token", "/app/shop/../shop/token", "/healthz/..", "//healthz", "/x/../healthz",
		"//app/shop/message", "/app/shop//message", "/app/shop//pay/notify", "//evil.example.com/..", "/./MP_verify_abc.txt",
	} {
		for side, base := range at {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT"} {
				for _, key := range []string{"", allKey} {
					want, msg := http.StatusNotFound, "unknown app or route"
					switch {
					case key != "":
						msg = "invalid path: want one without //"
					case side != "public":
						want, msg = http.StatusUnauthorized, "Authorization"
					}
					r, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
					require.NoError(t, err)
					if key != "" {
						r.Header.Set("Authorization", "Bearer "+key)
					}
					resp, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
					require.NoError(t, err)
					body, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
					require.Equal(t, want, resp.StatusCode, "%s %s on %s with key %q", method, path, side, key)
					require.Contains(t, resp.Header.Get("Content-Type"), "application/json")
					require.Empty(t, resp.Header.Get("Location"))
					if method != "HEAD" {
						require.Contains(t, string(body), msg, "%s %s on %s", method, path, side)
					}
				}
			}
		}
	}
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
			advance(31 * time.Second)
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
