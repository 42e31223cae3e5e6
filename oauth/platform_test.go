package oauth_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestAnAccountOfAPlatformLogsItsUsersInByThePlatformsToken(t *testing.T) {
	const id, appID, mini = "wxplatform00000001", "wx0123456789abcdef", "wxmini0123456789ab"
	wx, s := new(wechattest.Server), new(store.Memory)
	wx.AddApp(appID, "unknown to the platform")
	wx.Add(wechattest.App{ID: mini, Secret: "unknown, too", Kind: wechattest.Mini})
	wx.AddPlatform(wechattest.Platform{ID: id, Secret: "platform secret"})
	_, _ = wx.PushTicket(t.Context(), id) // which has no event URL here
	client := &wechat.Client{HTTP: wx.Client()}
	p := &platform.Platform{AppID: id, Secret: "platform secret", Store: s, Client: client}
	require.NoError(t, p.SaveTicket(t.Context(), wx.Tickets(id)[0], time.Now()))
	for _, one := range []string{appID, mini} {
		_, err := wx.Authorize(t.Context(), id, one)
		require.NoError(t, err)
	}

	l := &oauth.Login{AppID: appID, PlatformID: id, PlatformTokens: p, Store: s, Client: client, URL: "https://platform.example.com/wx"}
	for _, scope := range []string{oauth.ScopeBase, oauth.ScopeUserInfo} {
		wx.Browse("", wechattest.Allow)
		browser := wx.Client()
		browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		res, err := browser.Get(l.AuthorizeURL("https://platform.example.com/back", scope, "state"))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		back, err := url.Parse(res.Header.Get("Location"))
		require.NoError(t, err)
		require.Equal(t, appID, back.Query().Get("appid"))
		if scope == oauth.ScopeBase { // a refused component token is renewed
			c, err := p.Token(t.Context())
			require.NoError(t, err)
			wx.Expire(c.Value)
		}
		g, err := l.Exchange(t.Context(), back.Query().Get("code"))
		require.NoError(t, err)
		require.Equal(t, wx.OpenID(appID, "ming"), g.OpenID)
		if scope == oauth.ScopeUserInfo {
			u, err := l.UserInfo(t.Context(), g, "")
			require.NoError(t, err)
			require.Equal(t, "小明", u.Nickname)
			again, err := l.Refresh(t.Context(), g)
			require.NoError(t, err)
			require.Equal(t, g.OpenID, again.OpenID)
		}
	}
	require.Zero(t, wx.Calls("/sns/oauth2/access_token"))

	m := &oauth.Mini{AppID: mini, PlatformID: id, PlatformTokens: p, Store: s, Client: client}
	u, err := m.Session(t.Context(), wx.MiniCode(mini, "ming"))
	require.NoError(t, err)
	require.Equal(t, wx.OpenID(mini, "ming"), u.OpenID)
	_, err = (&oauth.Mini{AppID: mini, PlatformID: id, Client: client}).Session(t.Context(), "code")
	require.ErrorContains(t, err, "PlatformTokens must be set")
}
