package oauth_test

import (
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechattest"
)

func TestALoginReturnsWithACodeThatIsRedeemedOnce(t *testing.T) {
	s := newStage()
	p := s.browser(t).open(loginURL(shop + "cart?item=1&login_code=old&login%5Fcode=older&a=%2f#pay"))
	require.Equal(t, "shop", p.body)
	require.Equal(t, "shop.example.com", p.url.Host)
	require.Equal(t, "/cart", p.url.Path)
	require.Equal(t, "pay", p.url.Fragment)
	require.True(t, strings.HasPrefix(p.url.RawQuery, "item=1&a=%2f&login_code="), p.url.RawQuery)
	require.Len(t, p.url.Query()["login_code"], 1)

	u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, oauth.User{OpenID: s.wx.OpenID(appID, "ming"), UnionID: s.wx.UnionID("platform", "ming"), To: "https://shop.example.com"}, u)

	_, err = s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.ErrorIs(t, err, oauth.ErrLoginCode)
}

func TestNicknamesAreNotChanged(t *testing.T) {
	for _, nickname := range []string{`O'Neil "x" <b>&amp;</b>`, "</script><script>alert(1)</script>", "小明👨‍👩‍👧 \\u0000 \\n", "مرحبا\u202e", "%00%0d%0a;"} {
		s := newStage()
		s.wx.AddPerson(wechattest.Person{Name: "li", Nickname: nickname, HeadImgURL: "https://wx.qlogo.cn/0?a=1&b=2"})
		s.wx.Browse("li", wechattest.Allow)
		p := s.browser(t).open(loginURL(shop, "scope", "snsapi_userinfo", "lang", "en"))
		u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
		require.NoError(t, err)
		require.Equal(t, nickname, u.Nickname)
		require.Equal(t, "https://wx.qlogo.cn/0?a=1&b=2", u.HeadImgURL)
		require.Equal(t, s.wx.UnionID("platform", "li"), u.UnionID)
	}
}

func TestALoginReturnsTheNonceOfTheSite(t *testing.T) {
	s := newStage()
	p := s.browser(t).open(loginURL(shop, "nonce", "a&b=ü"))
	require.Equal(t, "a&b=ü", p.url.Query().Get("nonce"))
	u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, "a&b=ü", u.Nonce)
}

func TestTheStateIsThirtyTwoRandomHexDigits(t *testing.T) {
	s := newStage()
	seen := map[string]bool{}
	for range 50 {
		at, err := url.Parse(s.browser(t).stop("https://open.weixin.qq.com/", loginURL(shop)))
		require.NoError(t, err)
		name := at.Query().Get("state")
		require.Regexp(t, regexp.MustCompile(`^[0-9a-f]{32}$`), name)
		require.False(t, seen[name])
		seen[name] = true
		require.Equal(t, back, at.Query().Get("redirect_uri"))
		require.Equal(t, "wechat_redirect", at.Fragment)
	}
}

func TestAddressesUseURLAndNotTheHostHeader(t *testing.T) {
	s := newStage()
	r := httptest.NewRequest("GET", "http://evil.example.net/wx/login?to="+url.QueryEscape(shop), nil)
	r.Header.Set("X-Forwarded-Host", "evil.example.net")
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	require.Equal(t, 302, w.Code)
	require.Contains(t, w.Header().Get("Location"), url.QueryEscape(back))
	require.NotContains(t, w.Header().Get("Location"), "evil")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
}

func TestALoginReturnsOnlyToHosts(t *testing.T) {
	s := newStage()
	for _, to := range []string{
		"", "/", "cart", "https://evil.example.net/", "//evil.example.net/", `\\evil.example.net\`, `/\evil.example.net`,
		"https://shop.example.com@evil.example.net/", "https://shop.example.com.evil.example.net/", "https://shop.example.com:8443/",
		`https://shop.example.com\@evil.example.net/`, "https://www.shop.example.com/", "https://wx.example.com/", "javascript:alert(1)",
		"https://shop.example.com/\r\nSet-Cookie: a=b", "\thttps://shop.example.com/", "https://shop.example.com/" + strings.Repeat("a", 5000),
	} {
		p := requireRefused(t, s.browser(t), loginURL(to), 403, "不能返回该网址")
		require.Equal(t, "wx.example.com", p.url.Host)
	}
	requireRefused(t, s.browser(t), mount+"/login", 403, "不能返回该网址")
}

func TestALoginOverHTTPSReturnsOverHTTPS(t *testing.T) {
	s := newStage()
	requireRefused(t, s.browser(t), loginURL("http://shop.example.com/"), 403, "it must be https")
	require.Equal(t, "shop", s.browser(t).open(loginURL("http://127.0.0.1:8080/")).body, "this machine needs no wire")
	s.login.URL = "http://wx.example.com/wx"
	require.Contains(t, s.browser(t).stop("https://open.weixin.qq.com/", loginURL("http://shop.example.com/")), "http%3A%2F%2Fwx.example.com")
}

