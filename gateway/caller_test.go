package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestACallerHasTheScopesOfItsKey(t *testing.T) {
	base := private(t, gateway.Options{Config: config(), HTTP: newWeChat().Client()})
	for _, c := range []struct {
		name, method, path, key string
		status                  int
	}{
		{"no key", "GET", "/app/shop/token", "", 401},
		{"a wrong key", "GET", "/app/shop/token", allKey + "x", 401},
		{"no key, no such app", "GET", "/app/none/token", "", 401},
		{"no key, no such route", "GET", "/nothing", "", 401},
		{"no such app", "GET", "/app/none/token", allKey, 404},
		{"no such route", "GET", "/nothing", allKey, 404},
		{"no such route of an app", "GET", "/app/shop/nothing", allKey, 404},
		{"its app", "GET", "/app/shop/token", readKey, 200},
		{"its app by appid", "GET", "/app/" + shopID + "/token", readKey, 200},
		{"its app's ticket", "GET", "/app/shop/ticket/jsapi", readKey, 200},
		{"a scope it lacks", "POST", "/app/shop/token", readKey, 403},
		{"another's app", "GET", "/app/corp/token", readKey, 403},
		{"a name in Chinese", "GET", "/app/" + url.PathEscape("新闻") + "/token", newsKey, 200},
		{"an appid of two apps", "GET", "/app/wxaaaaaaaaaaaaaaaa/token", allKey, 404},
		{"a route the app does not allow", "GET", "/app/too/token", allKey, 404},
		{"an app whose registration ended", "GET", "/app/gone/token", allKey, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, a := ask(t, c.method, base+c.path, c.key, `{"refused":"x"}`)
			require.Equal(t, c.status, status, a.Msg)
		})
	}
}

func TestAKeyMayBeABasicPassword(t *testing.T) {
	base := private(t, gateway.Options{Config: config(), HTTP: newWeChat().Client()})
	basic := strings.Replace(base, "http://", "http://anybody:"+allKey+"@", 1)
	status, _ := ask(t, "GET", basic+"/app/shop/token", "", "")
	require.Equal(t, http.StatusOK, status)
	for _, name := range []string{"wetoken_key", "key", "access_token"} { // an address ends up in logs
		status, a := ask(t, "GET", base+"/app/shop/token?"+name+"="+allKey, "", "")
		require.Equal(t, http.StatusUnauthorized, status, name)
		require.NotContains(t, a.Msg, allKey)
	}
}

func TestAWrongKeyAndAMissingOneGetDifferentErrors(t *testing.T) {
	base := private(t, gateway.Options{Config: config(), HTTP: newWeChat().Client()})
	for _, path := range []string{"/app/shop/token", "/app/none/token", "/app/shop/nothing", "/nothing"} {
		for authorization, want := range map[string][2]string{
			"":                           {"missing caller key", `Bearer realm="wetoken"`},
			"Bearer " + allKey + "x":     {"unknown caller key", `Bearer realm="wetoken", error="invalid_token"`},
			"Bearer short":               {"unknown caller key", `Bearer realm="wetoken", error="invalid_token"`},
			"Basic Ondyb25nLWtleS14eHg=": {"unknown caller key", `Bearer realm="wetoken", error="invalid_token"`},
			"Token " + allKey:            {"invalid Authorization", `Bearer realm="wetoken"`},
		} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
			require.NoError(t, err)
			if authorization != "" {
				req.Header.Set("Authorization", authorization)
			}
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			var a answer
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&a))
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
			require.Contains(t, a.Msg, want[0], authorization)
			require.Equal(t, want[1], resp.Header.Get("WWW-Authenticate"))
			require.NotContains(t, a.Msg, allKey)
		}
	}
}

func TestCallersWithAKeyLearnWhyARouteIsUnknown(t *testing.T) {
	d := openSides(t, nil)
	for path, says := range map[string]string{
		"/app/none/token":                    `no app "none"`,
		"/app/%3Cb%3E%22/token":              `no app "<b>\""`,
		"/app/wxaaaaaaaaaaaaaaaa/x":          "several apps have the appid",
		"/app/gone/token":                    `the registration of app "gone" has ended`,
		"/app/too/token":                     `app "too" does not allow "/token"`,
		"/app/shop/tokens":                   `no route GET "/tokens" of app "shop" on the private side`,
		"/app/" + shopID + "/x":              `no route GET "/x" of app "shop" on the private side`,
		"/app/shop/js/config.js":             `of app "shop" on the private side: it is on the public side`,
		"/app/" + repeatLong("a") + "/token": `no app "aaaa`,
		"/nothing":                           `no route GET "/nothing" on the private side`,
	} {
		status, a := ask(t, "GET", d.private+path, allKey, "")
		require.Equal(t, http.StatusNotFound, status, path)
		require.Contains(t, a.Msg, says)
		require.Less(t, len(a.Msg), 300)
		status, a = ask(t, "GET", d.private+path, "", "")
		require.Equal(t, http.StatusUnauthorized, status, path)
		require.NotContains(t, a.Msg, "no app")
		require.NotContains(t, a.Msg, "no route")
	}

	status, a := ask(t, "GET", d.public+"/app/shop/token", allKey, "")
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, `no route GET "/token" of app "shop" on the public side: it is on the private side`, a.Msg)
	for _, key := range []string{"", allKey + "x"} {
		for _, path := range []string{"/app/shop/token", "/app/none/token", "/app/gone/token", "/nothing"} {
			status, a = ask(t, "GET", d.public+path, key, "")
			require.Equal(t, http.StatusNotFound, status)
			require.Equal(t, "unknown app or route", a.Msg, "strangers are told nothing")
		}
	}
}

