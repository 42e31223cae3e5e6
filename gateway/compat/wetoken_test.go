package compat_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// wetokenPaths are the paths of both prefixes for a path of an app.
func wetokenPaths(appID, path string) []string {
	return []string{"/" + appID + "/wechat" + path, "/wx/" + appID + path}
}

// requireFields compares the keys of an object and their order, and returns their values as JSON.
func requireFields(t *testing.T, body string, names ...string) map[string]string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	_, err := d.Token()
	require.NoError(t, err, body)
	got, order := make(map[string]string), []string{}
	for d.More() {
		key, err := d.Token()
		require.NoError(t, err, body)
		var raw json.RawMessage
		require.NoError(t, d.Decode(&raw), body)
		order = append(order, key.(string))
		got[key.(string)] = string(raw)
	}
	require.Equal(t, names, order, body)
	return got
}

func oldFailure(text, field string) string {
	return fmt.Sprintf(`{"errcode":400,"errmsg":%q,"%s":"","expires_in":0,"expires_date":"00010101000000"}`, text, field)
}

func TestWetokensRoutesOfAnApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		odd := "?" + shopID + "&secret=" + url.QueryEscape(secret)
		status, _ := w.get(input{path: "/" + shopID + "/wechat/token/get" + odd}) // fetches it
		require.Equal(t, 200, status)
		time.Sleep(time.Second)
		for _, c := range []struct{ path, field string }{
			{"/token/get", "access_token"}, {"/token/get/query", "access_token"}, {"/token/query", "access_token"}, {"/ticket/get", "ticket"},
		} {
			for _, path := range wetokenPaths(shopID, c.path) {
				for name, in := range map[string]input{
					"secret in the odd query": {path: path + odd},
					"secret in a form":        {method: "POST", path: path, body: "secret=" + url.QueryEscape(secret), form: formForm},
					"secret in JSON":          {method: "POST", path: path, body: `{"secret":"` + secret + `","n":1,"x":null,"y":[1]}`, form: formJSON + "; charset=utf-8"},
					"secret in a bare form":   {method: "POST", path: path, body: "secret=" + url.QueryEscape(secret)},
					"secret in bare JSON":     {method: "POST", path: path, body: `{"secret":"` + secret + `"}`},
					"key":                     {path: path, key: shopKey},
					"key in the query":        {path: path + "?wetoken_key=" + shopKey + "&appid=" + shopID + "&secret=wrong"},
					"key and another secret":  {path: path + "?secret=wrong", key: allKey},
					"secret and an old key":   {path: path + odd, key: unknownKey},
					"POST without a body":     {method: "POST", path: path, key: shopKey},
				} {
					status, body, header := send(w.private, in)
					require.Equal(t, 200, status, "%s: %s: %s", path, name, body)
					require.Equal(t, "application/json; charset=utf-8", header.Get("Content-Type"))
					require.Equal(t, "no-store", header.Get("Cache-Control"))
					got := requireFields(t, body, "errcode", "errmsg", c.field, "expires_in", "expires_date")
					require.Equal(t, "0", got["errcode"])
					require.Equal(t, `"success"`, got["errmsg"])
					require.Greater(t, len(got[c.field]), 20)
					var left int64
					require.NoError(t, json.Unmarshal([]byte(got["expires_in"]), &left))
					require.Greater(t, left, int64(7000))
					at, err := time.ParseInLocation(`"20060102150405"`, got["expires_date"], time.Local)
					require.NoError(t, err, got["expires_date"])
					require.WithinDuration(t, time.Now().Add(time.Duration(left)*time.Second), at, time.Second, "one clock for both")
				}
				status, body, header := send(w.private, input{method: "OPTIONS", path: path})
				require.Equal(t, 200, status)
				require.Empty(t, body)
				require.Equal(t, "GET, HEAD, OPTIONS, POST", header.Get("Allow"))
				require.Empty(t, header.Get("Access-Control-Allow-Origin"))
				status, _, header = send(w.private, input{method: "DELETE", path: path, key: shopKey})
				require.Equal(t, 405, status)
				require.Contains(t, header.Get("Allow"), "GET")
			}
		}
		require.Equal(t, 1, w.wx.Calls("/cgi-bin/stable_token"))
		require.Equal(t, 1, w.wx.Calls("/cgi-bin/ticket/getticket"))
		require.Equal(t, w.wx.Tokens(shopID)[0].Value, w.tokenOf(shopID))
	})
}

// tokenOf returns the token that an old client reads.
func (w *world) tokenOf(appID string) string {
	_, body := w.get(input{path: "/" + appID + "/wechat/token/get", key: allKey})
	var got struct {
		Token string `json:"access_token"`
	}
	_ = json.Unmarshal([]byte(body), &got)
	return got.Token
}

