package compat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	mchKey      = "0123456789abcdef0123456789abcdef"
	otherMchKey = "fedcba9876543210fedcba9876543210"
	success     = `{"success":true}`
)

// register asks for a registration with the administrator's key, by GET.
func (w *world) register(pairs ...string) (status int, body string) {
	return w.get(input{path: "/register?" + queryOf(pairs...), key: adminKey})
}

func queryOf(pairs ...string) string {
	q := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	return q.Encode()
}

// registered returns a registered app.
func (w *world) registered(name string) gateway.App {
	w.t.Helper()
	r, err := w.gateway.Apps().Get(w.t.Context(), name)
	require.NoError(w.t, err)
	return r.App
}

func (w *world) merchant(name string) gateway.Merchant {
	w.t.Helper()
	m, err := w.gateway.Merchants().Get(w.t.Context(), name)
	require.NoError(w.t, err)
	return m.Merchant
}

func TestAnAppIsRegisteredWithAllParameters(t *testing.T) {
	all := []string{
		"key", "商城 一", "appid", freeID, "secret", secret, "token", messageToken, "aes", aesKey, "mch_id", "1900000001", "mch_key", mchKey,
		"server_ip", "192.0.2.7", "expires", "3600", "call", "/msg", "call", "/api", "call", "js",
	}
	for name, in := range map[string]input{
		"GET":           {path: "/register?" + queryOf(all...)},
		"POST":          {method: "POST", path: "/register", body: queryOf(all...), form: formForm},
		"POST, a slash": {method: "POST", path: "/register/?" + queryOf(all[:4]...), body: queryOf(all[4:]...), form: formForm},
	} {
		t.Run(name, func(t *testing.T) {
			w := newProxyWorld(t, nil)
			in.key = adminKey
			before := time.Now()
			status, body := w.get(in)
			require.Equal(t, success, body)
			require.Equal(t, 200, status)
			a := w.registered("商城 一")
			require.WithinRange(t, a.ExpiresAt, before.Add(time.Hour-2*time.Second), time.Now().Add(time.Hour))
			a.ExpiresAt = time.Time{}
			require.Equal(t, gateway.App{
				AppID: freeID, Secret: secret, Allow: []string{"/msg", "/api", "/js"}, ForwardSignature: true,
				Message: &gateway.Message{Token: messageToken, AESKey: aesKey}, Pay: &gateway.Pay{Merchant: "1900000001"},
			}, a)
			require.Equal(t, gateway.Merchant{MchID: "1900000001", ServerIP: "192.0.2.7", V2: &gateway.APIv2{APIKey: mchKey, SignType: "MD5"}}, w.merchant("1900000001"))
			require.Contains(t, w.log.String(), "action=put app=\"商城 一\" caller=admin result=ok")
			require.Contains(t, w.log.String(), "action=put merchant=1900000001 caller=admin result=ok")
		})
	}
}