func repeatLong(s string) string { return strings.Repeat(s, 2000) }

func TestAWrongMethodIsNamed(t *testing.T) {
	d := openSides(t, func(c *gateway.Config) {
		set(c, "shop", func(a *gateway.App) { a.VerifyFiles = map[string]string{"MP_verify_abc.txt": "abc"} })
	})
	both := bothSides(t, d)
	for _, c := range []struct {
		base, method, path, key string
		status                  int
		allow                   string
	}{
		{d.private, "PUT", "/app/shop/token", allKey, 405, "GET, HEAD, POST"},
		{d.private, "DELETE", "/app/shop/ticket/jsapi", allKey, 405, "GET, HEAD, POST"},
		{d.private, "GET", "/app/shop/login/redeem", readKey, 405, "POST"},
		{d.private, "PUT", "/app/shop/token", "", 401, ""},
		{d.private, "PUT", "/app/none/token", "", 401, ""},
		{d.private, "POST", "/healthz", "", 405, "GET, HEAD"},
		{d.public, "POST", "/app/shop/login", "", 405, "GET, HEAD"},
		{d.public, "GET", "/app/shop/js/config", "", 405, "OPTIONS, POST"},
		{d.public, "DELETE", "/app/shop/message", "", 405, "GET, HEAD, POST"},
		{d.public, "DELETE", "/app/none/message", "", 405, "GET, HEAD, POST"}, // as for an app there is
		{d.public, "PUT", "/app/shop/token", "", 404, ""},
		{d.public, "POST", "/MP_verify_abc.txt", "", 405, "GET, HEAD"},
		{both, "PUT", "/app/shop/token", "", 401, ""},
		{both, "PUT", "/app/shop/token", allKey, 405, "GET, HEAD, POST"},
		{both, "POST", "/app/shop/login", "", 405, "GET, HEAD"},
		{d.private, "PURGE", "/app/shop/token", allKey, 405, "GET, HEAD, POST"},
		{d.private, "PURGE", "/app/shop/token", "", 401, ""},
		{d.public, "PURGE", "/app/shop/login", "", 405, "GET, HEAD"},
		{d.public, "GET", "/app", "", 404, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, c.base+c.path, nil)
		require.NoError(t, err)
		if c.key != "" {
			req.Header.Set("Authorization", "Bearer "+c.key)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		var a answer
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&a))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode, "%s %s: %s", c.method, c.path, a.Msg)
		require.Equal(t, c.allow, resp.Header.Get("Allow"), "%s %s", c.method, c.path)
		require.Equal(t, c.status, a.Code)
	}
}

// bothSides serves the gateway of d with both sides on one address.
func bothSides(t *testing.T, d *sides) string {
	t.Helper()
	both := httptest.NewServer(d.gateway.Both())
	t.Cleanup(both.Close)
	return both.URL
}

func TestTheScopeStarExcludesReservedScopes(t *testing.T) {
	all := gateway.Key{Apps: []string{"*"}, Scopes: []string{"*"}}
	for _, scope := range []string{"token", "renew", "ticket", "message", "login", "pay"} {
		require.True(t, gateway.May(all, "shop", scope), scope)
	}
	for _, scope := range []string{"refund", "transfer", "pay-api", "admin"} {
		require.False(t, gateway.May(all, "shop", scope), scope)
		named := gateway.Key{Apps: []string{"*"}, Scopes: []string{"*", scope}}
		require.True(t, gateway.May(named, "shop", scope), scope)
	}
}

func TestScopesThatGuardNothingAreRefused(t *testing.T) {
	for _, scope := range []string{"api", "payments", "messages", "metrics"} {
		c := config()
		c.Keys[1].Scopes = []string{"token", scope}
		err := c.Check()
		require.ErrorContains(t, err, `keys[1].scopes[1]: unknown scope: want token, renew, ticket, message, login, pay, refund, transfer, pay-api, admin or *`)
	}
	c := config()
	c.Keys[1].Scopes = []string{"token", "renew", "ticket", "login", "admin", "*"}
	require.NoError(t, c.Check())
}

func TestAKeyMayBeGivenAsItsDigest(t *testing.T) {
	c := config()
	c.Keys[0].Key = "sha256:" + hexDigest(allKey)
	base := private(t, gateway.Options{Config: c, HTTP: newWeChat().Client()})
	status, _ := ask(t, "GET", base+"/app/shop/token", allKey, "")
	require.Equal(t, http.StatusOK, status)
	status, _ = ask(t, "GET", base+"/app/shop/token", hexDigest(allKey), "")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestNoCallerKeyIsKept(t *testing.T) {
	g, err := gateway.New(gateway.Options{Config: config(), HTTP: newWeChat().Client()})
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", g), allKey)
}

func TestAShortKeyIsNone(t *testing.T) {
	c := config()
	c.Keys[0].Key = "sha256:" + hexDigest("short")
	base := private(t, gateway.Options{Config: c, HTTP: newWeChat().Client()})
	for _, key := range []string{"", "short"} {
		status, _ := ask(t, "GET", base+"/app/shop/token", key, "")
		require.Equal(t, http.StatusUnauthorized, status, key)
		status, _ = ask(t, "GET", base+"/app/shop/token?wetoken_key="+key, "", "")
		require.Equal(t, http.StatusUnauthorized, status, key)
	}
}
