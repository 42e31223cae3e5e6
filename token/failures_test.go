package token_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// TestEachErrorAdvisesAnAction prints the error of each way in which a fetch can fail.
func TestEachErrorAdvisesAnAction(t *testing.T) {
	app := wechattest.App{ID: appID, Secret: secret}
	for name, c := range map[string]struct {
		mode  method
		spoil func(wx *wechattest.Server)
		says  string
	}{
		"wrong secret":   {spoil: func(wx *wechattest.Server) { a := app; a.Secret = "other"; wx.Add(a) }, says: "40125 invalid appsecret: check the app's secret"},
		"address":        {spoil: func(wx *wechattest.Server) { a := app; a.IPs = []string{"203.0.113.1"}; wx.Add(a) }, says: "add 127.0.0.1 to the IP whitelist"},
		"frozen secret":  {spoil: func(wx *wechattest.Server) { a := app; a.SecretFrozen = true; wx.Add(a) }, says: "unfreeze the secret"},
		"confirmation":   {spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Code: 89503}) }, says: "an administrator of the app must confirm"},
		"quota":          {mode: classic, spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Code: 45009}) }, says: "wait for midnight in China"},
		"busy":           {spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Code: -1}) }, says: "try again in a few seconds"},
		"HTTP status":    {spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Status: 502, Body: "<html>"}) }, says: "HTTP status 502"},
		"garbage":        {spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Body: "garbage"}) }, says: "the answer is not JSON"},
		"cut":            {spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Cut: true}) }, says: "stable_token"},
		"no answer":      {spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Hang: true}) }, says: "deadline exceeded"},
		"no token in it": {spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Body: `{"expires_in":7200}`}) }, says: "no valid token"},
		"no life in it":  {spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Body: `{"access_token":"t"}`}) }, says: "expires_in is 0"},
		"secret echoed":  {spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Code: 40125, Msg: "not " + secret}) }, says: "not ***"},
		"secret at the cut": {spoil: func(wx *wechattest.Server) {
			wx.AddFault(wechattest.Fault{Code: 40125, Msg: strings.Repeat("x", 290) + secret})
		}, says: "xxx***"},
		"secret for a rid": {spoil: func(wx *wechattest.Server) {
			wx.AddFault(wechattest.Fault{Body: `{"errcode":40125,"errmsg":"not this, rid: ` + secret + `"}`})
		}, says: "rid: ***"},
		"WeCom's secret": {mode: work, spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Code: 40001, Msg: "invalid credential"}) }, says: "the secret is wrong"},
		"WeCom's addresses": {mode: work, spoil: func(wx *wechattest.Server) {
			wx.AddFault(wechattest.Fault{Code: 60020, Msg: "not allow to access from your ip, from ip: 203.0.113.5"})
		}, says: "add 203.0.113.5 to the application's trusted addresses in WeCom's console"},
		"classic quota": {mode: classic, spoil: func(wx *wechattest.Server) { wx.AddFault(wechattest.Fault{Code: 45009}) }, says: "token_mode: stable"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(c.mode)
				c.spoil(w.wx)
				m := w.manager()
				_, err := m.Token(t.Context())
				t.Log(err)
				require.ErrorContains(t, err, "token: "+appID+": ")
				require.ErrorContains(t, err, c.says)
				require.NotContains(t, err.Error(), secret)
				require.NotContains(t, err.Error(), "\n")

				waitFor(time.Second)
				_, again := m.Token(t.Context())
				require.ErrorContains(t, again, err.Error()[:40])
				require.NotContains(t, again.Error(), secret)
			})
		})
	}
}
