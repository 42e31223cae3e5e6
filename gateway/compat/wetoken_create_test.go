package compat_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestWetokensCreate(t *testing.T) {
	w := newWorld(t)
	const path = "/wechat/app/create"
	unknownKeyText := w.unknownKeyText()
	create := func(in input) (int, string) {
		if in.key == "" {
			in.key = adminKey
		}
		in.method, in.path = "POST", path+in.path
		return w.get(in)
	}
	for name, c := range map[string]struct {
		in     input
		status int
		body   string
	}{
		"nothing":          {input{}, 200, `{"errcode":400,"errmsg":"输入参数有误 appid: non zero value required"}`},
		"no token":         {input{body: "appid=" + freeID + "&secret=s", form: formForm}, 200, `{"errcode":400,"errmsg":"输入参数有误 token: non zero value required"}`},
		"two appids":       {input{path: "?appid=" + freeID, body: "appid=" + noneID + "&secret=s&token=t", form: formForm}, 200, `{"errcode":400,"errmsg":"输入参数有误 appid: the query and the body have different values"}`},
		"no payKey":        {input{body: `{"appid":"` + freeID + `","secret":"s","token":"t","mchid":1900000001}`, form: formJSON}, 200, `{"errcode":400,"errmsg":"输入参数有误 mchid, payKey: want both or neither"}`},
		"no mchid":         {input{body: `{"appid":"` + freeID + `","secret":"s","token":"t","subMchid":"1900000009"}`, form: formJSON}, 200, `{"errcode":400,"errmsg":"输入参数有误 mchid, payKey: want both or neither"}`},
		"short payKey":     {input{body: `{"appid":"` + freeID + `","secret":"s","token":"t","mchid":1900000001,"payKey":"short"}`, form: formJSON}, 200, ""},
		"short aesKey":     {input{body: `{"appid":"` + freeID + `","secret":"s","token":"tokenofthistest","aesKey":"x"}`, form: formJSON}, 200, ""},
		"app of the file":  {input{body: `{"appid":"` + shopID + `","secret":"s","token":"t"}`, form: formJSON}, 200, `{"errcode":400,"errmsg":"` + shopID + `已经存在"}`},
		"ended app":        {input{body: `{"appid":"` + goneID + `","secret":"s","token":"t"}`, form: formJSON}, 200, `{"errcode":400,"errmsg":"` + goneID + `已经存在"}`},
		"XML":              {input{body: "<xml/>", form: "text/xml"}, 400, `{"errcode":400,"errmsg":"the body is neither JSON nor a form, or is longer than 64 KiB"}`},
		"not an admin":     {input{key: allKey}, 403, `{"errcode":400,"errmsg":"this key has no scope admin for all apps (\"*\")"}`},
		"unknown key":      {input{key: unknownKey}, 401, `{"errcode":400,"errmsg":"` + unknownKeyText + `"}`},
		"name is no appid": {input{body: "appid=a%2Fb&secret=s&token=tokenofthistest", form: formForm}, 200, ""},
	} {
		status, body := create(c.in)
		require.Equal(t, c.status, status, "%s: %s", name, body)
		if c.body == "" {
			require.Contains(t, body, `{"errcode":400,"errmsg":"输入参数有误 `, name)
			continue
		}
		require.Equal(t, c.body, body, name)
	}
	status, body := create(input{body: `{"appid":"` + freeID + `","secret":"` + secret + `","token":"tokenofthistest","aesKey":"` + aesKey + `","mchid":""}`, form: formJSON})
	require.Equal(t, 200, status)
	require.Equal(t, `{"errcode":0,"errmsg":"success"}`, body)
	_, body = create(input{body: "appid=" + freeID + "&secret=s&token=tokenofthistest", form: formForm})
	require.Equal(t, `{"errcode":400,"errmsg":"`+freeID+`已经存在"}`, body)
	r, err := w.gateway.Apps().Get(t.Context(), "app-dddddddddddddddd")
	require.NoError(t, err)
	require.Equal(t, gateway.App{AppID: freeID, Secret: secret, Keep: true, Tickets: []string{"jsapi"}, Message: &gateway.Message{Token: "tokenofthistest", AESKey: aesKey}}, r.App)
	require.Contains(t, w.log.String(), "action=put app=app-dddddddddddddddd caller=admin result=ok")
}

func TestCreateIsServedOnlyWhereItIsSet(t *testing.T) {
	w := newWorld(t, func(o *gateway.Options) { o.Config.Compat.Create = false })
	status, _ := w.get(input{method: "POST", path: "/wechat/app/create", key: adminKey})
	require.Equal(t, 404, status)
}

func TestTheMerchantOfACreatedAppIsRegistered(t *testing.T) {
	w := newWorld(t)
	key, other := strings.Repeat("k", 32), strings.Repeat("o", 32)
	create := func(appID, more string) string {
		status, body := w.get(input{
			method: "POST", path: "/wechat/app/create", key: adminKey, form: formJSON,
			body: `{"appid":"` + appID + `","secret":"` + secret + `","token":"tokenofthistest",` + more + `}`,
		})
		require.Equal(t, 200, status)
		return body
	}
	const success = `{"errcode":0,"errmsg":"success"}`
	require.Equal(t, success, create(freeID, `"mchid":1900000001,"payKey":"`+key+`","subAppid":""`))
	r, err := w.gateway.Merchants().Get(t.Context(), "1900000001")
	require.NoError(t, err)
	require.Equal(t, gateway.Merchant{MchID: "1900000001", V2: &gateway.APIv2{APIKey: key, SignType: "MD5"}}, r.Merchant)
	require.Equal(t, success, create("wx1111111111111111", `"mchid":"1900000001","payKey":"`+key+`"`), "two apps share it")
	require.Equal(t, `{"errcode":400,"errmsg":"输入参数有误 payKey: the merchant is registered with another key"}`, create("wx2222222222222222", `"mchid":"1900000001","payKey":"`+other+`"`))
	_, err = w.gateway.Apps().Get(t.Context(), "app-2222222222222222")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)
	require.Equal(t, success, create("wx3333333333333333", `"mchid":"1900000001","payKey":"`+key+`","subMchid":"1900000009","subAppid":"wx4444444444444444"`))
	r, err = w.gateway.Merchants().Get(t.Context(), "1900000001-1900000009")
	require.NoError(t, err)
	require.Equal(t, "wx4444444444444444", r.Merchant.SubAppID)
	require.NotContains(t, w.log.String(), key)
}
