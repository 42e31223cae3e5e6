package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechattest"
)

func TestToIsKeptExceptForParametersOfTheLogin(t *testing.T) {
	for to, want := range map[string]string{
		"":                                "?login_code=C",
		"?":                               "?login_code=C",
		"?a=1&&b=2&":                      "?a=1&&b=2&login_code=C",
		"?&&":                             "?&&login_code=C",
		"?a=1;login_code=evil":            "?a=1&login_code=C",
		"?login_code=evil;a=1":            "?a=1&login_code=C",
		"?a=1;login_code=evil;b=2&c":      "?a=1;b=2&c&login_code=C",
		"?login_code=a&login_code=b":      "?login_code=C",
		"?Login%5FCode=evil&login_code[]": "?login_code=C",
		"?login.code=x&Login%20Error=y&a": "?a&login_code=C",
		"?%20login_code=evil&a=%2f%zz":    "?a=%2f%zz&login_code=C",
		"?a=1&login_error=denied&nonce=x": "?a=1&login_code=C",
		"?xlogin_code=1&nonces=2":         "?xlogin_code=1&nonces=2&login_code=C",
		"?q=a;b;c&u=http://x/?y=z":        "?q=a;b;c&u=http://x/?y=z&login_code=C",
		"?a=1#/in?login_code=2":           "?a=1&login_code=C#/in?login_code=2",
	} {
		s := newStage()
		at := s.browser(t).stop(shop, loginURL(shop+"in"+to))
		code := "login_code=" + query(t, at, "login_code")
		require.Equal(t, shop+"in"+want, strings.Replace(at, code, "login_code=C", 1), to)
	}
}

func TestAToThatWasNotEncodedIsNamed(t *testing.T) {
	s := newStage()
	for link, why := range map[string]string{
		"/login?to=https://shop.example.com/?a=1&b=2&c":                   "unknown parameters &#34;b&#34;, &#34;c&#34;",
		"/login?to=https://shop.example.com/?a=1;b=2":                     "invalid query",
		"/login?to=https://shop.example.com/?a=100%":                      "invalid query",
		"/login?to=https://shop.example.com/?to=x&to=y":                   "parameter to is repeated",
		"/login?to=https%3A%2F%2Fshop.example.com%2F&login_code=x":        "unknown parameters &#34;login_code&#34;",
		"/login?to=https%3A%2F%2Fshop.example.com%2F&from=home":           "unknown parameters &#34;from&#34;",
		"/login?too=https%3A%2F%2Fshop.example.com%2F":                    "unknown parameters &#34;too&#34;",
		"/login?to=https%3A%2F%2Fshop.example.com%2F&%3Cb%3E=1":           "unknown parameters &#34;&lt;b&gt;&#34;",
		"/login?to=https%3A%2F%2Fshop.example.com%2F&" + long("p", 3_000): "unknown parameters",
	} {
		p := requireRefused(t, s.browser(t), mount+link, 400, why)
		require.Contains(t, p.body, "encodeURIComponent")
		require.Contains(t, p.body, "没有经过编码")
		require.Less(t, len(p.body), 4_000)
	}
	p := s.browser(t, "Accept-Language", "en").open(mount + "/login?to=https://shop.example.com/?a=1&b=2")
	require.Contains(t, p.body, "was not encoded")

	shared := s.browser(t).open(loginURL(shop) + "&from=singlemessage&isappinstalled=0") // as WeChat shares links
	require.NotEmpty(t, shared.url.Query().Get("login_code"))
}

// long returns a query of n parameters.
func long(name string, n int) string { return strings.Repeat(name+"&", n/2) + strings.Repeat("q", n) }

func TestTheRedirectAddressHasNoDefaultPort(t *testing.T) {
	for at, want := range map[string]string{
		"https://wx.example.com:443/wx/": "https://wx.example.com/wx", "http://wx.example.com:80/wx": "http://wx.example.com/wx",
		"https://wx.example.com:8443/wx": "https://wx.example.com:8443/wx", "https://WX.example.com/a%2Fb": "https://wx.example.com/a%2Fb",
	} {
		s := newStage(func(s *stage) { s.login.URL = at })
		w, err := serve(t.Context(), s.browser(t).hc.Jar, s.handler(), httptest.NewRequest("GET", loginURL(shop), nil))
		require.NoError(t, err)
		require.Equal(t, want+"/login/callback", query(t, w.Header().Get("Location"), "redirect_uri"), at)
	}
}

