package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// codes answers the consent page that b shows, and returns the two addresses that WeChat on Android sends b back to: one
// state, two codes.
func (w *town) codes(b *tab) (first, second string) {
	b.t.Helper()
	first = w.end(b)
	w.wx.Browse("li", wechattest.Allow)
	defer w.wx.Browse("li", wechattest.Ask)
	page, err := url.Parse(b.url())
	require.NoError(b.t, err)
	page.Fragment = ""
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := hc.Get(page.String())
	require.NoError(b.t, err)
	require.NoError(b.t, resp.Body.Close())
	return first, resp.Header.Get("Location")
}

func TestARealBrowserIsSentBackTwice(t *testing.T) {
	testform.NeedFull(t)
	d := startDriver(t)
	w := newTown(t, wechat.Official)
	b, stranger := d.tab(t), d.tab(t)

	b.open(w.shop)
	b.click("#login")
	first, second := w.codes(b)
	require.NotEqual(t, first, second)
	require.Equal(t, query(t, first, "state"), query(t, second, "state"))
	// both at once, as the web view does: one by a frame that is not waited for, and the page itself
	b.run(`var f = document.createElement("iframe"); f.src = arguments[0]; document.body.appendChild(f);`, nil, first)
	b.open(second)
	require.Contains(t, []string{nickname, "oauth: login_code is unknown, expired or redeemed already"}, b.text("#nickname, #error"))
	require.Equal(t, 1, w.wx.Calls("/sns/oauth2/access_token"), "the second code is not exchanged")

	stranger.open(second)
	stranger.says("登录链接已使用")

	b.open(w.shop)
	b.click("#login")
	first, second = w.codes(b)
	landed := func(end string) string { // without the shop, which redeems the code
		var to string
		b.open(w.door + "/nothing")
		b.runAsync(`var done = arguments[arguments.length - 1];
			fetch(arguments[0], { redirect: "manual" }).then(function (r) { done(r.type); });`, &to, end)
		return to
	}
	require.Equal(t, "opaqueredirect", landed(first), "a request whose answer is lost")
	b.open(second)
	require.Equal(t, nickname, b.text("#nickname"))
	require.Equal(t, 2, w.wx.Calls("/sns/oauth2/access_token"))
}

func TestARealBrowserReturnsToTheSiteWhenAUserDenies(t *testing.T) {
	testform.NeedFull(t)
	d := startDriver(t)
	w := newTown(t, wechat.Official)
	b := d.tab(t)
	for id, says := range map[string]string{"#deny": "login denied", "#snapshot": "login failed"} {
		b.open(w.shop)
		b.click("#login")
		b.click(id)
		require.Equal(t, says, b.text("#error"))
		at, err := url.Parse(b.url())
		require.NoError(t, err)
		require.Equal(t, strings.TrimPrefix(w.shop, "http://"), at.Host)
		require.Equal(t, "/me", at.Path)
		require.Equal(t, "home", at.Query().Get("from"))
		require.Equal(t, "top", at.Fragment)
	}
	b.click("#login")
	b.click("#login")
	b.click("#allow")
	require.Equal(t, nickname, b.text("#nickname"))

	b.open(w.door + "/wx/login/callback?state=" + strings.Repeat("0", 32)) // no login that is known
	b.says("登录已过期")
	b.click("a")
	require.Equal(t, w.shop+"/", b.url(), "the page has a way on")
}

func TestARealBrowserIsToldOfAToThatWasNotEncoded(t *testing.T) {
	testform.NeedFull(t)
	d := startDriver(t)
	w := newTown(t, wechat.Official)
	b := d.tab(t)
	b.open(w.shop + "/raw")
	b.click("#login")
	b.says("没有经过编码")
	b.says("item")
	b.click("a")
	require.Contains(t, b.url(), w.shop, "the page has a way on")
	require.Zero(t, w.wx.Calls("/connect/oauth2/authorize"))
}
