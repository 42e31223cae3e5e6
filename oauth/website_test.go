package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestAWebsiteLoginEndsInTheBrowserThatBeganIt(t *testing.T) {
	s := newStage(website)
	s.wx.Browse("", wechattest.Allow)
	victim, attacker := s.browser(t), s.browser(t)
	end := attacker.stop(back, loginURL(shop))
	requireRefused(t, victim, end, 403, "请在原浏览器中登录")
	p := attacker.open(end)
	require.Equal(t, "shop", p.body, "the refusal has used nothing up")
	u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, "小明", u.Nickname)
	require.Equal(t, p.url, attacker.open(end).url, "a second request ends like the first")
	requireRefused(t, victim, end, 410, "登录链接已使用")
}

func TestAWebsiteLoginNeedsACookie(t *testing.T) {
	s := newStage(website)
	s.wx.Browse("", wechattest.Allow)
	b := s.browser(t)
	b.hc.Jar = nil
	requireRefused(t, b, loginURL(shop), 403, "请在原浏览器中登录")
}

func TestTheCookieOfAWebsiteLoginIsProtected(t *testing.T) {
	s := newStage(website)
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest("GET", loginURL(shop), nil))
	cookies := slices.DeleteFunc(w.Result().Cookies(), func(c *http.Cookie) bool { return c.Name == "__Host-wetoken-browser" })
	require.Len(t, cookies, 1)
	c := cookies[0]
	require.True(t, strings.HasPrefix(c.Name, "__Host-"), "a neighbour of the host could plant %s", c.Name)
	require.Equal(t, "/", c.Path)
	require.Empty(t, c.Domain)
	require.True(t, c.HttpOnly)
	require.True(t, c.Secure)
	require.Equal(t, http.SameSiteLaxMode, c.SameSite)
	require.Equal(t, 600, c.MaxAge)
	for key, err := range s.login.Store.Keys(t.Context(), "") {
		require.NoError(t, err)
		raw, _, err := s.login.Store.Get(t.Context(), key)
		require.NoError(t, err)
		require.NotContains(t, string(raw), c.Value)
	}
}

func TestTwoTabsLogInSideBySide(t *testing.T) {
	s := newStage(website)
	s.wx.Browse("", wechattest.Allow)
	b := s.browser(t)
	one := b.stop(back, loginURL(shop+"one"))
	two := b.stop(back, loginURL(shop+"two"))
	require.Equal(t, "/one", b.open(one).url.Path)
	require.Equal(t, "/two", b.open(two).url.Path)
}

func TestAWebsitesCodeLivesTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(website)
		s.wx.Browse("", wechattest.Allow)
		b := s.browser(t)
		end := b.stop(back, loginURL(shop))
		<-time.After(9 * time.Minute)
		require.Equal(t, "shop", b.open(end).body)
	})
}
