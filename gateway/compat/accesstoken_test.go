package compat_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

const mp = "/apis/v1/wx/mp"

// tokenAnswer is the body of a token.
func tokenAnswer(value string) string { return `{"accessToken":"` + value + `"}` }

func TestWechatAccessTokensRoutes(t *testing.T) {
	w := newWorld(t)
	escaped := url.QueryEscape(secret)
	shop, news := w.tokenOf(shopID), w.tokenOf(newsID)
	const (
		noAppID = `{"errcode":40003,"message":"参数错误","xOrigMsg":"appid is missing"}`
		unknown = `{"errcode":40003,"message":"参数错误","xOrigMsg":"this appid is not registered"}`
		noScope = `{"errcode":-1,"message":"this key has no scope token for this app","xOrigMsg":"this key has no scope token for this app"}`
		noKey   = `{"errcode":-1,"message":"missing caller key: want Authorization: Bearer KEY","xOrigMsg":"missing caller key: want Authorization: Bearer KEY"}`
		noAPI   = `{"errcode":40011,"message":"没有此API"}`
		notIt   = `{"errcode":40000,"message":"第三方API调用失败","xOrigMsg":"errcode=40125,errmsg=invalid appsecret"}`
	)
	for name, c := range map[string]struct {
		in     input
		status int
		body   string
	}{
		"by path":                   {input{path: mp + "/access_token/" + shopID, key: allKey}, 200, tokenAnswer(shop)},
		"by query":                  {input{path: mp + "/access_token?appid=" + newsID, key: allKey}, 200, tokenAnswer(news)},
		"with its secret":           {input{path: mp + "/access_token/" + shopID + "?secret=" + escaped, key: allKey}, 200, tokenAnswer(shop)},
		"key in the query":          {input{path: mp + "/access_token/" + shopID + "?wetoken_key=" + allKey}, 200, tokenAnswer(shop)},
		"only app of the key":       {input{path: mp + "/access_token", key: shopKey}, 200, tokenAnswer(shop)},
		"force is false":            {input{path: mp + "/access_token?force=1", key: shopKey}, 200, tokenAnswer(shop)},
		"path before query":         {input{path: mp + "/access_token/" + shopID + "?appid=" + newsID, key: allKey}, 200, tokenAnswer(shop)},
		"several apps of the key":   {input{path: mp + "/access_token", key: readKey}, 200, noAppID},
		"all apps":                  {input{path: mp + "/access_token", key: allKey}, 200, noAppID},
		"unknown app":               {input{path: mp + "/access_token/" + noneID, key: allKey}, 200, unknown},
		"not registered":            {input{path: mp + "/access_token/" + freeID + "?secret=" + escaped, key: allKey}, 200, unknown},
		"ended":                     {input{path: mp + "/access_token/" + goneID, key: allKey}, 200, unknown},
		"another secret":            {input{path: mp + "/access_token/" + shopID + "?secret=wrong", key: allKey}, 200, notIt},
		"no key":                    {input{path: mp + "/access_token/" + shopID}, 401, noKey},
		"a secret is no key":        {input{path: mp + "/access_token/" + shopID + "?secret=" + escaped}, 401, noKey},
		"no key, unknown app":       {input{path: mp + "/access_token/" + noneID}, 401, noKey},
		"app of another key":        {input{path: mp + "/access_token/" + newsID, key: shopKey}, 403, noScope},
		"force without renew":       {input{path: mp + "/access_token/" + shopID + "?force=TRUE", key: readKey}, 403, `{"errcode":-1,"message":"this key has no scope renew for this app","xOrigMsg":"this key has no scope renew for this app"}`},
		"unknown path":              {input{path: mp + "/nothing"}, 200, noAPI},
		"unknown method":            {input{method: "POST", path: mp + "/access_token", key: allKey}, 200, noAPI},
		"register by GET":           {input{path: mp + "/register_appid", key: adminKey}, 200, noAPI},
		"open platform":             {input{path: "/apis/v1/wx/open1/authurl", key: allKey}, 200, noAPI},
		"register, no admin":        {input{method: "POST", path: mp + "/register_appid?appid=" + freeID + "&secret=" + escaped, key: allKey}, 403, `{"errcode":-1,"message":"this key has no scope admin for all apps (\"*\")","xOrigMsg":"this key has no scope admin for all apps (\"*\")"}`},
		"register nothing":          {input{method: "POST", path: mp + "/register_appid", key: adminKey}, 200, `{"errcode":40003,"message":"参数错误","xOrigMsg":"appid and secret are needed"}`},
		"register, XML":             {input{method: "POST", path: mp + "/register_appid", key: adminKey, body: "<xml/>", form: "text/xml"}, 400, `{"errcode":-1,"message":"the body is neither JSON nor a form, or is longer than 64 KiB","xOrigMsg":"the body is neither JSON nor a form, or is longer than 64 KiB"}`},
		"register the file's":       {input{method: "POST", path: mp + "/register_appid?appid=" + shopID + "&secret=" + escaped, key: adminKey}, 200, `{"result":true}`},
		"register the file's anew":  {input{method: "POST", path: mp + "/register_appid?appid=" + shopID + "&secret=x", key: adminKey}, 200, `{"errcode":40003,"message":"参数错误","xOrigMsg":"this app is part of the configuration of the server, with another secret"}`},
		"register, WeChat refuses":  {input{method: "POST", path: mp + "/register_appid", body: `{"appid":"` + freeID + `","secret":"wrong"}`, form: formJSON, key: adminKey}, 200, `{"errcode":40000,"message":"第三方API调用失败","xOrigMsg":"errcode=40125,errmsg=invalid appsecret"}`},
		"register, unknown appid":   {input{method: "POST", path: mp + "/register_appid", body: `{"appid":"` + noneID + `","secret":"x"}`, form: formJSON, key: adminKey}, 200, `{"errcode":40000,"message":"第三方API调用失败","xOrigMsg":"errcode=40013,errmsg=invalid appid"}`},
		"register, the query wins":  {input{method: "POST", path: mp + "/register_appid?secret=wrong", body: `{"appid":"` + freeID + `","secret":"` + secret + `"}`, form: formJSON, key: adminKey}, 200, notIt},
		"outside is not the system": {input{path: "/apis/v2/wx/mp/access_token", key: allKey}, 404, ""},
	} {
		status, body, header := send(w.private, c.in)
		require.Equal(t, c.status, status, "%s: %s", name, body)
		if c.body != "" {
			require.Equal(t, c.body, body, name)
		}
		require.Equal(t, "application/json; charset=utf-8", header.Get("Content-Type"), name)
		require.Equal(t, "no-store", header.Get("Cache-Control"), name)
		require.Empty(t, header.Get("Access-Control-Allow-Origin"), name)
	}
	status, body := w.get(input{method: "POST", path: mp + "/register_appid", body: "appid=" + freeID + "&secret=" + escaped, form: formForm, key: adminKey})
	require.Equal(t, 200, status)
	require.Equal(t, `{"result":true}`, body)
	_, body = w.get(input{path: mp + "/access_token/" + freeID, key: allKey})
	require.Equal(t, tokenAnswer(w.tokenOf(freeID)), body)
	require.NotEmpty(t, w.tokenOf(freeID))
}

