package compat_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestAnUnverifiedNotificationIsNotRelayed(t *testing.T) {
	d := openPayment(t)
	fields := d.placedElsewhere(t, "old-order-1")
	d.report()
	fields["out_trade_no"] = "old-order-2"
	for name, body := range map[string]string{
		"another key": notice(fields, strings.Repeat("k", 32)), "no signature": "<xml><return_code>SUCCESS</return_code><appid>" + shopID + "</appid><mch_id>" + oldMchID + "</mch_id></xml>",
		"another merchant": "<xml><mch_id>1</mch_id></xml>", "a DOCTYPE": `<!DOCTYPE xml><xml><mch_id>` + oldMchID + `</mch_id></xml>`, "JSON": "{}", "nothing": "",
		"too long": "<xml>" + strings.Repeat("x", 64<<10) + "</xml>",
	} {
		for _, method := range []string{"POST", "PUT"} {
			got := d.ask(nil, input{method: method, path: wepay + "pay_notify", body: body, form: "text/xml"})
			require.GreaterOrEqual(t, got.status, 400, name)
			require.True(t, strings.HasPrefix(got.text, oldFail), "%s: %s", name, got.text)
		}
	}
	d.requireNoReport(t)
}

func TestNoParameterOverridesTheMerchant(t *testing.T) {
	d := openPayment(t)
	over := `"mch_id":"1","mchid":"1","nonce_str":"mine","sign":"mine","sign_type":"HMAC-SHA256","notify_url":"http://127.0.0.1:1/","sub_mch_id":"2","spbill_create_ip":"x","time_expire":"1","key":"k"`
	resultOf(t, d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea",`+over+`}`))
	sent := d.lastSent()
	require.Equal(t, []string{shopID, oldMchID, d.public + "/app/shop/pay/notify"}, []string{sent["appid"], sent["mch_id"], sent["notify_url"]})
	require.NotEqual(t, "mine", sent["nonce_str"])
	require.NotContains(t, sent, "sub_mch_id")
	_, err := d.pay.Pay(oldMchID, "order-1", "o1")
	require.NoError(t, err)
	d.report()
	result := resultOf(t, d.post(refundKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":100,"refund_fee":60,`+strings.ReplaceAll(over, `"spbill_create_ip":"x","time_expire":"1",`, "")+`}`))
	require.Equal(t, []any{shopID, oldMchID}, []any{result["appid"], result["mch_id"]})
}

func TestRoutesOfWechatPaymentNeedAKey(t *testing.T) {
	d := openPayment(t, func(d *cashDesk) { d.options.Config.Compat.Open = []string{"payment"} })
	ask := func(route, body string) reply { // on the private side, without a key
		r := d.ask(nil, input{method: "POST", path: wepay + route, key: " ", body: body, form: formJSON})
		return r
	}
	got := ask("refund", `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":1,"refund_fee":1}`)
	require.Equal(t, http.StatusUnauthorized, got.status, "refunds are never open: %s", got.text)
	got = ask("get_pay_request_params", `{"appid":"`+shopID+`","id":"order-1","fee":100,"openid":"o1","body":"tea"}`)
	resultOf(t, got)
	for _, route := range []string{"get_pay_request_params", "refund", "get_sign_key"} {
		got := d.ask(nil, input{method: "POST", path: wepay + route, body: `{}`, form: formJSON})
		require.Equal(t, http.StatusNotFound, got.status, "%s is not on the public side", route)
	}
	require.NotContains(t, d.log.String(), d.options.Config.Merchants["old"].V2.APIKey)
	var raw map[string]any
	require.NoError(t, json.Unmarshal([]byte(got.text), &raw))
}

// requireNoReport requires that the next report is that of another payment.
func (d *cashDesk) requireNoReport(t *testing.T) {
	t.Helper()
	d.settle(onePayKey, oldMchID, "order-next")
	require.Equal(t, "order-next", d.report().body["out_trade_no"])
	require.Empty(t, d.reports)
}

func TestANotificationOfAFailureIsNoPayment(t *testing.T) {
	d := openPayment(t)
	fields := d.placedElsewhere(t, "old-order-1")
	d.report()
	fields["out_trade_no"], fields["transaction_id"], fields["result_code"] = "old-order-2", "4200000001202601010000000002", "FAIL"
	got := d.ask(nil, input{method: "POST", path: wepay + "pay_notify", body: notice(fields, d.options.Config.Merchants["old"].V2.APIKey), form: "text/xml"})
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, oldSuccess, got.text, "it is true, and there is nothing to send again")
	d.requireNoReport(t)
	got = d.ask(nil, input{path: "/app/shop/pay/orders?state=SUCCESS", key: onePayKey})
	require.NotContains(t, got.text, "old-order-2")
}

func TestAnAnswerWithoutWeChatsSignatureIsNoOrder(t *testing.T) {
	for name, fault := range map[string]paytest.Fault{
		"forged": {Sign: paytest.Forged}, "unsigned": {Sign: paytest.Unsigned}, "altered": {Sign: paytest.Altered}, "cut off": {Sign: paytest.Truncated},
		"not XML": {Body: "prepay_id", Status: http.StatusOK}, "empty": {Body: " ", Status: http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			d := openPayment(t)
			fault.Path = "/pay/unifiedorder"
			d.pay.AddFault(fault)
			got := d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`)
			require.Equal(t, http.StatusOK, got.status)
			require.True(t, strings.HasPrefix(got.text, `{"errcode":-1,"message":"pay fail! `), got.text)
			require.NotContains(t, got.text, "prepay_id=")
		})
	}
}

func TestTheKeyOfTheSandboxReplacesNoLiveKey(t *testing.T) {
	d := openPayment(t)
	before := d.options.Config.Merchants["old"].V2.APIKey
	sandbox := resultOf(t, d.post(onePayKey, "get_sign_key", `{}`))["sandbox_signkey"]
	require.NotEqual(t, before, sandbox)
	resultOf(t, d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`))
	sent := map[string]any{}
	for name, value := range d.lastSent() {
		if name != "" { // the root
			sent[name] = value
		}
	}
	require.Equal(t, signedMD5(sent, before), sent["sign"])
}

func TestNoncesOfOrdersDiffer(t *testing.T) {
	d := openPayment(t)
	seen := map[any]bool{}
	for range 20 { // of the same order
		result := resultOf(t, d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`))
		require.Regexp(t, `^[0-9A-Za-z]{32}$`, result["nonceStr"])
		seen[result["nonceStr"]] = true
	}
	require.Len(t, seen, 20)
	require.Len(t, d.pay.Orders(oldMchID), 1)
}