func TestAnInvalidRequestIsRefused(t *testing.T) {
	s := newStage()
	requireRefused(t, s.browser(t), loginURL(shop, "scope", "snsapi_everything"), 400, "no such scope")
	requireRefused(t, s.browser(t), loginURL(shop, "scope", "snsapi_login"), 400, "no such scope")
	requireRefused(t, s.browser(t), loginURL(shop, "scope", "snsapi_privateinfo"), 400, "no such scope")
	requireRefused(t, s.browser(t), loginURL(shop, "nonce", strings.Repeat("n", 257)), 400, "nonce is longer")
	s.login.URL = "wx.example.com/wx"
	requireRefused(t, s.browser(t), loginURL(shop), 503, "暂时无法登录")
}

func TestAStateWorksForOneBrowser(t *testing.T) {
	s := newStage()
	b := s.browser(t)
	end := b.stop(back, loginURL(shop, "nonce", "n1"))
	require.Equal(t, "shop", b.open(end).body)
	b = s.browser(t)
	p := requireRefused(t, b, end, 410, "登录链接已使用")
	require.Contains(t, p.body, "重新登录")
	require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))

	again := regexp.MustCompile(`href="([^"]+)"`).FindStringSubmatch(p.body)
	require.Len(t, again, 2, p.body)
	require.Equal(t, "shop", b.open(strings.ReplaceAll(again[1], "&amp;", "&")).body, "the page's link begins the login anew")
}

func TestAStateOpenedManyTimesAtOnceWorksOnce(t *testing.T) {
	c := new(crowdedStore)
	s := newStage(func(s *stage) { s.login.Store = c })
	end := s.browser(t).stop(back, loginURL(shop))
	c.about = "/state/"
	c.all.Add(16)
	h := s.handler()
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[int]int{}
	for range 16 {
		wg.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", end, nil))
			mu.Lock()
			defer mu.Unlock()
			count[w.Code]++
		})
	}
	wg.Wait()
	require.Equal(t, map[int]int{302: 1, 410: 15}, count)
}

func TestAnExpiredStateIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := s.browser(t)
		in := b.stop(back, loginURL(shop))
		late := b.stop(back, loginURL(shop))
		<-time.After(10*time.Minute - time.Second)
		requireReturned(t, b, in, "expired") // WeChat's code has expired, the state has not
		<-time.After(2 * time.Second)
		requireReturned(t, b, late, "expired")
		<-time.After(10 * time.Minute)
		requireRefused(t, b, late, 410, "登录已过期")
	})
}

func TestAnUnknownStateIsRefused(t *testing.T) {
	s := newStage()
	for _, state := range []string{"", "x", strings.Repeat("0", 32), strings.Repeat("z", 32), strings.Repeat("0", 34), "../../session/a", "0\x00"} {
		requireRefused(t, s.browser(t), back+"?code=c&state="+url.QueryEscape(state), 410, "登录已过期")
	}
	require.Zero(t, s.wx.Calls("/sns/oauth2/access_token"))
}

func TestACodeThatWasUsedIsRefused(t *testing.T) {
	s := newStage()
	b := s.browser(t)
	first, err := url.Parse(b.stop(back, loginURL(shop)))
	require.NoError(t, err)
	second, err := url.Parse(b.stop(back, loginURL(shop)))
	require.NoError(t, err)
	require.Equal(t, "shop", b.open(first.String()).body)
	q := second.Query()
	q.Set("code", first.Query().Get("code"))
	second.RawQuery = q.Encode()
	requireReturned(t, b, second.String(), "expired")
	require.Equal(t, 2, s.wx.Calls("/sns/oauth2/access_token"))

	third, err := url.Parse(b.stop(back, loginURL(shop)))
	require.NoError(t, err)
	q = third.Query()
	q.Set("code", "made-up")
	third.RawQuery = q.Encode()
	requireReturned(t, b, third.String(), "expired")
}

func TestAHeadRequestDoesNotUseUpALogin(t *testing.T) {
	s := newStage()
	b := s.browser(t)
	end := b.stop(back, loginURL(shop))
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest("HEAD", end, nil))
	require.Equal(t, 200, w.Code)
	require.Equal(t, "shop", b.open(end).body)
}

func TestALoginBegunByOneProcessEndsAtAnother(t *testing.T) {
	s := newStage()
	second := &oauth.Login{AppID: appID, Secret: secret, Store: s.login.Store, URL: mount, Hosts: s.login.Hosts, Client: s.login.Client}
	end := s.browser(t).stop(back, loginURL(shop, "nonce", "n"))
	s.login, second = second, s.login
	p := s.browser(t).open(end)
	require.Equal(t, "shop", p.body)
	u, err := second.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, "n", u.Nonce)
	requireRefused(t, s.browser(t), end, 410, "登录链接已使用")
}

func TestALoginCodeLivesFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		code := func() string { return s.browser(t).open(loginURL(shop)).url.Query().Get("login_code") }
		in, late := code(), code()
		<-time.After(5*time.Minute - time.Second)
		_, err := s.login.Redeem(t.Context(), in)
		require.NoError(t, err)
		<-time.After(time.Second)
		_, err = s.login.Redeem(t.Context(), late)
		require.ErrorIs(t, err, oauth.ErrLoginCode)
	})
}

func TestTheStoreHasNoRedeemableCode(t *testing.T) {
	s := newStage()
	code := s.browser(t).open(loginURL(shop)).url.Query().Get("login_code")
	for key, err := range s.login.Store.Keys(t.Context(), "") {
		require.NoError(t, err)
		require.NotContains(t, key, code)
	}
}
