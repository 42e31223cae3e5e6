package oauth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechat"
)

func TestAFieldWithBlanksAroundItIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*oauth.Login)
		says   string
	}{
		"app id":       {func(l *oauth.Login) { l.AppID += " " }, "Login.AppID begins or ends with a blank"},
		"secret":       {func(l *oauth.Login) { l.Secret += "\n" }, "Login.Secret begins or ends with a blank"},
		"mini":         {func(l *oauth.Login) { l.Kind = wechat.Mini }, `Login.Kind is "mini": want official, website or work`},
		"unknown kind": {func(l *oauth.Login) { l.Kind = "wecom" }, `Login.Kind is "wecom": want official, website or work`},
		"sign key":     {func(l *oauth.Login) { l.SignKey = "\tk" }, "Login.SignKey begins or ends with a blank"},
		"old sign key": {func(l *oauth.Login) { l.PreviousSignKey = "k\u200b" }, "Login.PreviousSignKey begins or ends with a blank"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(func(s *stage) { c.change(s.login) })
			_, err := s.login.Exchange(t.Context(), "code")
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), secret)
			require.Zero(t, s.wx.Calls("/sns/oauth2/access_token"))
		})
	}
	wx, m := newMini()
	m.Secret += "\n"
	_, err := m.Session(t.Context(), "code")
	require.ErrorContains(t, err, "Mini.Secret begins or ends with a blank")
	require.Zero(t, wx.Calls("/sns/jscode2session"))
}
