package compat_test

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const corpID = "ww0123456789abcdef"

// withCorp adds an app of WeCom.
func withCorp(o *gateway.Options) {
	o.Config.Apps["corp"] = gateway.App{AppID: corpID, Secret: secret, Kind: wechat.Work}
}

// newTokenWorld returns a world with an official account and an app of WeCom.
func newTokenWorld(t *testing.T, change ...func(*gateway.Options)) *proxyWorld {
	w := newProxyWorld(t, nil, append([]func(*gateway.Options){withCorp}, change...)...)
	w.wx.Add(wechattest.App{ID: corpID, Secret: secret, Kind: wechattest.Work})
	return w
}

// answered is the body of a token or a ticket.
type answered struct {
	Code   *int   `json:"errcode"`
	Token  string `json:"access_token"`
	Ticket string `json:"ticket"`
	Rest   int    `json:"expires_in"`
}

func (w *world) read(in input) answered {
	w.t.Helper()
	var got answered
	status, body := w.get(in)
	require.Equal(w.t, 200, status, "%s: %s", in.path, body)
	require.NoError(w.t, json.Unmarshal([]byte(body), &got))
	return got
}

func TestTokensAndTicketsAreAnsweredAsWeChatDoes(t *testing.T) {
	w := newTokenWorld(t)
	credentials := func(id string) string { return "?appid=" + id + "&secret=" + url.QueryEscape(secret) }
	for path, c := range map[string]struct{ app, id, pattern string }{
		"/api":     {"shop", shopID, `^\{"access_token":"[^"]+","expires_in":7\d{3}\}$`},
		"/qyapi":   {"corp", corpID, `^\{"errcode":0,"errmsg":"ok","access_token":"[^"]+","expires_in":7\d{3}\}$`},
		"/jsapi":   {"shop", shopID, `^\{"errcode":0,"errmsg":"ok","ticket":"[^"]+","expires_in":7\d{3}\}$`},
		"/js/card": {"shop", shopID, `^\{"errcode":0,"errmsg":"ok","ticket":"[^"]+","expires_in":7\d{3}\}$`},
	} {
		bodies := make(map[string]bool)
		for _, in := range []input{
			{path: "/app/" + c.app + path, key: allKey},
			{path: "/app/" + c.app + path + "/", key: allKey},
			{path: "/app/" + c.app + path + "?wetoken_key=" + allKey},
			{path: "/app/" + c.app + path + "?secret=" + url.QueryEscape(secret)},
			{path: "/app/" + c.id + path, key: allKey},
			{path: path + credentials(c.id)},
			{path: path + "/" + credentials(c.id)},
			{path: path + "?appid=" + c.id, key: allKey},
			{path: path, method: "POST", form: formForm, body: credentials(c.id)[1:]},
		} {
			status, body := w.get(in)
			require.Equal(t, 200, status, "%s: %s", in.path, body)
			require.Regexp(t, c.pattern, body)
			var got answered
			require.NoError(t, json.Unmarshal([]byte(body), &got))
			bodies[got.Token+got.Ticket] = true
		}
		require.Len(t, bodies, 1, path)
	}
	require.Equal(t, w.wx.Tokens(shopID)[0].Value, w.read(input{path: "/app/shop/api", key: allKey}).Token)
	require.Equal(t, w.read(input{path: "/app/shop/ticket/jsapi", key: allKey}).Ticket, w.read(input{path: "/app/shop/jsapi", key: allKey}).Ticket)
	require.Equal(t, w.read(input{path: "/app/shop/ticket/wx_card", key: allKey}).Ticket, w.read(input{path: "/app/shop/js/card", key: allKey}).Ticket)
	require.Equal(t, 2, w.wx.Calls("/cgi-bin/ticket/getticket"))
}

func TestTheRestOfALifeIsTheTrueOne(t *testing.T) {
	w := newTokenWorld(t)
	w.wx.Add(wechattest.App{ID: shopID, Secret: secret, Life: 100 * time.Second})
	rest := w.read(input{path: "/app/shop/api", key: allKey}).Rest
	require.LessOrEqual(t, rest, 100)
	require.Greater(t, rest, 50)
}

func TestATokenNamesItsAppAtTheTicketRoutes(t *testing.T) {
	w := newTokenWorld(t)
	token := w.read(input{path: "/app/shop/api", key: allKey}).Token
	want := w.read(input{path: "/app/shop/jsapi", key: allKey}).Ticket
	_, private, _ := w.open() // another process
	query := "?access_token=" + url.QueryEscape(token)
	for _, path := range []string{"/jsapi", "/jsapi/", "/app/shop/jsapi", "/js/card", "/app/shop/js/card"} {
		status, body, _ := send(private, input{path: path + query})
		require.Equal(t, 200, status, "%s: %s", path, body)
		if path == "/jsapi" {
			require.Contains(t, body, want)
		}
	}
	for _, path := range []string{"/jsapi?access_token=", "/jsapi?access_token=another", "/app/news/jsapi" + query, "/app/none/jsapi" + query, "/jsapi" + query + "&appid=" + newsID, "/api" + query} {
		status, body := w.get(input{path: path})
		require.Equal(t, 401, status, path)
		require.NotContains(t, body, want)
	}
	w.read(input{path: "/app/shop/api/new", key: allKey})
	status, _ := w.get(input{path: "/jsapi" + query})
	require.Equal(t, 401, status, "it is not the current token any more")
	status, _ = w.get(input{path: "/app/shop/jsapi" + query, key: allKey})
	require.Equal(t, 200, status, "the key admits")
}