func TestEveryPageHasALinkToContinue(t *testing.T) {
	link := func(p page) string { return strings.ReplaceAll(between(p.body, `<a href="`, `"`), "&amp;", "&") }
	s := newStage()
	for _, address := range []string{loginURL("https://evil.example.net/"), mount + "/login?to=" + shop + "?a=1&b=2", back, back + "?state=" + strings.Repeat("0", 32)} {
		p := s.browser(t).open(address)
		require.Equal(t, shop, link(p), address)
		require.Contains(t, p.body, "返回网站")
	}
	came := s.browser(t, "Referer", "https://shop.example.com/cart", "Accept-Language", "en").open(back)
	require.Equal(t, shop+"cart", link(came))
	require.Contains(t, came.body, "Back to the site")
	require.Equal(t, shop, link(s.browser(t, "Referer", "https://evil.example.net/").open(back)))

	s.wx.Browse("", wechattest.Deny)
	b := browse(t, s.wx, s.app())
	require.Equal(t, my+"/", link(requireRefused(t, b, back+"?state="+query(t, b.stop(back, my+"/"), "state"), 403, "登录已取消")))

	s = newStage(func(s *stage) {
		s.login.OnLogin, s.login.Hosts = func(http.ResponseWriter, *http.Request, oauth.User) {}, nil
	})
	s.wx.Browse("", wechattest.Deny)
	p := s.browser(t).open(mount + "/login?scope=snsapi_userinfo")
	require.Contains(t, p.body, "登录已取消")
	require.Equal(t, mount+"/login?scope=snsapi_userinfo&lang=zh_CN", sorted(link(p)))
}

func TestALongToIsRefused(t *testing.T) {
	s := newStage()
	fits := shop + strings.Repeat("&", 2048-len(shop))
	at := s.browser(t).stop("https://open.weixin.qq.com/", loginURL(fits, "nonce", strings.Repeat("<", 256)))
	raw, ok, err := s.login.Store.Get(t.Context(), "oauth/"+appID+"/state/"+query(t, at, "state"))
	require.NoError(t, err)
	require.True(t, ok)
	require.Less(t, len(raw), 2048+256+512, "a state is small")
	requireRefused(t, s.browser(t), loginURL(fits+"a"), 403, "longer than 2048 bytes")
	requireRefused(t, browse(t, s.wx, s.app()), my+"/"+strings.Repeat("a", 2048), 400, "too long")
}

func TestTwoNamesOfOneAppIDShareNoLogins(t *testing.T) {
	s := newStage(func(s *stage) { s.login.Name = "shop" })
	other := &oauth.Login{AppID: appID, Secret: secret, Name: "新闻/a", Store: s.login.Store, URL: mount, Hosts: s.login.Hosts, Client: s.login.Client}
	code := s.browser(t).open(loginURL(shop)).url.Query().Get("login_code")
	_, err := other.Redeem(t.Context(), code)
	require.ErrorIs(t, err, oauth.ErrLoginCode)
	_, err = s.login.Redeem(t.Context(), code)
	require.NoError(t, err)

	b := s.browser(t)
	end := b.stop(back, loginURL(shop))
	there := browse(t, s.wx, (&stage{s.wx, other}).handler())
	there.hc.Jar = b.hc.Jar
	requireRefused(t, there, end, 410, "登录已过期")
	require.Equal(t, "shop", b.open(end).body)

	my1 := browse(t, s.wx, s.app())
	require.Contains(t, my1.open(my+"/").body, "hello")
	my2 := browse(t, s.wx, (&stage{s.wx, other}).app())
	my2.hc.Jar = my1.hc.Jar
	require.Contains(t, my2.stop("https://open.weixin.qq.com/", my+"/"), "/connect/oauth2/authorize", "a session of one is none of the other")

	s.wx.Browse("", wechattest.Allow)
	s.browser(t).open(loginURL(shop, "scope", "snsapi_userinfo"))
	g, err := other.Grant(t.Context(), s.wx.OpenID(appID, "ming"))
	require.NoError(t, err, "a grant is WeChat's to the AppID")
	require.Equal(t, s.wx.OpenID(appID, "ming"), g.OpenID)

	wx, m := newMini()
	m.Name = "one"
	two := &oauth.Mini{AppID: m.AppID, Secret: m.Secret, Name: "two", Store: m.Store, Client: m.Client}
	mini := between(post(m, "/session", `{"code":"`+wx.MiniCode(appID, "ming")+`"}`).Body.String(), `"login_code":"`, `"`)
	_, err = two.Redeem(t.Context(), mini)
	require.ErrorIs(t, err, oauth.ErrLoginCode)
	_, err = m.Redeem(t.Context(), mini)
	require.NoError(t, err)
}

// between returns the text between two others.
func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// sorted returns an address whose query has scope first.
func sorted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return err.Error()
	}
	q := u.Query()
	return strings.Split(address, "?")[0] + "?scope=" + q.Get("scope") + "&lang=" + q.Get("lang")
}