func TestRegisteringAgainChangesWhatIsGiven(t *testing.T) {
	w := newProxyWorld(t, nil)
	base := []string{"key", "mall", "appid", freeID}
	again := func(more ...string) {
		t.Helper()
		status, body := w.register(append(append([]string(nil), base...), more...)...)
		require.Equal(t, success, body)
		require.Equal(t, 200, status)
	}
	again("secret", secret, "token", messageToken, "mch_id", "1900000001", "mch_key", mchKey, "call", "/api", "expires", "60")
	again()
	a := w.registered("mall")
	require.Equal(t, []string{"/api"}, a.Allow)
	require.Equal(t, messageToken, a.Message.Token)
	require.False(t, a.ExpiresAt.IsZero())

	again("aes", aesKey, "call", "/msg", "call", "/pay", "expires", "0")
	a = w.registered("mall")
	require.Equal(t, gateway.Message{Token: messageToken, AESKey: aesKey}, *a.Message)
	require.Equal(t, []string{"/msg", "/pay"}, a.Allow)
	require.True(t, a.ExpiresAt.IsZero())
	require.Equal(t, secret, a.Secret)

	require.NoError(t, w.pay.SetAPIKey("1900000001", otherMchKey))
	again("server_ip", "192.0.2.8", "mch_key", otherMchKey)
	m := w.merchant("1900000001")
	require.Equal(t, "192.0.2.8", m.ServerIP)
	require.Equal(t, gateway.APIv2{APIKey: otherMchKey, PreviousAPIKey: mchKey, SignType: "MD5"}, *m.V2)
	require.Equal(t, "1900000001", w.registered("mall").Pay.Merchant)

	asked := w.wx.Calls("/cgi-bin/stable_token")
	again("secret", secret)
	require.Equal(t, asked, w.wx.Calls("/cgi-bin/stable_token"), "the same secret is not verified again")

	one, err := w.gateway.Apps().Get(t.Context(), "mall")
	require.NoError(t, err)
	kept := one.App // what was set otherwise stays
	kept.Hosts, kept.SignKey, kept.Name = []string{"shop.example.com"}, "the-sign-key-of-this-test", "Mall"
	_, err = w.gateway.Apps().Put(t.Context(), "mall", kept, one.Revision)
	require.NoError(t, err)
	again("token", "anothertokenofthistest")
	kept.Message = &gateway.Message{Token: "anothertokenofthistest", AESKey: aesKey}
	require.Equal(t, kept, w.registered("mall"))
}

func TestAKeyBelongsToOneAppid(t *testing.T) {
	w := newProxyWorld(t, nil)
	exists := `{"errcode": -10001, "errmsg": "key exists"}`
	status, body := w.register("key", "mall", "appid", freeID, "secret", secret)
	require.Equal(t, 200, status, body)
	for _, other := range [][]string{
		{"key", "mall", "appid", shopID, "secret", secret},
		{"key", "shop", "appid", freeID, "secret", secret}, // of the configuration
	} {
		status, body = w.register(other...)
		require.Equal(t, 200, status)
		require.Equal(t, exists, body)
	}
	require.Equal(t, freeID, w.registered("mall").AppID)
	status, body = w.register("key", "shop", "appid", shopID, "token", "anothertokenofthistest")
	require.Equal(t, 409, status)
	require.Contains(t, body, "configuration")
	for _, same := range [][]string{{}, {"secret", secret}, {"token", messageToken, "aes", aesKey}} {
		status, body = w.register(append([]string{"key", "shop", "appid", shopID}, same...)...)
		require.Equal(t, success, body)
		require.Equal(t, 200, status)
	}
	for _, other := range [][]string{{"secret", otherSecret}, {"call", "/api"}, {"expires", "60"}, {"mch_id", "1900000001", "mch_key", mchKey}, {"server_ip", "192.0.2.7"}} {
		status, _ = w.register(append([]string{"key", "shop", "appid", shopID}, other...)...)
		require.Equal(t, 409, status)
	}
	status, body = w.register("key", "gone", "appid", goneID, "secret", secret)
	require.Equal(t, 409, status)
	require.Contains(t, body, "configuration")
}

func TestWeChatsRefusalIsAnsweredAndNothingIsRegistered(t *testing.T) {
	w := newProxyWorld(t, nil)
	status, body := w.register("key", "mall", "appid", freeID, "secret", "a-wrong-secret")
	require.Equal(t, 200, status)
	require.Equal(t, `{"errcode": 40125, "errmsg": "invalid appsecret"}`, body)
	status, body = w.register("key", "mall", "appid", noneID, "secret", secret)
	require.Equal(t, 200, status)
	require.Contains(t, body, `{"errcode": 40013, "errmsg": "`)
	_, err := w.gateway.Apps().Get(t.Context(), "mall")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)

	w.wx.Add(wechattest.App{ID: "wx9999999999999999", Secret: secret, IPs: []string{"192.0.2.1"}})
	status, body = w.register("key", "mall", "appid", "wx9999999999999999", "secret", secret)
	require.Equal(t, success, body, "the whitelist of addresses says nothing about the secret")
	require.Equal(t, 200, status)
}

