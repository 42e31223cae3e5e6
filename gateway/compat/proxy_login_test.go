package compat_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestABrowserCarriesTheLoginToTheCall(t *testing.T) {
	w := newLoginWorld(t)
	openID, unionID := w.wx.OpenID(shopID, "li"), w.wx.UnionID("platform", "li")
	for path, want := range map[string]string{
		"/app/shop/auth":           `{"openid":"` + openID + `","unionid":"` + unionID + `",`,
		"/app/shop/auth/":          `{"openid":"` + openID + `","unionid":"` + unionID + `",`,
		"/app/shop/auth/info":      `{"openid":"` + openID + `","unionid":"` + unionID + `","nickname":"小李","headimgurl":"https://thirdwx.qlogo.cn/a?b=1\u0026c=2",`,
		"/app/shop/auth/info/":     `{"openid":"` + openID + `","unionid":"` + unionID + `","nickname":"小李","headimgurl":"https://thirdwx.qlogo.cn/a?b=1\u0026c=2",`,
		"/app/" + shopID + "/auth": `{"openid":"` + openID + `","unionid":"` + unionID + `",`,
	} {
		const state = "a=b&c 状态"
		b := w.browser()
		back := b.begin(path, "call", siteCall, "state", state, "lang", "en", "unknown", "1")
		require.Regexp(t, `^https://wx\.example\.com/app/shop/auth(/info)?\?key=[0-9a-f]{32}&code=.+&state=[0-9a-f]{32}$`, back)
		require.Equal(t, strings.Contains(path, "/info"), strings.Contains(back, "/auth/info?"))
		end := b.open(back)
		require.Equal(t, 200, end.status)
		require.Equal(t, "text/html; charset=utf-8", end.header.Get("Content-Type"))
		require.Equal(t, "no-store", end.header.Get("Cache-Control"))
		require.Contains(t, end.header.Get("Content-Security-Policy"), "; form-action https://site.example.com; ")

		f := readForm(t, end.body)
		require.Equal(t, form{siteCall, "post", "text/plain", "utf-8", f.body}, f)
		require.True(t, strings.HasPrefix(f.body, want), f.body)
		require.True(t, strings.HasSuffix(f.body, `,"sign":"`+oldSign(state)+"=\"}\r\n"), f.body)
		got := readLogin(t, f.body)
		require.Equal(t, shopID, got.AppID)
		require.Equal(t, state, got.State)
		require.True(t, verifies(f.body, loginSignKey, time.Now()), f.body)
		require.False(t, verifies(f.body, oldSignKey, time.Now()))
		require.False(t, verifies(f.body, loginSignKey, time.Now().Add(6*time.Minute)))

		status, user := w.redeem(got.LoginCode)
		require.Equal(t, 200, status)
		require.Equal(t, openID, user["openid"])
		require.Equal(t, "https://site.example.com", user["to"])
		require.Equal(t, state, user["nonce"])
	}
	require.Equal(t, 5, w.wx.Calls("/sns/oauth2/access_token"))
	require.Equal(t, 2, w.wx.Calls("/sns/userinfo"))
}

func TestACallMayBeOfThisServerOrLackAScheme(t *testing.T) {
	w := newLoginWorld(t, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.PublicURL = publicURL + "/wx/"
		o.Config.Apps["shop"] = a
	})
	w.door = http.StripPrefix("/wx", w.door)
	for call, action := range map[string]string{
		"/echo?a=1":                      publicURL + "/wx/echo?a=1",
		publicURL + "/wx/echo":           publicURL + "/wx/echo",
		"site.example.com/enter":         "https://site.example.com/enter",
		"HTTPS://SITE.example.com/enter": "HTTPS://SITE.example.com/enter",
		"http://127.0.0.1:9/x":           "http://127.0.0.1:9/x", // loopback may be http
	} {
		b := w.browser()
		f, got := b.finish(b.begin("/wx/app/shop/auth", "call", call))
		require.Equal(t, action, f.action, call)
		require.Equal(t, oldSign("")+"=", got.Sign, "an empty state is not part of the old sign")
	}
}

