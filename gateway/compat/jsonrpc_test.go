package compat_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJSONRPC(t *testing.T) {
	w := newWorld(t)
	shop := w.tokenOf(shopID)
	const notParams = `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid method parameter(s): want an array with one object"}}`
	const invalid = `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request"}}`
	call := func(id, method, params string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + params + `}`
	}
	for name, c := range map[string]struct {
		key, body string
		status    int
		answer    string
	}{
		"accessToken":               {shopKey, call("1", "accessToken", `[{}]`), 200, `{"jsonrpc":"2.0","id":1,"result":"` + shop + `"}`},
		"without an object":         {shopKey, call("1", "accessToken", `[]`), 200, `{"jsonrpc":"2.0","id":1,"result":"` + shop + `"}`},
		"with an appid":             {allKey, call(`"a b"`, "accessToken", `[{"appid":"`+shopID+`","force":false}]`), 200, `{"jsonrpc":"2.0","id":"a b","result":"` + shop + `"}`},
		"getMpAccessTokenByAppid":   {allKey, call("2", "getMpAccessTokenByAppid", `[{"appid":"`+shopID+`","secret":"`+secret+`","other":1}]`), 200, `{"jsonrpc":"2.0","id":2,"result":"` + shop + `"}`},
		"no appid":                  {shopKey, call("2", "getMpAccessTokenByAppid", `[{}]`), 200, `{"jsonrpc":"2.0","id":2,"result":{"errcode":40003,"msg":"参数错误 appid is missing"}}`},
		"unknown app":               {allKey, call("2", "accessToken", `[{"appid":"`+noneID+`"}]`), 200, `{"jsonrpc":"2.0","id":2,"result":{"errcode":40003,"msg":"参数错误 this appid is not registered"}}`},
		"another secret":            {allKey, call("2", "accessToken", `[{"appid":"`+shopID+`","secret":"x"}]`), 200, `{"jsonrpc":"2.0","id":2,"result":{"errcode":40000,"msg":"第三方API调用失败 errcode=40125,errmsg=invalid appsecret"}}`},
		"no key":                    {"", call("3", "accessToken", `[{}]`), 401, `{"jsonrpc":"2.0","id":3,"result":{"errcode":-1,"msg":"missing caller key: want Authorization: Bearer KEY"}}`},
		"no scope":                  {shopKey, call("3", "accessToken", `[{"appid":"`+newsID+`"}]`), 403, `{"jsonrpc":"2.0","id":3,"result":{"errcode":-1,"msg":"this key has no scope token for this app"}}`},
		"force without renew":       {readKey, call("3", "accessToken", `[{"appid":"`+newsID+`","force":true}]`), 403, `{"jsonrpc":"2.0","id":3,"result":{"errcode":-1,"msg":"this key has no scope renew for this app"}}`},
		"register without admin":    {allKey, call("3", "registerAppid", `[{"appid":"`+freeID+`","secret":"x"}]`), 403, `{"jsonrpc":"2.0","id":3,"result":{"errcode":-1,"msg":"this key has no scope admin for all apps (\"*\")"}}`},
		"register, WeChat refuses":  {adminKey, call("3", "registerAppid", `[{"appid":"`+freeID+`","secret":"x"}]`), 200, `{"jsonrpc":"2.0","id":3,"result":{"errcode":40000,"msg":"第三方API调用失败 errcode=40125,errmsg=invalid appsecret"}}`},
		"register":                  {adminKey, call("3", "registerAppid", `[{"appid":"`+shopID+`","secret":"`+secret+`"}]`), 200, `{"jsonrpc":"2.0","id":3,"result":true}`},
		"open platform":             {allKey, call("4", "getAuthUrl", `[{}]`), 200, `{"jsonrpc":"2.0","id":4,"error":{"code":-32601,"message":"Method not found"}}`},
		"params are an object":      {shopKey, call("1", "accessToken", `{}`), 200, notParams},
		"params have a text":        {shopKey, call("1", "accessToken", `["x"]`), 200, notParams},
		"params are a text":         {shopKey, call("1", "accessToken", `"x"`), 200, invalid},
		"id is a truth value":       {shopKey, call("true", "accessToken", `[{}]`), 200, invalid},
		"two params":                {shopKey, call("1", "accessToken", `[{},{}]`), 200, notParams},
		"appid is a number":         {shopKey, call("1", "accessToken", `[{"appid":1}]`), 200, notParams},
		"no version":                {shopKey, `{"id":1,"method":"accessToken","params":[{}]}`, 200, invalid},
		"no method":                 {shopKey, `{"jsonrpc":"2.0","id":1}`, 200, invalid},
		"id is an object":           {shopKey, call("{}", "accessToken", `[{}]`), 200, invalid},
		"no JSON":                   {shopKey, `{`, 400, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		"empty":                     {shopKey, ` `, 400, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		"a number":                  {shopKey, `1`, 200, invalid},
		"empty batch":               {shopKey, `[]`, 200, invalid},
		"batch":                     {shopKey, `[` + call("1", "accessToken", `[{}]`) + `,1,{"jsonrpc":"2.0","method":"accessToken"}]`, 200, `[{"jsonrpc":"2.0","id":1,"result":"` + shop + `"},` + invalid + `]`},
		"batch without a key":       {"", `[` + call("1", "accessToken", `[{}]`) + `]`, 401, `[{"jsonrpc":"2.0","id":1,"result":{"errcode":-1,"msg":"missing caller key: want Authorization: Bearer KEY"}}]`},
		"notification":              {shopKey, `{"jsonrpc":"2.0","method":"accessToken"}`, 204, ""},
		"batch of notifications":    {shopKey, `[{"jsonrpc":"2.0","method":"accessToken"}]`, 204, ""},
		"an id of null":             {shopKey, call("null", "accessToken", `[{}]`), 204, ""},
		"too many calls":            {shopKey, `[1` + strings.Repeat(",1", 100) + `]`, 200, invalid},
		"params of null are params": {shopKey, call("1", "accessToken", `[null]`), 200, notParams},
	} {
		status, body, header := send(w.rpc, input{method: "POST", path: "/", key: c.key, body: c.body, form: "application/json; charset=utf-8"})
		require.Equal(t, c.status, status, "%s: %s", name, body)
		require.Equal(t, c.answer, body, name)
		if status == 200 {
			require.Equal(t, "application/json; charset=utf-8", header.Get("Content-Type"))
			require.Equal(t, "no-store", header.Get("Cache-Control"))
		}
	}
	status, _, header := send(w.rpc, input{path: "/", key: shopKey})
	require.Equal(t, 405, status)
	require.Equal(t, "POST", header.Get("Allow"))
	status, _, _ = send(w.rpc, input{method: "POST", path: "/", key: shopKey, body: call("1", "accessToken", `[{}]`), form: "text/plain"})
	require.Equal(t, 415, status)
	status, body, _ := send(w.rpc, input{method: "POST", path: "/rpc?wetoken_key=" + shopKey, body: call("1", "accessToken", `[{}]`), form: formJSON})
	require.Equal(t, 200, status)
	var got struct{ Result string }
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Equal(t, shop, got.Result)

	require.Empty(t, w.tokenOf(freeID))
	_, body, _ = send(w.rpc, input{method: "POST", path: "/", key: adminKey, body: call("1", "registerAppid", `[{"appid":"`+freeID+`","secret":"`+secret+`"}]`), form: formJSON})
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":true}`, body)
	require.NotEmpty(t, w.tokenOf(freeID))
}
