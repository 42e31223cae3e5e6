package compat_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// notice returns a notification of APIv2 with a signature.
func notice(fields map[string]any, key string) string {
	fields["sign"] = signedMD5(fields, key)
	var b strings.Builder
	b.WriteString("<xml>")
	for name, value := range fields {
		fmt.Fprintf(&b, "<%s><![CDATA[%s]]></%s>", name, value, name)
	}
	return b.String() + "</xml>"
}

const (
	oldSuccess = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
	oldFail    = "<xml><return_code><![CDATA[FAIL]]></return_code>"
)

// placedElsewhere places an order that the old system has placed, pays it, and returns WeChat's notification of it.
func (d *cashDesk) placedElsewhere(t *testing.T, no string) map[string]any {
	t.Helper()
	d.orderElsewhere(t, d.options.Config.Merchants["old"].V2.APIKey, map[string]any{"mch_id": oldMchID, "out_trade_no": no})
	transaction, err := d.pay.Pay(oldMchID, no, "o1")
	require.NoError(t, err)
	return map[string]any{
		"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": shopID, "mch_id": oldMchID, "nonce_str": "n", "openid": "o1", "is_subscribe": "N", "trade_type": "JSAPI",
		"bank_type": "OTHERS", "total_fee": "100", "cash_fee": "100", "transaction_id": transaction, "out_trade_no": no, "time_end": "20260101120000",
	}
}

// orderElsewhere places an order of the old system, with some fields.
func (d *cashDesk) orderElsewhere(t *testing.T, key string, fields map[string]any) {
	t.Helper()
	order := map[string]any{
		"appid": shopID, "nonce_str": "n", "body": "tea", "total_fee": "100", "spbill_create_ip": "192.0.2.1",
		"notify_url": d.public + wepay + "pay_notify", "trade_type": "JSAPI", "openid": "o1",
	}
	maps.Copy(order, fields)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.mch.weixin.qq.com/pay/unifiedorder", strings.NewReader(notice(order, key)))
	require.NoError(t, err)
	resp, err := d.pay.Client().Transport.RoundTrip(r)
	require.NoError(t, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(answer), "prepay_id")
}

func TestANotificationOfAnOldOrderIsRelayed(t *testing.T) {
	d := openPayment(t)
	fields := d.placedElsewhere(t, "old-order-1")
	got := d.report() // WeChat has sent it to the old URL
	require.Equal(t, "old-order-1", got.body["out_trade_no"])
	require.Equal(t, "false", got.header.Get("Wetoken-Known"))
	again := d.ask(nil, input{method: "POST", path: wepay + "pay_notify", body: notice(fields, d.options.Config.Merchants["old"].V2.APIKey), form: "text/xml"})
	require.Equal(t, http.StatusOK, again.status)
	require.Equal(t, oldSuccess, again.text)
	split := strings.Replace(notice(fields, d.options.Config.Merchants["old"].V2.APIKey), "[CDATA["+oldMchID+"]]", "[CDATA["+oldMchID[:4]+"]]><![CDATA["+oldMchID[4:]+"]]", 1)
	again = d.ask(nil, input{method: "POST", path: wepay + "pay_notify", body: split, form: "text/xml"})
	require.Equal(t, oldSuccess, again.text, "a value of two sections")
	require.Empty(t, d.reports, "it is reported once")
}

// TestANotificationFindsItsAppAmongThoseOfAMerchant has two shops of a provider, both with its appid, and the provider itself.
func TestANotificationFindsItsAppAmongThoseOfAMerchant(t *testing.T) {
	const provider, shopA, shopB, shopBID = "1900000009", "1900000109", "1900000209", "wx1111111111111111"
	d := openPayment(t, func(d *cashDesk) {
		shown := d.pay.AddMerchant(paytest.Merchant{
			MchID: provider, AppIDs: []string{shopID}, Key: payKeys()[0], Subs: []paytest.Sub{{MchID: shopA}, {MchID: shopB, AppIDs: []string{shopBID}}},
		})
		c := &d.options.Config
		for name, sub := range map[string]string{"a": shopA, "b": shopB, "provider": ""} {
			c.Merchants[name] = gateway.Merchant{MchID: provider, SubMchID: sub, V2: &gateway.APIv2{APIKey: shown.APIKey, SignType: "MD5"}}
			c.Apps[name] = gateway.App{AppID: shopID, Secret: secret, SignKey: signKey, Pay: &gateway.Pay{Merchant: name, NotifyTo: d.backend.URL + "/" + name}}
		}
	})
	key := d.options.Config.Merchants["a"].V2.APIKey
	for i, c := range []struct{ sub, app string }{{shopB, "b"}, {shopA, "a"}} {
		no := fmt.Sprintf("old-order-%d", i)
		d.orderElsewhere(t, key, map[string]any{"mch_id": provider, "sub_mch_id": c.sub, "out_trade_no": no})
		_, err := d.pay.Pay(c.sub, no, "o1")
		require.NoError(t, err)
		got := d.report()
		require.Equal(t, "/"+c.app, got.path)
		require.Equal(t, no, got.body["out_trade_no"])
		require.Equal(t, c.sub, got.body["sub_mch_id"])
	}
}
