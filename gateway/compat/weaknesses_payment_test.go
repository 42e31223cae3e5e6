package compat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// Each test of this file is about a weakness of wechat-payment.

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
	require.Empty(t, d.reports)
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

func TestAFailedPaymentIsNotReported(t *testing.T) {
	d := openPayment(t)
	resultOf(t, d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`))
	failed := map[string]any{
		"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "SYSTEMERROR", "err_code_des": "x", "appid": shopID, "mch_id": oldMchID, "nonce_str": "n",
		"openid": "o1", "trade_type": "JSAPI", "bank_type": "OTHERS", "total_fee": "100", "cash_fee": "100", "out_trade_no": "order-1", "time_end": "20260101120000",
	}
	body := notice(failed, d.options.Config.Merchants["old"].V2.APIKey)
	d.ask(nil, input{method: "POST", path: wepay + "pay_notify", body: body, form: "text/xml"})
	transaction, err := d.pay.Pay(oldMchID, "order-1", "o1")
	require.NoError(t, err)
	got := d.report()
	require.Equal(t, transaction, got.body["transaction_id"], "the payment is the first report")
	require.Equal(t, "SUCCESS", got.body["result_code"])
}

func TestAnAnswerThatWeChatHasNotSignedIsRefused(t *testing.T) {
	d := openPayment(t)
	for _, sign := range []paytest.Signing{paytest.Forged, paytest.Unsigned, paytest.Altered} {
		d.pay.AddFault(paytest.Fault{Path: "/pay/unifiedorder", Sign: sign})
		got := d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`)
		require.True(t, strings.HasPrefix(got.text, `{"errcode":-1,"message":"pay fail! `), "%s: %s", sign, got.text)
		require.NotContains(t, got.text, "result")
		d.pay.Heal()
	}
	resultOf(t, d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`))
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

func TestTheKeyOfTheSandboxReplacesNoLiveKey(t *testing.T) {
	d := openPayment(t)
	live := d.options.Config.Merchants["old"].V2.APIKey
	require.NotEqual(t, live, resultOf(t, d.post(onePayKey, "get_sign_key", `{}`))["sandbox_signkey"])
	result := resultOf(t, d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`))
	delete(result, "timestamp")
	require.Equal(t, signedMD5(result, live), result["paySign"])
}

func TestNoncesAreRandom(t *testing.T) {
	d := openPayment(t)
	seen := make(map[any]bool)
	for range 20 {
		result := resultOf(t, d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea","nonce_str":"mine"}`))
		require.Len(t, result["nonceStr"], 32)
		seen[result["nonceStr"]] = true
		seen[d.lastSent()["nonce_str"]] = true
	}
	require.Len(t, seen, 40)
}

func TestNoKeyIsLogged(t *testing.T) {
	d := openPayment(t)
	sandbox := resultOf(t, d.post(onePayKey, "get_sign_key", `{}`))["sandbox_signkey"]
	d.settle(onePayKey, oldMchID, "order-1")
	d.report()
	d.post(refundKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":100,"refund_fee":60}`)
	d.pay.AddFault(paytest.Fault{Path: "/pay/unifiedorder", Sign: paytest.Forged})
	failed := d.post(onePayKey, "get_pay_request_params", `{"id":"order-2","fee":100,"openid":"o1","body":"tea"}`)
	d.ask(nil, input{method: "POST", path: wepay + "pay_notify", body: "<xml><appid>" + shopID + "</appid><mch_id>" + oldMchID + "</mch_id></xml>"})
	log := d.log.String()
	require.Contains(t, log, "order-1", "it is a log of these calls")
	old := d.options.Config.Merchants["old"].V2
	for _, key := range []string{old.APIKey, fmt.Sprint(sandbox), onePayKey, refundKey, signKey, secret, strings.Split(old.PrivateKey, "\n")[1]} {
		require.NotContains(t, log, key)
		require.NotContains(t, failed.text, key)
	}
}
