package oauth_test

import (
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechattest"
)

// requireRefused opens an address in a browser of the stage and requires a page that shows why.
func requireRefused(t *testing.T, b *browser, address string, status int, why string) page {
	t.Helper()
	p := b.open(address)
	require.Equal(t, status, p.status, p.body)
	require.Contains(t, p.body, why)
	require.Equal(t, "text/html; charset=utf-8", p.header.Get("Content-Type"))
	require.Equal(t, "no-store", p.header.Get("Cache-Control"))
	require.Contains(t, p.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, p.body, secret)
	return p
}

// requireReturned opens an address in a browser of the stage and requires that it ends on the site with login_error.
func requireReturned(t *testing.T, b *browser, address, word string) page {
	t.Helper()
	p := b.open(address)
	require.Equal(t, "shop", p.body)
	require.Equal(t, "shop.example.com", p.url.Host)
	require.Equal(t, []string{word}, p.url.Query()["login_error"])
	require.NotContains(t, p.url.Query(), "login_code")
	return p
}

// captureLog captures the log until the test ends.
func captureLog(t *testing.T) *strings.Builder {
	log, standard := new(strings.Builder), slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(standard) })
	return log
}

func TestTheLogHasTheErrorThatTheVisitorDoesNotSee(t *testing.T) {
	log := captureLog(t)
	s := newStage(func(s *stage) { s.login.Secret = "wrong-secret" })
	end, err := url.Parse(s.browser(t).stop(back, loginURL(shop)))
	require.NoError(t, err)
	requireReturned(t, s.browser(t), end.String(), "failed")
	require.Contains(t, log.String(), "40125")
	require.NotContains(t, log.String(), "wrong-secret")
	require.NotContains(t, log.String(), end.Query().Get("code"))

	log.Reset()
	requireRefused(t, s.browser(t), loginURL("https://evil.example.net/"), 403, "不能返回该网址")
	requireRefused(t, s.browser(t), end.String(), 410, "登录链接已使用")
	require.Empty(t, log.String(), "what a visitor does wrong is no trouble of ours")
}

func TestPagesAreChineseUnlessEnglishIsPreferred(t *testing.T) {
	s := newStage()
	for accept, want := range map[string]string{
		"": "zh-CN", "zh-CN,zh;q=0.9,en;q=0.8": "zh-CN", "en": "en", "en-US,en;q=0.9": "en", "en-GB,zh;q=0.5": "en",
		"fr": "zh-CN", "zh;q=0.1,en;q=0.2": "en", "en;q=x": "zh-CN", "en;q=0": "zh-CN", strings.Repeat("en,", 1000): "en",
	} {
		p := s.browser(t, "Accept-Language", accept).open(loginURL("https://evil.example.net/"))
		require.Contains(t, p.body, `<html lang="`+want+`">`, accept)
		require.Equal(t, "Accept-Language", p.header.Get("Vary"))
		require.Contains(t, p.body, "its host is not among the app&#39;s hosts: evil.example.net")
		require.Contains(t, p.body, "width=device-width")
	}
}

func TestMarkupInAnAddressIsEscaped(t *testing.T) {
	s := newStage()
	p := s.browser(t).open(loginURL("https://<script>alert(1)</script>/"))
	require.Equal(t, 403, p.status)
	require.NotContains(t, p.body, "<script")
}

func TestALoginThatTheUserDeclinesReturnsToTheSite(t *testing.T) {
	s := newStage()
	s.wx.Browse("", wechattest.Deny)
	p := requireReturned(t, s.browser(t), loginURL(shop+"?a=1&login_error=old#top", "scope", "snsapi_userinfo", "nonce", "n1"), "denied")
	require.Equal(t, shop+"?a=1&login_error=denied&nonce=n1#top", p.url.String())
}

func TestAVisitorOfASnapshotIsNotLoggedIn(t *testing.T) {
	s := newStage()
	s.wx.Browse("", wechattest.Snapshot)
	requireReturned(t, s.browser(t), loginURL(shop, "scope", "snsapi_userinfo"), "failed")
	require.Zero(t, s.wx.Calls("/sns/userinfo"))
}

func TestAWrongSecretReturnsToTheSiteAsFailed(t *testing.T) {
	s := newStage(func(s *stage) { s.login.Secret = "wrong-secret" })
	requireReturned(t, s.browser(t), loginURL(shop), "failed")
}

func TestALoginFailsWhileWeChatIsDown(t *testing.T) {
	s := newStage()
	s.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/access_token", Cut: true})
	requireReturned(t, s.browser(t), loginURL(shop), "failed")
}

func TestALoginFailsWhileTheStoreIsDown(t *testing.T) {
	b := new(failingStore)
	s := newStage(func(s *stage) { s.login.Store = b })
	end := s.browser(t).stop(back, loginURL(shop))
	b.setDown(true)
	requireReturned(t, s.browser(t), loginURL(shop), "failed")
	requireRefused(t, s.browser(t), end, 503, "暂时无法登录") // the login is unknown, so there is no site to return to
	_, err := s.login.Redeem(t.Context(), "x")
	require.ErrorIs(t, err, errDown)
	require.NotErrorIs(t, err, oauth.ErrLoginCode)
	b.setDown(false)
	require.Equal(t, "shop", s.browser(t).open(end).body, "what failed for the store's sake has used nothing up")
}

func TestAPageHasTheStatusOfTheRefusal(t *testing.T) {
	for code, c := range map[int]struct {
		status     int
		says       string
		after      string
		loginAgain bool
	}{
		-1:    {503, "暂时无法登录", "2", true},
		45011: {429, "一分钟后再试", "60", false},
		40226: {400, "风险控制", "", false},
		40164: {502, "微信拒绝了登录", "", true},
	} {
		captureLog(t)
		s := newStage()
		b := browse(t, s.wx, s.app())
		end := b.stop(back, my+"/")
		s.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/access_token", Code: code})
		p := requireRefused(t, b, end, c.status, c.says)
		require.Equal(t, c.after, p.header.Get("Retry-After"))
		require.Equal(t, c.loginAgain, strings.Contains(p.body, "重新登录"), p.body)
	}
}