func TestALoginThatWeChatRefusesTellsTheCall(t *testing.T) {
	w := newLoginWorld(t)
	for path, refusing := range map[string]string{"/app/shop/auth": "/sns/oauth2/access_token", "/app/shop/auth/info": "/sns/userinfo"} {
		w.wx.AddFault(wechattest.Fault{Path: refusing, Code: 45011})
		b := w.browser()
		back := b.begin(path, "call", siteCall, "state", "s")
		w.wx.ClearFaults()
		w.wx.AddFault(wechattest.Fault{Path: refusing, Code: 45011})
		f, got := b.finish(back)
		w.wx.ClearFaults()
		require.True(t, strings.HasPrefix(f.body, `{"errcode":45011,"errmsg":"`), f.body)
		require.NotEmpty(t, got.ErrMsg)
		require.Equal(t, loginResult{ErrCode: 45011, ErrMsg: got.ErrMsg, AppID: shopID, State: "s", Signature: got.Signature, Sign: oldSign("s") + "="}, got)
		require.True(t, verifies(f.body, loginSignKey, time.Now()))
		again, _ := b.finish(back)
		require.Equal(t, covered(f.body), covered(again.body), "a repeated request has the same answer")
	}
	b := w.browser()
	f, got := b.finish(replaceQuery(t, b.begin("/app/shop/auth", "call", siteCall), "code", "an-unknown-code"))
	require.Equal(t, 40029, got.ErrCode)
	require.Equal(t, siteCall, f.action)
}

func TestALoginThatEndsWithoutWeChatShowsAPage(t *testing.T) {
	w := newLoginWorld(t)
	page := []string{"Accept", "text/html,application/xhtml+xml", "Accept-Language", "zh-CN"}
	english := []string{"Accept", "text/html", "Accept-Language", "en"}

	for _, key := range []string{"0123456789abcdef0123456789abcdef", "x", ""} {
		at := w.browser().open(authURL("/app/shop/auth", "key", key, "code", "c"))
		require.Equal(t, 410, at.status)
		require.Equal(t, "auth timeout", at.body)
		require.Equal(t, "text/plain; charset=utf-8", at.header.Get("Content-Type"))
		at = w.browser().open(authURL("/app/shop/auth", "key", key, "code", "c"), page...)
		require.Equal(t, 410, at.status)
		require.Contains(t, at.body, "登录已过期")
		require.Contains(t, at.body, "auth timeout")
		require.Contains(t, w.browser().open(authURL("/app/shop/auth", "key", key), english...).body, "Login expired")
	}

	b := w.browser()
	w.wx.Browse("li", wechattest.Deny)
	denied := b.open(b.begin("/app/shop/auth/info", "call", siteCall, "state", "s", "lang", "en"), page...)
	require.Equal(t, 403, denied.status)
	require.Contains(t, denied.body, "登录已取消")
	again := regexp.MustCompile(`href="([^"]+)"`).FindStringSubmatch(denied.body)
	require.Equal(t, authURL("/app/shop/auth/info", "call", siteCall, "state", "s", "lang", "en"), strings.ReplaceAll(again[1], "&amp;", "&"))

	w.wx.Browse("li", wechattest.Allow)
	back := b.begin("/app/shop/auth", "call", siteCall)
	w.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/access_token", Status: 500})
	down := b.open(back, page...)
	w.wx.ClearFaults()
	require.Equal(t, 503, down.status)
	require.NotContains(t, down.body, "<form")

	for query, text := range map[string]string{
		"?state=s": "call is missing",
		"?call=" + url.QueryEscape(siteCall) + "&state=" + strings.Repeat("s", 1025): "state is longer than 1024 bytes",
	} {
		at := b.open(publicURL+"/app/shop/auth"+query, page...)
		require.Equal(t, 400, at.status)
		require.Contains(t, at.body, text)
	}
}

