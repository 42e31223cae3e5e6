package compat_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

// Each test of this file is about a weakness of the old systems.

// everyRequest are requests for each route, without a key or a secret.
func everyRequest() (list []input) {
	for _, path := range []string{"/token/get", "/token/get/query", "/token/query", "/ticket/get", "/wxcode/send"} {
		for _, at := range wetokenPaths(shopID, path) {
			list = append(list, input{path: at}, input{method: "POST", path: at, body: "user_name=u&system_name=s&code=1", form: formForm})
		}
	}
	return append(list,
		input{method: "POST", path: "/wechat/app/create?appid=" + freeID + "&secret=" + url.QueryEscape(secret) + "&token=tokenofthistest"},
		input{path: mp + "/access_token"}, input{path: mp + "/access_token?appid=" + shopID + "&force=true"}, input{path: mp + "/access_token/" + shopID},
		input{method: "POST", path: mp + "/register_appid?appid=" + freeID + "&secret=" + url.QueryEscape(secret)},
	)
}

func TestStrangersGetNothing(t *testing.T) {
	w := newWorld(t)
	for _, in := range everyRequest() {
		status, body := w.get(in)
		require.Equal(t, http.StatusUnauthorized, status, "%s %s: %s", in.method, in.path, body)
	}
	for _, method := range []string{"accessToken", "getMpAccessTokenByAppid", "registerAppid"} {
		status, body, _ := send(w.rpc, input{method: "POST", path: "/", form: formJSON, body: `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":[{"appid":"` + shopID + `","secret":"` + secret + `","force":true}]}`})
		require.Equal(t, http.StatusUnauthorized, status, body)
	}
	for _, path := range []string{"/cgi-bin/stable_token", "/cgi-bin/ticket/getticket", "/cgi-bin/message/template/send"} {
		require.Zero(t, w.wx.Calls(path))
	}
	_, err := w.gateway.Apps().Get(t.Context(), "app-dddddddddddddddd")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)
}

func TestOneAddressForBothSidesIsGuardedToo(t *testing.T) {
	w := newWorld(t)
	both := w.gateway.Both()
	for _, in := range everyRequest() {
		status, body, _ := send(both, in)
		require.Equal(t, http.StatusUnauthorized, status, "%s %s: %s", in.method, in.path, body)
	}
	for _, in := range []input{{path: "/wx/" + shopID + "/token/get?secret=" + url.QueryEscape(secret)}, {path: mp + "/access_token/" + shopID, key: allKey}} {
		status, body, _ := send(both, in)
		require.Equal(t, http.StatusOK, status, body)
	}
}

func TestAnUnknownAppAndAWrongSecretTakeTheSameSteps(t *testing.T) {
	w := newWorld(t)
	_, err := w.gateway.Apps().Put(t.Context(), "free", gateway.App{AppID: freeID, Secret: secret}, "")
	require.NoError(t, err)
	_, err = w.gateway.ServedApp(t.Context(), freeID, "/token") // in use
	require.NoError(t, err)
	reads := func(appID string) (n int64, answer string) {
		before := w.records.gets.Load()
		status, body := w.get(input{path: "/" + appID + "/wechat/token/get?secret=wrong"})
		return w.records.gets.Load() - before, fmt.Sprint(status, body)
	}
	unknown, answer := reads(noneID)
	require.Positive(t, unknown)
	for _, appID := range []string{shopID, freeID} {
		n, same := reads(appID)
		require.Equal(t, unknown, n, appID)
		require.Equal(t, answer, same)
	}
	again, _ := reads(noneID)
	for _, appID := range []string{shopID, freeID} {
		n, _ := reads(appID)
		require.Equal(t, again, n, appID)
	}
}

// brokenNetwork fails each request with an error that names its URL, as net/http does.
type brokenNetwork struct{}

func (brokenNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, &url.Error{Op: r.Method, URL: r.URL.String(), Err: errors.New("connection reset")}
}

