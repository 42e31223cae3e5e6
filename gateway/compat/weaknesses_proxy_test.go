package compat_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

// askAs sends a request that names another host.
func askAs(h http.Handler, host, path, key string) (status int, body string, header http.Header) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	r.Header.Set("X-Forwarded-Host", host)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return serve(h, r)
}

func TestAHostHeaderNeitherReceivesSecretsNorIsRepeated(t *testing.T) {
	var got []string
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.URL.String()) }))
	defer evil.Close()
	host := evil.Listener.Addr().String()
	w := newTokenWorld(t)
	public := w.newGateway().Public()
	for _, path := range []string{"/app/shop/api", "/app/shop/api/new", "/app/corp/qyapi", "/app/shop/jsapi", "/app/shop/js/card", "/app/shop", "/register?" + queryOf("key", "mall", "appid", freeID, "secret", secret)} {
		key := allKey
		if path[1] == 'r' {
			key = adminKey
		}
		status, body, header := askAs(w.private, host, path, key)
		require.Equal(t, 200, status, path)
		require.NotContains(t, body, host)
		require.Empty(t, header.Get("Location"))
	}
	for _, path := range []string{"/app/shop/js/config", "/js/config?appid=" + shopID} {
		status, body, _ := askAs(public, host, path, "")
		require.Equal(t, 200, status)
		require.NotContains(t, body, host)
	}
	evil.Close()
	require.Empty(t, got)
}

func TestNobodyRegistersWithoutAnAdministratorsKey(t *testing.T) {
	for name, open := range map[string][]string{"guarded": nil, "open": {"proxy"}} {
		w := newProxyWorld(t, nil, func(o *gateway.Options) { o.Config.Compat.Open = open })
		path := "/register?" + queryOf("key", "mall", "appid", freeID, "secret", secret)
		for key, want := range map[string]int{"": 401, unknownKey: 401, allKey: 403, shopKey: 403} {
			for _, method := range []string{"GET", "POST"} {
				status, body := w.get(input{method: method, path: path, key: key})
				require.Equal(t, want, status, "%s %s", name, body)
			}
		}
		status, _ := w.get(input{path: path + "&wetoken_key=" + unknownKey})
		require.Equal(t, 401, status)
		status, _, _ = w.fetch("GET", path, "", "")
		require.Equal(t, 404, status, "the public side has no /register")
		_, err := w.gateway.Apps().Get(t.Context(), "mall")
		require.ErrorIs(t, err, gateway.ErrNotRegistered)
		require.Zero(t, w.wx.Calls("/cgi-bin/stable_token"))
		if open != nil {
			status, body := w.get(input{path: "/app/shop/api"})
			require.Equal(t, 200, status, body)
		}
	}
}

func TestAParameterNeverReplacesWhatAnAppIsRegisteredWith(t *testing.T) {
	w := newProxyWorld(t, []string{pageHost})
	want := w.read(input{path: "/app/shop/api", key: allKey}).Token
	others := "appid=" + newsID + "&app=news&key=news&secret=" + url.QueryEscape(otherSecret) + "&corpid=x&access_token=y"
	require.Equal(t, want, w.read(input{path: "/app/shop/api?" + others, key: allKey}).Token)
	require.Equal(t, want, w.read(input{path: "/app/shop/api", method: "POST", form: formForm, body: others, key: allKey}).Token)
	require.Empty(t, w.wx.Tokens(newsID))
	_, body, _ := w.load("/app/shop/js/config?"+others, "https://"+pageHost+"/a", "")
	require.Contains(t, body, `"appId":"`+shopID+`"`)
	status, body := w.get(input{path: "/app/shop?" + others, key: allKey})
	require.Equal(t, 200, status)
	require.Contains(t, body, `"Key":"shop","AppId":"`+shopID+`"`)
	status, _ = w.get(input{path: "/app/shop/api?" + others, key: unknownKey})
	require.Equal(t, 401, status, "another app's secret does not admit")
}

