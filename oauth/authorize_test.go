package oauth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechat"
)

func TestAuthorizeURLHasTheOrderOfWeChatsManual(t *testing.T) {
	official := &oauth.Login{AppID: "wx1"}
	require.Equal(t,
		"https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1&redirect_uri=https%3A%2F%2Fwx.example.com%2Fa%20b%3Fx%3D1&response_type=code&scope=snsapi_userinfo&state=s1&connect_redirect=1#wechat_redirect",
		official.AuthorizeURL("https://wx.example.com/a b?x=1", oauth.ScopeUserInfo, "s1"))

	work := &oauth.Login{AppID: "ww1", Kind: wechat.Work, AgentID: 7, OpenURL: "http://127.0.0.1:1/"}
	require.Equal(t,
		"http://127.0.0.1:1/connect/oauth2/authorize?appid=ww1&redirect_uri=https%3A%2F%2Fwx.example.com%2F&response_type=code&scope=snsapi_privateinfo&state=s1&agentid=7&connect_redirect=1#wechat_redirect",
		work.AuthorizeURL("https://wx.example.com/", oauth.ScopePrivateInfo, "s1"))
}

func TestQRURLIsThePageOfTheKind(t *testing.T) {
	website := &oauth.Login{AppID: "wx1", Kind: wechat.Website}
	require.Equal(t,
		"https://open.weixin.qq.com/connect/qrconnect?appid=wx1&redirect_uri=https%3A%2F%2Fwx.example.com%2F&response_type=code&scope=snsapi_login&state=s1#wechat_redirect",
		website.QRURL("https://wx.example.com/", "s1", "zh_CN"))
	require.Equal(t,
		"https://open.weixin.qq.com/connect/qrconnect?appid=wx1&redirect_uri=https%3A%2F%2Fwx.example.com%2F&response_type=code&scope=snsapi_login&state=s1&lang=en#wechat_redirect",
		website.QRURL("https://wx.example.com/", "s1", "en"))

	work := &oauth.Login{AppID: "ww1", Kind: wechat.Work, AgentID: 7}
	require.Equal(t,
		"https://login.work.weixin.qq.com/wwlogin/sso/login?login_type=CorpApp&appid=ww1&agentid=7&redirect_uri=https%3A%2F%2Fwx.example.com%2F&state=s1",
		work.QRURL("https://wx.example.com/", "s1", "en"))
}
