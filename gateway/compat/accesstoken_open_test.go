package compat_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

const (
	open1      = "/apis/v1/wx/open1"
	saasID     = "wxsaas000000000001"
	aliceID    = "wxalice00000000001"
	saasKey    = "a-key-of-this-test-for-the-accounts"
	saasAESKey = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
)

func TestWechatAccessTokensOpenPlatform(t *testing.T) {
	var public http.Handler
	w := newWorld(t, func(o *gateway.Options) {
		o.RegisterUnsealed = true
		o.Config.PublicURL = "https://wx.example.com"
		o.Config.Keys = append(o.Config.Keys, gateway.Key{Name: "saas", Key: saasKey, Apps: []string{"platform:saas"}, Scopes: []string{"token", "renew"}})
		o.Config.Apps["saas"] = gateway.App{
			AppID: saasID, Secret: secret, Kind: wechat.Platform, Hosts: []string{"saas.example.com"}, ReleaseCheck: true,
			Message: &gateway.Message{Token: "token", AESKey: saasAESKey},
		}
		o.PublicFallback = compat.Public(o.Config.Compat)
	})
	public = w.gateway.Public()
	w.wx.AddApp(aliceID, "unknown to us")
	w.wx.AddPlatform(wechattest.Platform{
		ID: saasID, Secret: secret, Token: "token", EncodingAESKey: saasAESKey, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { public.ServeHTTP(rw, r) }),
		EventURL: "https://wx.example.com" + open1 + "/event", MessageURL: "https://wx.example.com" + open1 + "/$APPID$/callback",
	})
	redirect := "&redirectUri=" + url.QueryEscape("https://saas.example.com/back?a=1")
	status, body, _ := send(w.private, input{path: open1 + "/authurl?type=mobile" + redirect, key: saasKey})
	require.Equal(t, 200, status)
	require.Contains(t, body, `{"errcode":42001,"message":"没有获取tickets,需要等待最多10分钟"`)

	result, err := w.wx.PushTicket(t.Context(), saasID)
	require.NoError(t, err)
	require.Empty(t, result.Fault)
	link := func(in input) *url.URL {
		t.Helper()
		status, body, _ := send(w.private, in)
		require.Equal(t, 200, status, body)
		var a struct {
			URL       string `json:"url"`
			ExpiresIn int    `json:"expires_in"`
			CreatedAt string `json:"createdAt"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &a), body)
		require.Greater(t, a.ExpiresIn, 600)
		_, err := time.Parse(time.RFC3339, a.CreatedAt)
		require.NoError(t, err)
		u, err := url.Parse(a.URL)
		require.NoError(t, err, body)
		require.Equal(t, saasID, u.Query().Get("component_appid"))
		require.Equal(t, "https://saas.example.com/back?a=1", u.Query().Get("redirect_uri"))
		return u
	}
	require.Equal(t, "/safe/bindcomponent", link(input{path: open1 + "/authurl?x=1" + redirect, key: saasKey}).Path)
	require.Equal(t, "/cgi-bin/componentloginpage", link(input{path: open1 + "/authurl?type=scancode" + redirect, key: allKey}).Path)
	require.Equal(t, "/safe/bindcomponent", link(input{method: "POST", path: open1 + "/authurl", key: saasKey, body: `{"type":"mobile","redirectUri":"https://saas.example.com/back?a=1"}`, form: formJSON}).Path)

	code, err := w.wx.Authorize(t.Context(), saasID, aliceID)
	require.NoError(t, err)
	status, body, _ = send(w.private, input{path: open1 + "/mpinfo?auth_code=" + code, key: saasKey})
	require.Equal(t, 200, status)
	var info struct {
		AppID       string            `json:"authorizer_appid"`
		Token       string            `json:"authorizer_access_token"`
		ExpiresIn   int               `json:"expires_in"`
		Refresh     *string           `json:"authorizer_refresh_token"`
		Permissions []json.RawMessage `json:"func_info"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &info), body)
	require.Equal(t, aliceID, info.AppID)
	require.Zero(t, w.wx.Check(info.Token))
	require.NotNil(t, info.Refresh)
	require.Empty(t, *info.Refresh, "nobody but wetoken needs it")
	require.NotEmpty(t, info.Permissions)

	for name, c := range map[string]struct {
		in     input
		status int
		body   string
	}{
		"token":             {input{path: open1 + "/access_token/" + aliceID, key: saasKey}, 200, tokenAnswer(info.Token)},
		"token, other key":  {input{path: open1 + "/access_token/" + aliceID, key: shopKey}, 403, `{"errcode":-1,"message":"this key has no scope token for this app","xOrigMsg":"this key has no scope token for this app"}`},
		"link, other key":   {input{path: open1 + "/authurl?x" + redirect, key: shopKey}, 403, `{"errcode":-1,"message":"this key has no scope token for this platform","xOrigMsg":"this key has no scope token for this platform"}`},
		"link to elsewhere": {input{path: open1 + "/authurl?redirectUri=https%3A%2F%2Fevil.example.com", key: saasKey}, 200, ""},
		"link to nowhere":   {input{path: open1 + "/authurl", key: saasKey}, 200, `{"errcode":40003,"message":"参数错误","xOrigMsg":"redirectUri: must be set: the address to return to, on one of hosts of the platform"}`},
		"link of a kind":    {input{path: open1 + "/authurl?type=x" + redirect, key: saasKey}, 200, `{"errcode":40003,"message":"参数错误","xOrigMsg":"type: want mobile or scancode"}`},
		"info without code": {input{path: open1 + "/mpinfo", key: saasKey}, 200, `{"errcode":40003,"message":"参数错误","xOrigMsg":"auth_code is missing"}`},
		"info of nothing":   {input{path: open1 + "/mpinfo?auth_code=x", key: saasKey}, 200, `{"errcode":40000,"message":"第三方API调用失败","xOrigMsg":"errcode=61009,errmsg=code is invalid"}`},
		"events are public": {input{method: "POST", path: open1 + "/event", key: saasKey}, 200, `{"errcode":40011,"message":"没有此API"}`},
		"no key":            {input{path: open1 + "/mpinfo?auth_code=" + code}, 401, `{"errcode":-1,"message":"missing caller key: want Authorization: Bearer KEY","xOrigMsg":"missing caller key: want Authorization: Bearer KEY"}`},
	} {
		status, body, _ := send(w.private, c.in)
		require.Equal(t, c.status, status, "%s: %s", name, body)
		if c.body != "" {
			require.JSONEq(t, c.body, body, name)
		}
	}

	to, err := w.wx.PlatformMessages(saasID, aliceID)
	require.NoError(t, err)
	result, err = to.Push(t.Context(), push.Message{Content: "TESTCOMPONENT_MSG_TYPE_TEXT"})
	require.NoError(t, err)
	require.Equal(t, "TESTCOMPONENT_MSG_TYPE_TEXT_callback", result.Shown, "messages reach the account's app")

	status, body, _ = send(w.rpc, input{method: "POST", path: "/", key: saasKey, form: formJSON, body: `{"jsonrpc":"2.0","id":1,"method":"getAccessTokenOpen","params":[{"appid":"` + aliceID + `"}]}`})
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":1,"result":"`+info.Token+`"}`, body)
	status, body, _ = send(w.rpc, input{method: "POST", path: "/", key: saasKey, form: formJSON, body: `{"jsonrpc":"2.0","id":2,"method":"getAuthUrl","params":[{"type":"scancode","redirectUri":"https://saas.example.com/back"}]}`})
	require.Equal(t, 200, status)
	require.Contains(t, body, "componentloginpage")

	_, err = w.wx.Unauthorize(t.Context(), saasID, aliceID)
	require.NoError(t, err)
	status, body, _ = send(w.private, input{path: open1 + "/access_token/" + aliceID, key: saasKey})
	require.Equal(t, 200, status)
	require.Contains(t, body, "errcode=61003")
}