func TestNoKeyOfAMerchantIsLogged(t *testing.T) {
	d := openPayment(t)
	d.settle(onePayKey, oldMchID, "order-1")
	d.report()
	sandbox := resultOf(t, d.post(onePayKey, "get_sign_key", `{}`))["sandbox_signkey"].(string)
	d.post(refundKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-9","total_fee":1,"refund_fee":1}`)
	require.Contains(t, d.log.String(), "action=order")
	old, modern := d.options.Config.Merchants["old"], d.options.Config.Merchants["new"]
	for _, key := range []string{old.V2.APIKey, modern.V3.APIv3Key, sandbox, onePayKey, refundKey} {
		require.NotContains(t, d.log.String(), key)
	}
	require.NotContains(t, d.log.String(), "PRIVATE KEY")
}

func TestAnUnreadableAnswerGivesNoArguments(t *testing.T) {
	d := openPayment(t)
	for _, body := range []string{"<html>busy</html>", "{}", "<xml><return_code>SUCCESS</return_code></xml>", "<xml>"} {
		d.pay.AddFault(paytest.Fault{Path: "/pay/unifiedorder", Status: 200, Body: body})
		got := d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`)
		require.True(t, strings.HasPrefix(got.text, `{"errcode":-1,"message":"pay fail! `), "%s: %s", body, got.text)
		require.NotContains(t, got.text, "undefined")
		require.NotContains(t, got.text, "paySign")
		d.pay.Heal()
	}
}

// TestTheSignatureIsOfWhatIsSent has parameters that are empty, and those that are left out: the old system signed them.
func TestTheSignatureIsOfWhatIsSent(t *testing.T) {
	d := openPayment(t)
	d.settle(onePayKey, oldMchID, "order-1")
	result := resultOf(t, d.post(refundKey, "refund",
		`{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":100,"refund_fee":60,"refund_desc":"","refund_account":"","op_user_id":"me","sign":"x","refund_fee_type":"CNY"}`))
	require.Equal(t, "SUCCESS", result["result_code"], "WeChat has verified the signature")
	got := d.post(refundKey, "refund", `{"out_refund_no":"r2","out_trade_no":"order-1","total_fee":100,"refund_fee":10,"a></a><mch_id":"1"}`)
	require.True(t, strings.HasPrefix(got.text, `{"errcode":-1,`), got.text)
	require.Equal(t, 1, d.pay.Calls("/secapi/pay/refund"), "a name with markup is not sent")
}
