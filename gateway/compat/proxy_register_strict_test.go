package compat_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestRegisterKeepsNotifyTo(t *testing.T) {
	w := newProxyWorld(t, nil)
	_, body := w.register("key", "a", "appid", freeID, "secret", secret, "mch_id", "1900000001", "mch_key", mchKey)
	require.Equal(t, success, body)
	r, err := w.gateway.Apps().Get(t.Context(), "a")
	require.NoError(t, err)
	r.App.SignKey, r.App.Pay.NotifyTo = "a-sign-key-of-this-test", "http://10.0.0.1/paid"
	_, err = w.gateway.Apps().Put(t.Context(), "a", r.App, r.Revision)
	require.NoError(t, err)
	_, body = w.register("key", "a", "appid", freeID, "mch_id", "1900000009", "mch_key", mchKey)
	require.Equal(t, success, body)
	require.Equal(t, &gateway.Pay{Merchant: "1900000009", NotifyTo: "http://10.0.0.1/paid"}, w.registered("a").Pay)
}

// docs: KEY is the name of the app; its appid works there too.
func TestAnAppIsShownByItsAppID(t *testing.T) {
	w := newProxyWorld(t, nil)
	_, byName := w.get(input{path: "/app/shop", key: adminKey})
	require.Contains(t, byName, shopID)
	_, body := w.get(input{path: "/app/" + shopID, key: adminKey})
	require.Equal(t, byName, body)
}

func TestHeadRenewsNothing(t *testing.T) {
	w := newProxyWorld(t, nil)
	q := "?secret=" + url.QueryEscape(secret)
	_, first := w.get(input{path: "/app/shop/api" + q})
	w.get(input{method: "HEAD", path: "/app/shop/api/new" + q})
	_, second := w.get(input{path: "/app/shop/api" + q})
	require.Equal(t, strings.Split(first, ",")[0], strings.Split(second, ",")[0])
}

// A wrong key would stop the payments of all apps of the merchant.
func TestAKeyOfAMerchantIsRegisteredOnlyIfWeChatPayTakesIt(t *testing.T) {
	w := newProxyWorld(t, nil)
	const query = "/pay/orderquery"
	first := []string{"key", "first", "appid", freeID, "secret", secret, "mch_id", "1900000001", "mch_key"}
	second := []string{"key", "second", "appid", newsID, "secret", secret, "mch_id", "1900000001", "mch_key"}

	status, body := w.register(append(first, otherMchKey)...)
	require.Equal(t, 400, status, body)
	require.Contains(t, body, `{"errcode": -10001, "errmsg": "mch_id, mch_key: WeChat Pay refuses them: `)
	require.Contains(t, body, "签名错误")
	_, err := w.gateway.Apps().Get(t.Context(), "first")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)
	_, err = w.gateway.Merchants().Get(t.Context(), "1900000001")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)

	_, body = w.register(append(first, mchKey)...)
	require.Equal(t, success, body)
	stored, err := w.gateway.Merchants().Get(t.Context(), "1900000001")
	require.NoError(t, err)
	unchanged := func() {
		t.Helper()
		now, err := w.gateway.Merchants().Get(t.Context(), "1900000001")
		require.NoError(t, err)
		require.Equal(t, stored, now)
		_, err = w.gateway.Apps().Get(t.Context(), "second")
		require.ErrorIs(t, err, gateway.ErrNotRegistered)
	}
	status, body = w.register(append(second, otherMchKey)...)
	require.Equal(t, 400, status, body)
	unchanged()
	status, body = w.register("key", "first", "appid", freeID, "mch_key", otherMchKey, "server_ip", "192.0.2.8")
	require.Equal(t, 400, status, body)
	unchanged()
	for _, fault := range []paytest.Fault{{Path: query, Reset: true}, {Path: query, Code: "SYSTEMERROR"}, {Path: query, Status: 502}} {
		w.pay.AddFault(fault)
		status, body = w.register(append(second, otherMchKey)...)
		require.Equal(t, 503, status, body)
		require.NotContains(t, body, otherMchKey)
		unchanged()
		w.pay.Heal()
	}

	asked := w.pay.Calls(query)
	w.pay.AddFault(paytest.Fault{Path: query, Reset: true})
	_, body = w.register(append(second, mchKey)...)
	require.Equal(t, success, body)
	require.Equal(t, asked, w.pay.Calls(query), "the key that is there is no change")
	require.Equal(t, stored.Merchant, w.merchant("1900000001"))
	w.pay.Heal()

	require.NoError(t, w.pay.SetAPIKey("1900000001", otherMchKey))
	_, body = w.register(append(second, otherMchKey)...)
	require.Equal(t, success, body)
	require.Equal(t, &gateway.APIv2{APIKey: otherMchKey, PreviousAPIKey: mchKey, SignType: "MD5"}, w.merchant("1900000001").V2)
}

// The keys of APIv3 stay as they are, and say nothing about the one of APIv2.
func TestAKeyOfAPIv2IsVerifiedWithAPIv2(t *testing.T) {
	w := newProxyWorld(t, nil)
	_, body := w.register("key", "first", "appid", freeID, "secret", secret, "mch_id", "1900000001", "mch_key", mchKey)
	require.Equal(t, success, body)
	shown, err := w.pay.Merchant("1900000001")
	require.NoError(t, err)
	both, err := w.gateway.Merchants().Get(t.Context(), "1900000001")
	require.NoError(t, err)
	both.Merchant.Version = "v3"
	both.Merchant.V3 = &gateway.APIv3{APIv3Key: shown.APIv3Key, Cert: shown.Certificate, PrivateKey: shown.PrivateKey, PublicKeyID: shown.PublicKeyID, PublicKey: shown.PublicKey}
	_, err = w.gateway.Merchants().Put(t.Context(), "1900000001", both.Merchant, both.Revision)
	require.NoError(t, err)
	status, body := w.register("key", "first", "appid", freeID, "mch_key", otherMchKey)
	require.Equal(t, 400, status, body)
	require.Equal(t, mchKey, w.merchant("1900000001").V2.APIKey)
}