func TestNoErrorShowsASecret(t *testing.T) {
	w := newWorld(t, func(o *gateway.Options) {
		o.HTTP = &http.Client{Transport: brokenNetwork{}}
		a := o.Config.Apps["shop"]
		a.TokenMode = "classic" // its request has the secret in the URL
		o.Config.Apps["shop"] = a
	})
	for _, in := range everyRequest() {
		in.key = allKey
		if strings.Contains(in.path, "create") || strings.Contains(in.path, "register") {
			in.key = adminKey
		}
		_, body := w.get(in)
		require.NotContains(t, body, secret)
		require.NotContains(t, body, url.QueryEscape(secret))
	}
	_, body := w.get(input{path: "/" + shopID + "/wechat/token/get", key: allKey})
	require.Contains(t, body, `"errcode":400`)
	require.Contains(t, body, "connection reset")
}

func TestManyMissesAreOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, second, rpc := w.open() // another process with the same store
		w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/stable_token", Delay: 100 * time.Millisecond})
		var seen sync.Map
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				in := input{path: "/wx/" + shopID + "/token/get", key: allKey}
				h := []http.Handler{w.private, second}[i%2]
				switch i % 5 {
				case 1:
					in.path = mp + "/access_token/" + shopID
				case 2:
					h, in = rpc, input{method: "POST", path: "/", key: shopKey, body: `{"jsonrpc":"2.0","id":1,"method":"accessToken","params":[{}]}`, form: formJSON}
				}
				_, body, _ := send(h, in)
				for _, field := range []string{"access_token", "accessToken", "result"} {
					var got map[string]any
					if json.Unmarshal([]byte(body), &got) == nil && got[field] != nil {
						seen.Store(got[field], true)
					}
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, w.wx.Calls("/cgi-bin/stable_token"))
		values := 0
		seen.Range(func(v, _ any) bool { values++; return v != "" })
		require.Equal(t, 1, values)
	})
}

func TestSecretsOfRequestsStayOutOfTheLogAndTheRecords(t *testing.T) {
	raw := new(store.Memory)
	w := newWorld(t, func(o *gateway.Options) {
		o.Records = &store.Sealed{Store: raw, KeyRing: store.KeyRing{bytes.Repeat([]byte{7}, 32)}}
	})
	w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/ticket/getticket", Code: 45009})
	for _, key := range []string{"", allKey, adminKey, unknownKey} {
		for _, in := range everyRequest() {
			path := in.path + map[bool]string{true: "&", false: "?"}[strings.Contains(in.path, "?")]
			in.path = path + "wetoken_key=" + key + "&secret=" + url.QueryEscape(secret) + "&refused=a-refused-token"
			w.get(in)
			in.path = path + "secret=" + otherSecret
			in.key = key
			w.get(in)
			_, _, _ = send(w.rpc, input{method: "POST", path: in.path, key: key, form: formJSON, body: `{"jsonrpc":"2.0","id":1,"method":"accessToken","params":[{"appid":"` + shopID + `","secret":"` + secret + `","force":true}]}`})
		}
	}
	_, err := w.gateway.Apps().Get(t.Context(), "app-dddddddddddddddd")
	require.NoError(t, err, "it was registered")
	require.Contains(t, w.log.String(), "action=put app=app-dddddddddddddddd caller=admin")
	hidden := []string{secret, url.QueryEscape(secret), otherSecret, allKey, adminKey, unknownKey, "a-refused-token"}
	for _, token := range w.wx.Tokens(shopID) {
		hidden = append(hidden, token.Value)
	}
	for key, err := range raw.Keys(t.Context(), "") {
		require.NoError(t, err)
		value, _, err := raw.Get(t.Context(), key)
		require.NoError(t, err)
		require.NotContains(t, string(value), secret)
	}
	for _, text := range hidden {
		require.NotContains(t, w.log.String(), text)
	}
}
