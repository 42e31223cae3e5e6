package compat_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestAnAppThatAllowsNoTokensHasNoneForOldClients(t *testing.T) {
	w := newWorld(t, func(o *gateway.Options) {
		o.Config.Apps["shop"] = gateway.App{AppID: shopID, Secret: secret, Allow: []string{"/ticket"}}
	})
	status, _ := w.get(input{path: "/" + shopID + "/wechat/token/get?secret=" + url.QueryEscape(secret)})
	require.Equal(t, 401, status)
	_, body := w.get(input{path: "/" + shopID + "/wechat/token/get", key: allKey})
	require.Equal(t, oldFailure("从数据库中获取secret失败:["+shopID+"] app配置出错(0)", "access_token"), body)
	status, _ = w.get(input{path: "/" + shopID + "/wechat/ticket/get", key: allKey})
	require.Equal(t, 200, status)
	status, _ = w.get(input{path: "/apis/v1/wx/mp/access_token/" + shopID, key: allKey})
	require.Equal(t, 200, status)
	require.Equal(t, 1, w.wx.Calls("/cgi-bin/stable_token"), "for the ticket")
}

func TestLimitsOfAKeyAreRefusedInTheOldForm(t *testing.T) {
	const slowKey, farKey = "a-key-of-this-test-with-a-rate", "a-key-of-this-test-for-far-away"
	w := newWorld(t, func(o *gateway.Options) {
		o.Config.Keys = append(o.Config.Keys,
			gateway.Key{Name: "slow", Key: slowKey, Apps: []string{"shop"}, Scopes: []string{"token"}, Rate: 1},
			gateway.Key{Name: "far", Key: farKey, Apps: []string{"shop"}, Scopes: []string{"token"}, Addresses: []string{"10.0.0.0/8"}})
	})
	statuses := make(map[int]string)
	for range 10 {
		status, body := w.get(input{path: "/" + shopID + "/wechat/token/get", key: slowKey})
		statuses[status] = body
	}
	require.Equal(t, oldFailure("too many requests with this key: see its rate", "access_token"), statuses[http.StatusTooManyRequests])
	require.Contains(t, statuses[http.StatusOK], `"errcode":0`)
	status, body := w.get(input{path: "/" + shopID + "/wechat/token/get?wetoken_key=" + farKey})
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, oldFailure("this key must not be used from this address: see its addresses", "access_token"), body)
	status, body = w.get(input{path: mp + "/access_token?wetoken_key=" + farKey})
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, `{"errcode":-1,"message":"this key must not be used from this address`)
}

func TestAKeyThatIsOlderThanItsAppReadsItsToken(t *testing.T) {
	w := newWorld(t)
	key, err := w.gateway.Keys().Create(t.Context(), gateway.Key{Name: "early", Apps: []string{"free"}, Scopes: []string{"token"}})
	require.NoError(t, err)
	_, err = w.gateway.Apps().Put(t.Context(), "free", gateway.App{AppID: freeID, Secret: secret}, "")
	require.NoError(t, err)
	for _, path := range []string{"/" + freeID + "/wechat/token/get", mp + "/access_token", mp + "/access_token/" + freeID} {
		status, body := w.get(input{path: path, key: key})
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, body, w.tokenOf(freeID))
	}
}

func TestOpenSystemsNeedNoKeyButToRegister(t *testing.T) {
	w := newWorld(t, func(o *gateway.Options) { o.Config.Compat.Open = []string{"wetoken", "accesstoken"} })
	for _, path := range []string{
		"/" + shopID + "/wechat/token/get", "/wx/" + shopID + "/token/get?secret=wrong", "/wx/" + shopID + "/ticket/get", mp + "/access_token/" + shopID,
		mp + "/access_token?appid=" + shopID,
	} {
		status, body := w.get(input{path: path})
		require.Equal(t, 200, status)
		require.NotContains(t, body, `"errcode":400`)
	}
	status, body, _ := send(w.rpc, input{method: "POST", path: "/", body: `{"jsonrpc":"2.0","id":1,"method":"accessToken","params":[{"appid":"` + shopID + `"}]}`, form: formJSON})
	require.Equal(t, 200, status)
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"`+w.tokenOf(shopID)+`"}`, body)
	for _, in := range []input{
		{method: "POST", path: "/wechat/app/create?appid=" + freeID + "&secret=s&token=tokenofthistest"},
		{method: "POST", path: mp + "/register_appid?appid=" + freeID + "&secret=" + url.QueryEscape(secret)},
	} {
		status, _ := w.get(in)
		require.Equal(t, 401, status, in.path)
	}
	status, _, _ = send(w.rpc, input{method: "POST", path: "/", body: `{"jsonrpc":"2.0","id":1,"method":"registerAppid","params":[{"appid":"` + freeID + `","secret":"x"}]}`, form: formJSON})
	require.Equal(t, 401, status)

	one := newWorld(t, func(o *gateway.Options) { o.Config.Compat.Open = []string{"accesstoken"} })
	status, _ = one.get(input{path: "/" + shopID + "/wechat/token/get"})
	require.Equal(t, 401, status)
	status, _ = one.get(input{path: mp + "/access_token/" + shopID})
	require.Equal(t, 200, status)
}

func TestSystemsAreServedOnlyWhereTheyAreSet(t *testing.T) {
	paths := map[string]string{"wetoken": "/wx/" + shopID + "/token/get", "accesstoken": mp + "/access_token/" + shopID}
	for _, systems := range [][]string{nil, {"wetoken"}, {"accesstoken"}} {
		w := newWorld(t, func(o *gateway.Options) { o.Config.Compat = gateway.Compat{Systems: systems} })
		for system, path := range paths {
			status, body := w.get(input{path: path, key: allKey})
			if len(systems) == 1 && systems[0] == system {
				require.Equal(t, 200, status)
				continue
			}
			require.Equal(t, 404, status, body)
			status, _, _ = send(w.gateway.Public(), input{path: path, key: allKey})
			require.Equal(t, 404, status)
		}
	}
}

func TestAFormerSecretStillAdmits(t *testing.T) {
	w := newWorld(t, func(o *gateway.Options) {
		o.Config.Apps["shop"] = gateway.App{AppID: shopID, Secret: secret, PreviousSecret: otherSecret}
	})
	for value, want := range map[string]int{secret: 200, otherSecret: 200, "a-third-secret": 401} {
		status, body := w.get(input{path: "/" + shopID + "/wechat/token/get?" + shopID + "&secret=" + url.QueryEscape(value)})
		require.Equal(t, want, status, body)
	}
	_, body := w.get(input{path: mp + "/access_token/" + shopID + "?secret=" + otherSecret, key: allKey})
	require.Equal(t, tokenAnswer(w.tokenOf(shopID)), body)
}
