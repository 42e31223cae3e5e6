package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// consentTwice answers the consent page that b shows, and returns the two addresses to which WeChat on Android sends b
// back: one state, two codes.
func (w *sockets) consentTwice(b *tab) (first, second string) {
	b.t.Helper()
	first = w.answerConsent(b)
	w.wx.Browse("li", wechattest.Allow)
	defer w.wx.Browse("li", wechattest.Ask)
	page, err := url.Parse(b.URL())
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
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	b, stranger := newTab(t, d), newTab(t, d)

	b.Open(w.shop)
	b.Click("#login")
	first, second := w.consentTwice(b)
	require.NotEqual(t, first, second)
	require.Equal(t, query(t, first, "state"), query(t, second, "state"))
	// both at once, as the web view does: one in a frame that is not waited for, and the page itself
	b.Run(`var f = document.createElement("iframe"); f.src = arguments[0]; document.body.appendChild(f);`, nil, first)
	b.Open(second)
	require.Contains(t, []string{nickname, "oauth: login_code is unknown, expired or already redeemed"}, b.Text("#nickname, #error"))
	require.Equal(t, 1, w.wx.Calls("/sns/oauth2/access_token"), "the second code is not exchanged")

	stranger.Open(second)
	stranger.requireReason("登录链接已使用")

	b.Open(w.shop)
	b.Click("#login")
	first, second = w.consentTwice(b)
	landed := func(end string) string { // without the shop, which redeems the code
		var to string
		b.Open(w.door + "/nothing")
		b.RunAsync(`var done = arguments[arguments.length - 1];
			fetch(arguments[0], { redirect: "manual" }).then(function (r) { done(r.type); });`, &to, end)
		return to
	}
	require.Equal(t, "opaqueredirect", landed(first), "a request whose answer is lost")
	b.Open(second)
	require.Equal(t, nickname, b.Text("#nickname"))
	require.Equal(t, 2, w.wx.Calls("/sns/oauth2/access_token"))
}

func TestARealBrowserReturnsToTheSiteWhenAUserDenies(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	b := newTab(t, d)
	for id, says := range map[string]string{"#deny": "login denied", "#snapshot": "login failed"} {
		b.Open(w.shop)
		b.Click("#login")
		b.Click(id)
		require.Equal(t, says, b.Text("#error"))
		at, err := url.Parse(b.URL())
		require.NoError(t, err)
		require.Equal(t, strings.TrimPrefix(w.shop, "http://"), at.Host)
		require.Equal(t, "/me", at.Path)
		require.Equal(t, "home", at.Query().Get("from"))
		require.Equal(t, "top", at.Fragment)
	}
	b.Click("#login")
	b.Click("#login")
	b.Click("#allow")
	require.Equal(t, nickname, b.Text("#nickname"))

	b.Open(w.door + "/wx/login/callback?state=" + strings.Repeat("0", 32)) // an unknown login
	b.requireReason("登录已过期")
	b.Click("a")
	require.Equal(t, w.shop+"/", b.URL(), "the page has a way on")
}

func TestARealBrowserShowsThatToWasNotEncoded(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	b := newTab(t, d)
	b.Open(w.shop + "/raw")
	b.Click("#login")
	b.requireReason("没有经过编码")
	b.requireReason("item")
	b.Click("a")
	require.Contains(t, b.URL(), w.shop, "the page has a way on")
	require.Zero(t, w.wx.Calls("/connect/oauth2/authorize"))
}
