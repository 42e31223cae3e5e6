package token_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestAFieldWithBlanksAroundItIsNamed(t *testing.T) {
	for _, mode := range []token.Mode{token.Stable, token.Classic, token.Work} {
		for _, c := range []struct{ id, secret, says string }{
			{" wx1", "hidden", "Manager.AppID begins or ends with a blank"},
			{"wx1", "hidden\r\n", "Manager.Secret begins or ends with a blank"},
		} {
			wx := new(wechattest.Server)
			m := &token.Manager{AppID: c.id, Secret: c.secret, Mode: mode, Client: &wechat.Client{HTTP: wx.Client()}}
			_, err := m.Token(t.Context())
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "hidden")
			require.Zero(t, wx.Calls("/cgi-bin/stable_token")+wx.Calls("/cgi-bin/token")+wx.Calls("/cgi-bin/gettoken"))
		}
	}
}