func TestAnEndedKeyIsUnknownAndMayBeRegisteredAgain(t *testing.T) {
	w := newProxyWorld(t, nil)
	_, body := w.register("key", "mall", "appid", freeID, "secret", secret, "call", "/api", "expires", "3600")
	require.Equal(t, success, body)
	one, err := w.gateway.Apps().Get(t.Context(), "mall")
	require.NoError(t, err)
	one.App.ExpiresAt = time.Now().Add(-time.Second)
	_, err = w.gateway.Apps().Put(t.Context(), "mall", one.App, one.Revision)
	require.NoError(t, err)

	status, body := w.get(input{path: "/app/mall/api", key: allKey})
	require.Equal(t, 404, status)
	require.Equal(t, `{"errcode": -10001, "errmsg": "not found"}`, body)
	status, body = w.get(input{path: "/app/mall", key: allKey})
	require.Equal(t, 200, status)
	require.Equal(t, `{"errcode": -10001, "errmsg": "not found"}`, body)
	status, body = w.register("key", "mall", "appid", shopID, "secret", secret)
	require.Equal(t, 200, status)
	require.Contains(t, body, "key exists")

	_, body = w.register("key", "mall", "appid", freeID)
	require.Equal(t, success, body)
	require.NotEmpty(t, w.read(input{path: "/app/mall/api", key: allKey}).Token)
	require.True(t, w.registered("mall").ExpiresAt.IsZero())
}

func TestARotatedSecretIsStoredAfterWeChatAcceptsIt(t *testing.T) {
	const rotatedID = "wx9999999999999999"
	w := newProxyWorld(t, nil)
	w.wx.AddApp(rotatedID, secret)
	_, body := w.register("key", "mall", "appid", rotatedID, "secret", secret)
	require.Equal(t, success, body)
	_, body = w.register("key", "mall", "appid", rotatedID, "secret", otherSecret)
	require.Equal(t, `{"errcode": 40125, "errmsg": "invalid appsecret"}`, body)
	require.Equal(t, secret, w.registered("mall").Secret)

	w.wx.AddApp(rotatedID, otherSecret)
	_, body = w.register("key", "mall", "appid", rotatedID, "secret", otherSecret)
	require.Equal(t, success, body)
	a := w.registered("mall")
	require.Equal(t, []string{otherSecret, secret}, []string{a.Secret, a.PreviousSecret})
	for _, known := range []string{secret, otherSecret} { // old clients have the one before for a while
		status, body := w.get(input{path: "/api?appid=" + rotatedID + "&secret=" + url.QueryEscape(known)})
		require.Equal(t, 200, status)
		require.Contains(t, body, `"access_token":"`, known)
	}
}

func TestSecretsOfRequestsStayOutOfTheLogAndOfAnswers(t *testing.T) {
	w := newTokenWorld(t)
	hidden := []string{secret, url.QueryEscape(secret), otherSecret, mchKey, aesKey, messageToken, allKey, adminKey}
	all := queryOf("key", "mall", "appid", freeID, "secret", secret, "token", messageToken, "aes", aesKey, "mch_id", "1900000001", "mch_key", mchKey)
	token := w.read(input{path: "/app/shop/api", key: allKey}).Token
	hidden = append(hidden, token)
	for _, path := range []string{
		"/register?wetoken_key=" + adminKey + "&" + all, "/register?wetoken_key=" + adminKey + "&key=shop2&appid=" + shopID + "&secret=" + otherSecret, "/register?" + all,
		"/app/shop?wetoken_key=" + allKey, "/app/mall?wetoken_key=" + allKey, "/app/none/api?secret=" + url.QueryEscape(secret), "/jsapi?access_token=" + url.QueryEscape(token) + "x",
	} {
		_, body := w.get(input{path: path})
		for _, text := range hidden {
			require.NotContains(t, body, text, path)
		}
	}
	_, err := w.gateway.Apps().Get(t.Context(), "mall")
	require.NoError(t, err)
	away := newTokenWorld(t, func(o *gateway.Options) {
		o.HTTP = &http.Client{Transport: brokenNetwork{}}
		a := o.Config.Apps["news"]
		a.TokenMode = "classic" // its secret is in the query of the call
		o.Config.Apps["news"] = a
	})
	for _, in := range []input{
		{path: "/app/news/api?secret=" + url.QueryEscape(secret)}, {path: "/app/corp/qyapi", key: allKey}, {path: "/app/news/jsapi", key: allKey}, {path: "/register?" + all, key: adminKey},
	} {
		status, body := away.get(in)
		require.Equal(t, 503, status, body)
		for _, text := range hidden {
			require.NotContains(t, body, text, in.path)
		}
	}
	for _, text := range hidden {
		require.NotContains(t, w.log.String()+away.log.String(), text)
	}
}
