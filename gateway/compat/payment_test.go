package compat_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
)

const (
	wepay      = "/apis/v1/wepay/"
	onePayKey  = "a-key-of-this-test-to-pay-at-shop"
	onePayKey3 = "a-key-of-this-test-to-pay-at-modern"
	refundKey  = "a-key-of-this-test-to-refund"
)

// openPayment serves the routes of wechat-payment, with keys for one app each.
func openPayment(t *testing.T, change ...func(*cashDesk)) *cashDesk {
	return openDesk(t, append([]func(*cashDesk){func(d *cashDesk) {
		c := &d.options.Config
		wechat := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/pay/unifiedorder" {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				d.mu.Lock()
				d.sent = append(d.sent, readFlat(body))
				d.mu.Unlock()
			}
			d.pay.ServeHTTP(w, r)
		}))
		wechat.TLS = &tls.Config{ClientAuth: tls.RequestClientCert} // refunds present the certificate
		wechat.StartTLS()
		t.Cleanup(wechat.Close)
		d.options.HTTP, c.Endpoints.Pay = wechat.Client(), wechat.URL
		c.Compat = gateway.Compat{Systems: []string{"payment"}}
		c.Keys = append(c.Keys,
			gateway.Key{Name: "one", Key: onePayKey, Apps: []string{"shop", "plain"}, Scopes: []string{"pay"}, MaxFen: 50_000},
			gateway.Key{Name: "three", Key: onePayKey3, Apps: []string{"modern"}, Scopes: []string{"pay", "refund"}},
			gateway.Key{Name: "back", Key: refundKey, Apps: []string{"shop"}, Scopes: []string{"pay", "refund"}, DayFen: 100},
		)
	}}, change...)...)
}

// post sends a body of JSON to a private route of wechat-payment.
func (d *cashDesk) post(key, route, body string) reply {
	return d.ask(nil, input{method: "POST", path: wepay + route, key: key, body: body, form: formJSON})
}

// resultOf returns the result of a success.
func resultOf(t *testing.T, got reply) map[string]any {
	t.Helper()
	require.Equal(t, http.StatusOK, got.status, got.text)
	require.True(t, strings.HasPrefix(got.text, `{"errcode":0,"result":{`), got.text)
	return got.fields["result"].(map[string]any)
}

func TestAnOrderReturnsTheArgumentsOfThePage(t *testing.T) {
	d := openPayment(t)
	long := strings.Repeat("热", 130)
	got := d.post(onePayKey, "get_pay_request_params", fmt.Sprintf(`{"id":"order-1","fee":100,"openid":"o1","body":%q,"detail":"{}","attach":%q,"ip":"192.0.2.7"}`, "热咖啡", long))
	result := resultOf(t, got)
	require.Len(t, result, 7, got.text)
	require.Equal(t, shopID, result["appId"])
	require.Equal(t, "MD5", result["signType"])
	require.Regexp(t, `^\d{10}$`, result["timeStamp"])
	require.Equal(t, result["timeStamp"], result["timestamp"])
	require.Regexp(t, `^prepay_id=.+`, result["package"])
	require.Regexp(t, `^[0-9A-Za-z]{16,32}$`, result["nonceStr"])
	signed := map[string]any{}
	for name, value := range result {
		if name != "timestamp" { // it was added after signing
			signed[name] = value
		}
	}
	require.Equal(t, signedMD5(signed, d.options.Config.Merchants["old"].V2.APIKey), result["paySign"])
	sent := d.lastSent()
	for name, want := range map[string]string{
		"appid": shopID, "mch_id": oldMchID, "out_trade_no": "order-1", "total_fee": "100", "openid": "o1", "body": "热咖啡", "detail": "{}",
		"attach": strings.Repeat("热", 127), "spbill_create_ip": "192.0.2.7", "trade_type": "JSAPI", "notify_url": d.public + "/app/shop/pay/notify",
	} {
		require.Equal(t, want, sent[name], name)
	}

	again := resultOf(t, d.ask(nil, input{method: "POST", path: wepay + "get_pay_request_params?id=order-2&fee=7&openid=o1&body=tea", key: onePayKey}))
	require.Equal(t, shopID, again["appId"], "parameters may be in the query")
	require.Equal(t, "127.0.0.1", d.lastSent()["spbill_create_ip"], "the address of the caller")
}