func TestAnAppOfWeComIsRegisteredByItsID(t *testing.T) {
	w := newProxyWorld(t, nil)
	const corpID = "ww0123456789abcdef"
	w.wx.Add(wechattest.App{ID: corpID, Secret: secret, Kind: wechattest.Work})
	_, body := w.register("key", "corp", "appid", corpID, "secret", secret)
	require.Equal(t, success, body)
	require.Equal(t, wechat.Work, w.registered("corp").Kind)
	status, body := w.get(input{path: "/app/corp/qyapi", key: allKey})
	require.Equal(t, 200, status)
	require.Contains(t, body, `{"errcode":0,"errmsg":"ok","access_token":"`)
	status, body = w.register("key", "corp", "appid", corpID, "token", messageToken)
	require.Equal(t, 400, status, body)
	require.Contains(t, body, "aes_key")
}

func TestAWrongParameterIsNamed(t *testing.T) {
	w := newProxyWorld(t, nil)
	good := []string{"key", "mall", "appid", freeID, "secret", secret}
	for text, pairs := range map[string][]string{
		"key, appid: must be given":                                   {"appid", freeID, "secret", secret},
		"secret: must be given":                                       {"key", "mall", "appid", freeID},
		"expires: want seconds from now, or 0 for no end":             append(good[:6:6], "expires", "-1"),
		"mch_id, mch_key: want both or neither":                       append(good[:6:6], "mch_id", "1900000001"),
		"mch_id, mch_key: want both or neither; server_ip needs them": append(good[:6:6], "server_ip", "192.0.2.7"),
		"mch_id: want the digits of the merchant number":              append(good[:6:6], "mch_id", "m", "mch_key", mchKey),
		"server_ip: is no IP address":                                 append(good[:6:6], "mch_id", "1900000001", "mch_key", mchKey, "server_ip", "localhost"),
		"appid: has different values":                                 append(good[:6:6], "appid", shopID),
		"invalid name":                                                {"key", shopID, "appid", freeID, "secret", secret},
		"message":                                                     append(good[:6:6], "token", messageToken, "aes", "short"),
	} {
		status, body := w.register(pairs...)
		require.Equal(t, 400, status, "%s: %s", text, body)
		require.Contains(t, body, `{"errcode": -10001, "errmsg": "`)
		require.Contains(t, body, text)
		require.NotContains(t, body, secret)
	}
	_, err := w.gateway.Apps().Get(t.Context(), "mall")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)
	_, err = w.gateway.Merchants().Get(t.Context(), "1900000001")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)
}

func TestAnAppIsShownWithoutItsSecrets(t *testing.T) {
	w := newProxyWorld(t, nil)
	_, body := w.register("key", "商城 一", "appid", freeID, "secret", secret, "token", messageToken, "aes", aesKey,
		"mch_id", "1900000001", "mch_key", mchKey, "server_ip", "192.0.2.7", "expires", "3600", "call", "/msg", "call", "/api")
	require.Equal(t, success, body)
	end, err := json.Marshal(w.registered("商城 一").ExpiresAt)
	require.NoError(t, err)
	path := "/app/" + url.PathEscape("商城 一")
	want := fmt.Sprintf(`{"Key":"商城 一","AppId":"%s","Secret":"********","Token":"********","AesKey":"********","MchId":"1900000001","MchKey":"********",`+
		`"IpAddress":"192.0.2.7","Calls":["/msg","/api"],"Expires":%s}`, freeID, end)
	for _, in := range []input{
		{path: path, key: allKey}, {path: path + "/", key: adminKey}, {path: path + "?wetoken_key=" + allKey}, {path: path + "?secret=" + url.QueryEscape(secret)},
	} {
		status, body := w.get(in)
		require.Equal(t, 200, status, in.path)
		require.Equal(t, want, body)
	}
	_, body = w.get(input{path: "/app/news", key: readKey})
	require.Equal(t, `{"Key":"news","AppId":"`+newsID+`","Secret":"********","Token":"","AesKey":"","MchId":"","MchKey":"","IpAddress":"","Calls":[],"Expires":null}`, body)
	for _, missing := range []string{"/app/none", "/app/gone", "/app/none/"} {
		status, body := w.get(input{path: missing, key: allKey})
		require.Equal(t, 200, status)
		require.Equal(t, `{"errcode": -10001, "errmsg": "not found"}`, body)
	}
	for _, in := range []input{{path: path}, {path: "/app/none"}, {path: path, key: unknownKey}, {path: path + "?secret=wrong"}, {path: "/app/none?secret=wrong"}} {
		status, body := w.get(in)
		require.Equal(t, 401, status, in.path)
		require.Contains(t, body, `{"errcode": -10001, "errmsg": "`)
	}
	status, _ := w.get(input{path: path, key: shopKey})
	require.Equal(t, 403, status)
}

