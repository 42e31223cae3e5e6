package oauth_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const nextSecret = "the-secret-after-the-reset"

// countingSecrets returns a client of wx, and the secrets that its calls have, in order.
func countingSecrets(wx *wechattest.Server) (*wechat.Client, func() []string) {
	wire, sent := wx.Client().Transport, []string(nil)
	return &wechat.Client{HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if s := r.URL.Query().Get("secret"); s != "" {
			sent = append(sent, s)
		}
		return wire.RoundTrip(r)
	})}}, func() []string { all := sent; sent = nil; return all }
}

func TestALoginUsesTheNextSecretOnceThePresentOneIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(allowConsent)
		client, sent := countingSecrets(s.wx)
		s.login.Client, s.login.NextSecret = client, nextSecret
		present := s.login.Secret
		for i, want := range [][]string{{present}, {present, nextSecret}, {nextSecret}} {
			if i == 1 {
				s.wx.AddApp(appID, nextSecret)
			}
			g, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeBase))
			require.NoError(t, err)
			require.Equal(t, s.wx.OpenID(appID, "ming"), g.OpenID)
			require.Equal(t, want, sent())
		}

		// A code that WeChat refuses is not sent again with another secret.
		_, err := s.login.Exchange(t.Context(), "a-code-of-nobody")
		require.ErrorIs(t, err, wechat.ErrInvalidCode)
		require.Equal(t, []string{nextSecret}, sent())
	})
}

func TestAMiniProgramUsesTheNextSecretOnceThePresentOneIsRefused(t *testing.T) {
	wx, m := newMini()
	client, sent := countingSecrets(wx)
	m.Client, m.NextSecret = client, nextSecret
	for i, want := range [][]string{{m.Secret}, {m.Secret, nextSecret}, {nextSecret}} {
		if i == 1 {
			wx.Add(wechattest.App{ID: appID, Secret: nextSecret, Kind: wechattest.Mini})
		}
		u, err := m.Session(t.Context(), wx.MiniCode(appID, "ming"))
		require.NoError(t, err)
		require.Equal(t, wx.OpenID(appID, "ming"), u.OpenID)
		require.Equal(t, want, sent())
	}
	_, err := m.Session(t.Context(), "a-code-of-nobody")
	require.ErrorIs(t, err, wechat.ErrInvalidCode)
	require.Equal(t, []string{nextSecret}, sent())

	wx.AddFault(wechattest.Fault{Path: "/sns/jscode2session", Cut: true})
	_, err = m.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.Error(t, err)
	require.NotContains(t, sent(), m.Secret, "no answer is no refusal")
}