func TestOnlyOfficialAccountsHaveTheOldLogin(t *testing.T) {
	w := newLoginWorld(t, func(o *gateway.Options) {
		o.Config.Apps["site"] = gateway.App{AppID: "wxffffffffffffffff", Secret: secret, Kind: wechat.Website, Hosts: []string{"site.example.com"}}
		o.Config.Apps["work"] = gateway.App{AppID: "ww0123456789abcdef", Secret: secret, Kind: wechat.Work, AgentID: 1}
		a := o.Config.Apps["news"]
		a.Allow = []string{"/token"}
		o.Config.Apps["news"] = a
	})
	b := w.browser()
	for app, want := range map[string]string{
		"site": "/auth is for official accounts, and this app is of kind website",
		"work": "/auth is for official accounts, and this app is of kind work",
		"mini": "/auth is for official accounts, and this app is of kind mini",
		"news": "not found", // it allows /token alone
		"gone": "not found", // it has expired
		"none": "not found",
	} {
		at := b.open(authURL("/app/"+app+"/auth", "call", siteCall))
		require.Equal(t, 404, at.status, app)
		require.Equal(t, fmt.Sprintf(`{"errcode": -10001, "errmsg": "%s"}`, want), at.body)
	}
	require.Equal(t, 404, b.open(authURL("/auth", "appid", shopID, "secret", secret, "call", siteCall)).status, "no secret in a browser's address")
}

func TestAnAppThatAllowsAuthAloneLogsIn(t *testing.T) {
	w := newLoginWorld(t, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.Allow, a.SignKey, a.PreviousSignKey = []string{"/auth"}, "the-next-sign-key", oldSignKey
		o.Config.Apps["shop"] = a
	})
	b := w.browser()
	f, _ := b.finish(b.begin("/app/shop/auth/info", "call", siteCall))
	require.True(t, verifies(f.body, oldSignKey, time.Now()), "a site may have either key while it is changed")
	require.True(t, verifies(f.body, "the-next-sign-key", time.Now()))

	w = newLoginWorld(t, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.SignKey = ""
		o.Config.Apps["shop"] = a
	})
	b = w.browser()
	f, got := b.finish(b.begin("/app/shop/auth", "call", siteCall))
	require.NotContains(t, f.body, "wetoken_sign")
	status, _ := w.redeem(got.LoginCode)
	require.Equal(t, 200, status, "without a sign_key the site redeems")
}

func TestTheOldLoginAndTheNewOneDoNotMix(t *testing.T) {
	w := newLoginWorld(t)
	b := w.browser()
	for _, path := range []string{"/app/shop/login", "/app/shop/login/"} {
		at := b.open(authURL(path, "to", siteCall))
		require.Equal(t, map[bool]int{true: 302, false: 404}[path == "/app/shop/login"], at.status, path)
	}
	at := b.open(authURL("/app/shop/login", "to", siteCall))
	back := b.open(at.location()).location()
	require.True(t, strings.HasPrefix(back, publicURL+"/app/shop/login/callback?"))
	u, err := url.Parse(back)
	require.NoError(t, err)
	key := u.Query().Get("state")
	for _, path := range []string{"/app/shop/auth", "/app/shop/auth/info"} {
		require.Equal(t, 410, b.open(authURL(path, "key", key, "code", u.Query().Get("code"))).status, "the state of /login")
	}
	require.Equal(t, 302, b.open(back).status, "and it is not used up")

	old := b.begin("/app/shop/auth", "call", siteCall)
	u, err = url.Parse(old)
	require.NoError(t, err)
	for _, path := range []string{"/app/shop/login/callback", "/app/shop/auth/info"} {
		require.Equal(t, 410, b.open(authURL(path, "state", u.Query().Get("state"), "key", u.Query().Get("key"), "code", u.Query().Get("code"))).status, path)
	}
	b.finish(old)

	w.door = w.newGateway().Both()
	b.finish(b.begin("/app/shop/auth/", "call", "/echo"))
	require.Equal(t, 302, b.open(authURL("/app/shop/login", "to", siteCall)).status)
	w.door = w.newGateway().Private()
	require.Equal(t, 401, b.open(authURL("/app/shop/auth", "call", siteCall)).status)
}