func TestARenewalIsRationedAndThenAnswersTheCurrentToken(t *testing.T) {
	w := newTokenWorld(t)
	first := w.read(input{path: "/app/shop/api", key: allKey}).Token
	second := w.read(input{path: "/app/shop/api/new", key: allKey}).Token
	require.NotEqual(t, first, second)
	made := len(w.wx.Tokens(shopID))
	for range 5 {
		for _, in := range []input{{path: "/app/shop/api/new", key: allKey}, {path: "/app/shop/api/new/", key: shopKey}, {path: "/api/new?appid=" + shopID + "&secret=" + url.QueryEscape(secret)}} {
			require.Equal(t, second, w.read(in).Token)
		}
	}
	require.Len(t, w.wx.Tokens(shopID), made, "WeChat made no other token")
	require.Equal(t, second, w.read(input{path: "/app/shop/api", key: allKey}).Token)
	one := w.read(input{path: "/app/corp/qyapi", key: allKey}).Token
	require.NotEmpty(t, one)
	require.NotEmpty(t, w.read(input{path: "/app/corp/qyapi/new", key: allKey}).Token)
	status, body := w.get(input{path: "/app/shop/api/new", key: readKey})
	require.Equal(t, 403, status, body)
}

func TestAnAppServesOnlyWhatItAllows(t *testing.T) {
	w := newTokenWorld(t, func(o *gateway.Options) {
		a := o.Config.Apps["news"]
		a.Allow = []string{"/api", "/msg"}
		o.Config.Apps["news"] = a
	})
	for path, want := range map[string]int{
		"/app/news/api": 200, "/app/news/api/": 200, "/app/news/api/new": 200, "/app/news/jsapi": 404, "/app/news/qyapi": 404, "/app/news/js/card": 404,
		"/app/news/token": 404, "/app/none/api": 404, "/app/gone/api": 404, "/jsapi?appid=" + newsID: 404, "/api?appid=" + newsID: 200,
	} {
		status, body := w.get(input{path: path, key: allKey})
		require.Equal(t, want, status, "%s: %s", path, body)
		if status == 404 && path != "/app/news/token" {
			require.Equal(t, `{"errcode": -10001, "errmsg": "not found"}`, body)
		}
	}
}

func TestATokenNeedsAKeyOrTheSecret(t *testing.T) {
	w := newTokenWorld(t)
	for _, path := range []string{"/app/shop/api", "/app/shop/api/", "/app/shop/api/new", "/app/corp/qyapi", "/app/corp/qyapi/new", "/app/shop/jsapi", "/app/shop/js/card", "/app/none/api", "/api?appid=" + shopID, "/api", "/register?key=a"} {
		for _, key := range []string{"", unknownKey} {
			status, body := w.get(input{path: path, key: key})
			require.Equal(t, 401, status, path)
			require.Contains(t, body, `{"errcode": -10001, "errmsg": "`)
		}
	}
	for _, path := range []string{"/app/shop/api?secret=wrong", "/app/none/api?secret=wrong", "/app/gone/api?secret=" + url.QueryEscape(secret), "/api?appid=" + freeID + "&secret=" + url.QueryEscape(otherSecret)} {
		status, _ := w.get(input{path: path})
		require.Equal(t, 401, status, path)
	}
	status, _ := w.get(input{path: "/app/shop/jsapi", key: readKey})
	require.Equal(t, 403, status)
	require.Zero(t, w.wx.Calls("/cgi-bin/stable_token"))
	for _, path := range []string{"/app/shop/api", "/api?appid=" + shopID, "/register", "/app/shop"} {
		status, _, _ := w.fetch("GET", path, "", "")
		require.Equal(t, 404, status, "the public side has no %s", path)
	}
}

func TestWeChatsRefusalOfATokenIsPassedOn(t *testing.T) {
	w := newTokenWorld(t)
	w.wx.Add(wechattest.App{ID: newsID, Secret: otherSecret})
	status, body := w.get(input{path: "/app/news/api", key: allKey})
	require.Equal(t, 200, status, body)
	require.Equal(t, `{"errcode": 40125, "errmsg": "invalid appsecret"}`, body)
	for path, text := range map[string]string{"/app/corp/api": "qyapi", "/app/shop/qyapi": "not of WeCom"} {
		status, body = w.get(input{path: path, key: allKey})
		require.Equal(t, 200, status)
		require.Contains(t, body, `{"errcode": 40013, "errmsg": "`)
		require.Contains(t, body, text)
	}
	status, body = w.get(input{path: "/app/mini/jsapi", key: allKey})
	require.Equal(t, 200, status, body)
	require.Contains(t, body, `{"errcode": 40013, "errmsg": "`)
}