func TestTheOnlyAppOfAServerNeedsNoName(t *testing.T) {
	w := newWorld(t, func(o *gateway.Options) {
		o.Config.Apps = map[string]gateway.App{"shop": {AppID: shopID, Secret: secret}}
		o.Config.Keys = []gateway.Key{{Name: "all", Key: allKey, Apps: []string{"*"}, Scopes: []string{"*"}}}
		o.Records = nil // nothing can be registered
		o.Store = nil
	})
	status, body := w.get(input{path: mp + "/access_token", key: allKey})
	require.Equal(t, 200, status)
	require.Equal(t, tokenAnswer(w.tokenOf(shopID)), body)
}

func TestARegisteredAppGetsANewSecretOnceWeChatTakesIt(t *testing.T) {
	w := newWorld(t)
	_, err := w.gateway.Apps().Put(t.Context(), "free", gateway.App{AppID: freeID, Secret: otherSecret, NextSecret: secret, SignKey: "sign-key"}, "")
	require.NoError(t, err)
	register := func(value string) string {
		status, body := w.get(input{method: "POST", path: mp + "/register_appid?appid=" + freeID, body: "secret=" + url.QueryEscape(value), form: formForm, key: adminKey})
		require.Equal(t, 200, status)
		return body
	}
	require.Contains(t, register("a-third-secret"), `"errcode":40000`)
	r, err := w.gateway.Apps().Get(t.Context(), "free")
	require.NoError(t, err)
	require.Equal(t, otherSecret, r.App.Secret, "not overwritten")
	require.Equal(t, `{"result":true}`, register(secret))
	r, err = w.gateway.Apps().Get(t.Context(), "free")
	require.NoError(t, err)
	require.Equal(t, gateway.App{AppID: freeID, Secret: secret, PreviousSecret: otherSecret, SignKey: "sign-key"}, r.App, "the rest stays")
	calls := w.wx.Calls("/cgi-bin/stable_token")
	require.Equal(t, `{"result":true}`, register(secret))
	require.Equal(t, calls, w.wx.Calls("/cgi-bin/stable_token"), "the same secret is not verified again")
}