func TestAMerchantOfTheConfigurationIsUsed(t *testing.T) {
	w := newProxyWorld(t, nil, func(o *gateway.Options) {
		o.Config.Merchants = map[string]gateway.Merchant{"1900000001": {MchID: "1900000001", V2: &gateway.APIv2{APIKey: mchKey}}}
	})
	base := []string{"key", "mall", "appid", freeID, "secret", secret, "mch_id", "1900000001", "mch_key"}
	status, body := w.register(append(base, otherMchKey)...)
	require.Equal(t, 400, status)
	require.Contains(t, body, "the configuration of the server has this merchant, with another key")
	_, body = w.register(append(base, mchKey)...)
	require.Equal(t, success, body)
	require.Equal(t, "1900000001", w.registered("mall").Pay.Merchant)
	require.False(t, strings.Contains(w.log.String(), mchKey))
}

// bothServers is a transport to WeChat and WeChat Pay.
type bothServers struct {
	pay    http.RoundTripper
	wechat http.RoundTripper
}

func (b bothServers) RoundTrip(r *http.Request) (*http.Response, error) {
	if paytest.Serves(r.URL.Path) {
		return b.pay.RoundTrip(r)
	}
	return b.wechat.RoundTrip(r)
}

func TestARegisteredAppPlacesOrdersWithItsMerchantAndServerIP(t *testing.T) {
	const number = "1900000077"
	var key string
	d := openDesk(t, func(d *cashDesk) {
		wx := new(wechattest.Server)
		wx.AddApp(noneID, secret)
		key = d.pay.AddMerchant(paytest.Merchant{MchID: number, AppIDs: []string{noneID}, Key: payKeys()[0]}).APIKey
		d.options.HTTP = &http.Client{Transport: bothServers{d, wx.Client().Transport}}
		d.options.RegisterUnsealed = true
		d.options.Config.Keys = append(d.options.Config.Keys, gateway.Key{Name: "admin", Key: adminKey, Apps: []string{"*"}, Scopes: []string{"admin", "pay"}})
	})
	got := d.ask(nil, input{path: "/register?" + queryOf("key", "商城", "appid", noneID, "secret", secret, "mch_id", number, "mch_key", key, "server_ip", "192.0.2.7"), key: adminKey})
	require.Equal(t, success, got.text)
	order := "/app/" + url.PathEscape("商城") + "/pay?fee=1&name=socks"
	for query, ip := range map[string]string{"": "192.0.2.7", "&spbill_create_ip=192.0.2.9": "192.0.2.9"} {
		got = d.ask(nil, input{path: order + query, key: adminKey})
		require.Equal(t, 200, got.status, got.text)
		require.Contains(t, got.text, `"code_url":"`)
		require.Equal(t, ip, d.lastSent()["spbill_create_ip"])
		require.Equal(t, number, d.lastSent()["mch_id"])
	}
}