func TestAnOrderOfAMiniProgramAndOfAProgram(t *testing.T) {
	d := openPayment(t)
	mini := resultOf(t, d.post(payKey, "get_pay_request_params", `{"appid":"`+miniID+`","id":"order-1","fee":100,"openid":"o1","body":"tea"}`))
	require.Equal(t, miniID, mini["appId"])
	app := resultOf(t, d.post(onePayKey, "get_pay_request_params", `{"id":"order-2","fee":100,"body":"tea","trade_type":"APP"}`))
	require.Equal(t, shopID, app["appid"])
	require.Equal(t, oldMchID, app["partnerid"])
	for _, name := range []string{"prepayid", "package", "noncestr", "timestamp", "sign"} {
		require.NotEmpty(t, app[name], name)
	}
	v3 := resultOf(t, d.post(onePayKey3, "get_pay_request_params", `{"id":"order-3","fee":100,"openid":"o1","body":"tea"}`))
	require.Equal(t, newsID, v3["appId"])
	require.Equal(t, "RSA", v3["signType"])
}

func TestErrorsOfWechatPaymentHaveTheOldForm(t *testing.T) {
	d := openPayment(t)
	for name, c := range map[string]struct {
		key, route, body string
		status           int
		want             string
	}{
		"no id":       {onePayKey, "get_pay_request_params", `{"fee":1,"openid":"o1","body":"x"}`, 200, `{"errcode":40003,"message":"参数错误","xOrigMsg":"id is missing"}`},
		"no fee":      {onePayKey, "get_pay_request_params", `{"id":"order-1","openid":"o1","body":"x"}`, 200, `{"errcode":-1,"message":"fee: want`},
		"no openid":   {onePayKey, "get_pay_request_params", `{"id":"order-1","fee":1,"body":"x"}`, 200, `{"errcode":-1,"message":"missing params openid"`},
		"no body":     {onePayKey, "get_pay_request_params", `{"id":"order-1","fee":1,"openid":"o1"}`, 200, `{"errcode":-1,"message":"missing params body"`},
		"a bad trade": {onePayKey, "get_pay_request_params", `{"id":"order-1","fee":1,"openid":"o1","body":"x","trade_type":"NATIVE"}`, 200, `{"errcode":-1,"message":"trade_type`},
		"a short id":  {onePayKey, "get_pay_request_params", `{"id":"1","fee":1,"openid":"o1","body":"x"}`, 200, `{"errcode":-1,"message":"id is`},
		"no money":    {onePayKey, "get_pay_request_params", `{"id":"order-1","fee":0,"openid":"o1","body":"x"}`, 200, `{"errcode":-1,"message":"fee is`},
		"a bad ip":    {onePayKey, "get_pay_request_params", `{"id":"order-1","fee":1,"openid":"o1","body":"x","ip":"1.2.3.4, 5.6.7.8"}`, 200, `{"errcode":-1,"message":"ip:`},
		"several":     {payKey, "get_pay_request_params", `{"id":"order-1","fee":1,"openid":"o1","body":"x"}`, 200, `{"errcode":40003,`},
		"no payments": {onePayKey, "get_pay_request_params", `{"appid":"` + freeID + `","id":"order-1","fee":1,"openid":"o1","body":"x"}`, 200, `{"errcode":40003,`},
		"another app": {onePayKey, "get_pay_request_params", `{"appid":"` + newsID + `","id":"order-1","fee":1,"openid":"o1","body":"x"}`, 403, `{"errcode":-1,`},
		"max_fen":     {onePayKey, "get_pay_request_params", `{"id":"order-1","fee":50001,"openid":"o1","body":"x"}`, 403, `{"errcode":-1,`},
		"no XML":      {onePayKey, "get_pay_request_params", `<xml/>`, 400, `{"errcode":-1,`},
		"refund":      {refundKey, "refund", `{"out_refund_no":"r1"}`, 200, `{"errcode":-1,"message":"missing params total_fee,refund_fee,out_trade_no,transaction_id"`},
		"no scope":    {onePayKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":1,"refund_fee":1}`, 403, `{"errcode":-1,`},
		"unknown":     {refundKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-9","total_fee":1,"refund_fee":1}`, 200, `{"errcode":-1,"message":"pay fail!`},
		"a wrong key": {unknownKey, "get_sign_key", `{}`, 401, `{"errcode":-1,`},
	} {
		got := d.post(c.key, c.route, c.body)
		require.Equal(t, c.status, got.status, "%s: %s", name, got.text)
		require.True(t, strings.HasPrefix(got.text, c.want), "%s: %s", name, got.text)
	}
}

// settle places an order of 100 fen, pays it, and returns its transaction id.
func (d *cashDesk) settle(key, mchID, id string) string {
	d.t.Helper()
	resultOf(d.t.(*testing.T), d.post(key, "get_pay_request_params", `{"id":"`+id+`","fee":100,"openid":"o1","body":"tea"}`))
	transaction, err := d.pay.Pay(mchID, id, "o1")
	require.NoError(d.t, err)
	return transaction
}

func TestThePaymentIsRelayedAsFlatStrings(t *testing.T) {
	d := openPayment(t)
	for key, mchID := range map[string]string{onePayKey: oldMchID, onePayKey3: newMchID} {
		transaction := d.settle(key, mchID, "order-1")
		got := d.report()
		require.Equal(t, "/all", got.path)
		require.True(t, got.hasSignature(signKey))
		for name, want := range map[string]string{
			"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": mchID, "openid": "o1", "total_fee": "100", "cash_fee": "100",
			"out_trade_no": "order-1", "transaction_id": transaction, "trade_type": "JSAPI",
		} {
			require.Equal(t, want, got.body[name], "%s: %s", name, got.raw)
		}
		for name, value := range got.body {
			require.IsType(t, "", value, name)
		}
	}
}

func TestARefundReturnsWeChatsFields(t *testing.T) {
	d := openPayment(t)
	transaction := d.settle(onePayKey, oldMchID, "order-1")
	d.report()
	result := resultOf(t, d.post(refundKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":100,"refund_fee":60,"refund_desc":"late","refund_account":"REFUND_SOURCE_RECHARGE_FUNDS"}`))
	for name, want := range map[string]string{
		"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": shopID, "mch_id": oldMchID, "transaction_id": transaction, "out_trade_no": "order-1",
		"out_refund_no": "r1", "refund_fee": "60", "total_fee": "100",
	} {
		require.Equal(t, want, result[name], name)
	}
	for _, name := range []string{"refund_id", "sign", "nonce_str"} {
		require.NotEmpty(t, result[name], "WeChat's whole answer has %s", name)
	}
	got := d.post(refundKey, "refund", `{"out_refund_no":"r2","transaction_id":"`+transaction+`","out_trade_no":"order-1","total_fee":100,"refund_fee":41}`)
	require.Equal(t, http.StatusForbidden, got.status, "beyond day_fen: %s", got.text)

	d.settle(onePayKey3, newMchID, "order-3")
	result = resultOf(t, d.post(onePayKey3, "refund", `{"out_refund_no":"r3","out_trade_no":"order-3","total_fee":"100","refund_fee":"100"}`))
	for name, want := range map[string]string{"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": newsID, "mch_id": newMchID, "out_refund_no": "r3", "refund_fee": "100"} {
		require.Equal(t, want, result[name], name)
	}
	require.NotEmpty(t, result["refund_id"])
}

func TestARefundNamesTheOrderByItsTransaction(t *testing.T) {
	d := openPayment(t, func(d *cashDesk) { d.options.Config.Keys[4].DayFen = 0 })
	for _, c := range []struct{ key, mchID, order string }{{refundKey, oldMchID, "order-1"}, {onePayKey3, newMchID, "order-3"}} {
		transaction := d.settle(c.key, c.mchID, c.order)
		d.report()
		body := `{"out_refund_no":"refund-` + c.order + `","transaction_id":"` + transaction + `","total_fee":100,"refund_fee":100}`
		result := resultOf(t, d.post(c.key, "refund", body))
		require.Equal(t, []any{c.order, transaction, "100"}, []any{result["out_trade_no"], result["transaction_id"], result["refund_fee"]})
		require.NotEmpty(t, result["refund_id"])
		again := resultOf(t, d.post(c.key, "refund", body))
		require.Equal(t, result["refund_id"], again["refund_id"], "the same refund")
		for id, want := range map[string]string{"4200": "pay fail!", "../4200": "transaction_id is invalid"} {
			got := d.post(c.key, "refund", `{"out_refund_no":"refund-9","transaction_id":"`+id+`","total_fee":100,"refund_fee":100}`)
			require.True(t, strings.HasPrefix(got.text, `{"errcode":-1,"message":"`), got.text)
			require.Contains(t, got.text, want)
		}
	}
}

func TestAnOrderOfTheOldSystemIsRefunded(t *testing.T) {
	d := openPayment(t)
	transaction := d.placedElsewhere(t, "old-order-1")["transaction_id"].(string)
	d.report()
	result := resultOf(t, d.post(refundKey, "refund", `{"out_refund_no":"r1","transaction_id":"`+transaction+`","total_fee":100,"refund_fee":60}`))
	require.Equal(t, []any{"old-order-1", "r1", "60"}, []any{result["out_trade_no"], result["out_refund_no"], result["refund_fee"]})
	require.NotEmpty(t, result["refund_id"])
}

func TestAnOrderIsInTheRecordsOfTheApp(t *testing.T) {
	d := openPayment(t)
	transaction := d.settle(onePayKey, oldMchID, "order-1")
	d.report()
	got := d.ask(nil, input{path: "/app/shop/pay/orders?state=SUCCESS", key: onePayKey})
	require.Equal(t, http.StatusOK, got.status, got.text)
	require.Contains(t, got.text, `"out_trade_no":"order-1"`)
	require.Contains(t, got.text, transaction)
	resultOf(t, d.post(refundKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":100,"refund_fee":60}`))
	got = d.ask(nil, input{path: "/app/shop/pay/refunds/r1", key: onePayKey})
	require.Equal(t, http.StatusOK, got.status, got.text)
	require.EqualValues(t, 60, got.fields["fen"], got.text)
	require.Contains(t, d.log.String(), `msg="payment call" caller=one app=shop action=order`)
	require.Contains(t, d.log.String(), `msg="payment call" caller=back app=shop action=refund`)
}

func TestTheKeyOfTheSandboxIsReturned(t *testing.T) {
	d := openPayment(t)
	result := resultOf(t, d.post(onePayKey, "get_sign_key", `{}`))
	require.Len(t, result["sandbox_signkey"], 32)
	require.Equal(t, "SUCCESS", result["return_code"])
	require.Equal(t, 1, d.pay.Calls("/xdc/apiv2getsignkey/sign/getsignkey"))
	got := d.post(onePayKey3, "get_sign_key", `{}`)
	require.True(t, strings.HasPrefix(got.text, `{"errcode":-1,`), got.text)

	d = openPayment(t, func(d *cashDesk) {
		m := d.options.Config.Merchants["old"]
		m.Sandbox = "old"
		d.options.Config.Merchants["old"] = m
	})
	require.Len(t, resultOf(t, d.post(onePayKey, "get_sign_key", `{}`))["sandbox_signkey"], 32)
	require.Equal(t, 1, d.pay.Calls("/sandboxnew/pay/getsignkey"))
}

func TestAnOrderIsTheSameAfterAChangeOfNotifyTo(t *testing.T) {
	d := openPayment(t)
	order := `{"id":"order-1","fee":100,"openid":"o1","body":"tea","ip":"192.0.2.7"}`
	resultOf(t, d.post(onePayKey3, "get_pay_request_params", order))
	d.options.Config.Apps["modern"].Pay.NotifyTo = d.backend.URL + "/moved"
	d.stop()
	o := d.options
	o.PrivateFallback = compat.Private(o.Config.Compat)
	g, err := gateway.New(o)
	require.NoError(t, err)
	status, body, _ := send(g.Private(), input{method: "POST", path: wepay + "get_pay_request_params", key: onePayKey3, body: order, form: formJSON})
	require.Equal(t, http.StatusOK, status)
	require.True(t, strings.HasPrefix(body, `{"errcode":0,`), "it is the same order: %s", body)
}