func TestWetokensRefusals(t *testing.T) {
	w := newWorld(t)
	unknownKeyText := w.unknownKeyText()
	const noKey = "missing caller key: want Authorization: Bearer KEY"
	for _, c := range []struct{ path, field, scope string }{
		{"/token/get", "access_token", "token"}, {"/token/get/query", "access_token", "token"}, {"/token/query", "access_token", "token"}, {"/ticket/get", "ticket", "ticket"},
	} {
		unknown := "从数据库中获取secret失败:[" + noneID + "] app配置出错(0)"
		if strings.HasSuffix(c.path, "query") {
			unknown = "从数据库中获取token失败:" + noneID + " app信息未配置"
		}
		wrongSecret := "unknown appid, or another secret than the app's"
		noScope := "this key has no scope " + c.scope + " for this app"
		for i := range 2 {
			for name, want := range map[string]struct {
				in     input
				status int
				text   string
			}{
				"nothing":                  {input{path: wetokenPaths(shopID, c.path)[i]}, 401, noKey},
				"nothing, unknown app":     {input{path: wetokenPaths(noneID, c.path)[i]}, 401, noKey},
				"odd query without secret": {input{path: wetokenPaths(shopID, c.path)[i] + "?" + shopID + "&secret="}, 401, noKey},
				"wrong secret":             {input{path: wetokenPaths(shopID, c.path)[i] + "?secret=wrong"}, 401, wrongSecret},
				"secret of no app":         {input{path: wetokenPaths(noneID, c.path)[i] + "?secret=" + url.QueryEscape(secret)}, 401, wrongSecret},
				"secret of an ended app":   {input{path: wetokenPaths(goneID, c.path)[i] + "?secret=" + url.QueryEscape(secret)}, 401, wrongSecret},
				"wrong secret in a form":   {input{method: "POST", path: wetokenPaths(shopID, c.path)[i], body: "secret=wrong", form: formForm}, 401, wrongSecret},
				"unknown key":              {input{path: wetokenPaths(shopID, c.path)[i], key: unknownKey}, 401, unknownKeyText},
				"key of another app":       {input{path: wetokenPaths(newsID, c.path)[i], key: shopKey}, 403, noScope},
				"key without the scope":    {input{path: wetokenPaths(shopID, c.path)[i], key: adminKey}, 403, noScope},
				"unknown app":              {input{path: wetokenPaths(noneID, c.path)[i], key: allKey}, 200, unknown},
				"XML":                      {input{method: "POST", path: wetokenPaths(shopID, c.path)[i], key: allKey, body: "<xml><secret>x</secret></xml>", form: "application/xml"}, 400, "the body is neither JSON nor a form, or is longer than 64 KiB"},
				"YAML":                     {input{method: "POST", path: wetokenPaths(shopID, c.path)[i], key: allKey, body: "secret: x", form: "application/x-yaml"}, 400, "the body is neither JSON nor a form, or is longer than 64 KiB"},
				"a list":                   {input{method: "POST", path: wetokenPaths(shopID, c.path)[i], key: allKey, body: "[1]", form: formJSON}, 400, "the body is neither JSON nor a form, or is longer than 64 KiB"},
				"too long":                 {input{method: "POST", path: wetokenPaths(shopID, c.path)[i], key: allKey, body: "a=" + strings.Repeat("b", 70<<10), form: formForm}, 400, "the body is neither JSON nor a form, or is longer than 64 KiB"},
			} {
				status, body := w.get(want.in)
				require.Equal(t, want.status, status, "%s: %s: %s", c.path, name, body)
				require.Equal(t, oldFailure(want.text, c.field), body, "%s: %s", c.path, name)
			}
		}
	}
	require.Zero(t, w.wx.Calls("/cgi-bin/stable_token"))
	for _, path := range wetokenPaths(miniID, "/ticket/get") {
		status, body := w.get(input{path: path, key: allKey})
		require.Equal(t, 200, status)
		require.Contains(t, body, `{"errcode":400,"errmsg":"ticket: `)
	}
}

func TestALifeIsOneThatOldClientsTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		life := func() (seconds int64, date string) {
			_, body := w.get(input{path: "/wx/" + shopID + "/token/get", key: allKey})
			var got struct {
				ExpiresIn   int64  `json:"expires_in"`
				ExpiresDate string `json:"expires_date"`
			}
			require.NoError(t, json.Unmarshal([]byte(body), &got), body)
			return got.ExpiresIn, got.ExpiresDate
		}
		first, _ := life()
		require.Equal(t, int64(7200), first)
		time.Sleep(1500 * time.Millisecond)
		second, _ := life()
		require.Equal(t, int64(7198), second, "the true rest, cut to whole seconds")
		w.wx.AddFault(wechattest.Fault{Code: -1})
		var seen []int64
		for range 7200 / 25 {
			time.Sleep(25 * time.Second)
			seconds, date := life()
			if seconds == 0 {
				require.Equal(t, "00010101000000", date, "an error, since the token has ended")
				break
			}
			require.GreaterOrEqual(t, seconds, int64(61))
			require.Equal(t, time.Now().Add(time.Duration(seconds)*time.Second).Local().Format("20060102"), date[:8])
			seen = append(seen, seconds)
		}
		require.Equal(t, int64(61), seen[len(seen)-1])
	})
}

func TestAQueryCausesNoCallAndShowsNoEndedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		missing := oldFailure("从数据库中获取token失败:"+shopID+" app信息未配置", "access_token")
		_, body := w.get(input{path: "/" + shopID + "/wechat/token/query", key: allKey})
		require.Equal(t, missing, body)
		require.Zero(t, w.wx.Calls("/cgi-bin/stable_token"))
		value := w.tokenOf(shopID)
		_, body = w.get(input{path: "/wx/" + shopID + "/token/get/query", key: allKey})
		require.Contains(t, body, value)
		time.Sleep(2 * time.Hour)
		_, body = w.get(input{path: "/wx/" + shopID + "/token/query", key: allKey})
		require.Equal(t, missing, body, "no negative expires_in")
		require.Equal(t, 1, w.wx.Calls("/cgi-bin/stable_token"))
		w.store.away.Store(true)
		status, body := w.get(input{path: "/wx/" + shopID + "/token/query", key: allKey})
		require.Equal(t, 200, status)
		require.Contains(t, body, `{"errcode":400,"errmsg":"token: `+shopID)
	})
}
