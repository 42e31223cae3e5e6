package compat_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"image/png"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// signedMD5 returns the signature of fields as WeChat's page about signatures says.
func signedMD5(fields map[string]any, key string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if value := fmt.Sprint(fields[name]); name != "sign" && name != "paySign" && value != "" {
			text.WriteString(name + "=" + value + "&")
		}
	}
	sum := md5.Sum([]byte(text.String() + "key=" + key))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func TestAnOrderIsAnsweredAsWeChatDoes(t *testing.T) {
	d := openDesk(t)
	query := "fee=100&name=" + url.QueryEscape("热咖啡") + "&attach=a%26b&device_info=desk1&detail=%7B%7D&goods_tag=g&limit_pay=no_credit&fee_type=CNY&time_start=20260102030405&spbill_create_ip=192.0.2.7"
	for _, path := range []string{"/app/shop/pay", "/app/shop/pay/"} {
		got := d.ask(nil, input{path: path + "?" + query, key: payKey})
		require.Equal(t, http.StatusOK, got.status, got.text)
		require.Equal(t, "application/json; charset=utf-8", got.header.Get("Content-Type"))
		for name, want := range map[string]string{
			"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": shopID, "mch_id": oldMchID, "device_info": "desk1", "trade_type": "NATIVE",
		} {
			require.Equal(t, want, got.fields[name], name)
		}
		for _, name := range []string{"err_code", "err_code_des"} {
			require.NotContains(t, got.fields, name)
		}
		require.Equal(t, signedMD5(got.fields, d.options.Config.Merchants["old"].V2.APIKey), got.fields["sign"], "it is WeChat's whole answer")
		o := d.scanned(got)
		require.Equal(t, got.fields["prepay_id"], o.PrepayID)
		require.Equal(t, "热咖啡", o.Description)
		require.EqualValues(t, 100, o.Total)
		require.Regexp(t, `^20\d{12}------[a-z2-7]{8}$`, o.OutTradeNo)
		require.Equal(t, d.public+"/app/shop/pay/notify", o.NotifyURL)
		sent := d.lastSent()
		for name, want := range map[string]string{
			"attach": "a&b", "device_info": "desk1", "detail": "{}", "goods_tag": "g", "limit_pay": "no_credit", "fee_type": "CNY", "time_start": "20260102030405",
			"spbill_create_ip": "192.0.2.7", "product_id": "pay", "trade_type": "NATIVE",
		} {
			require.Equal(t, want, sent[name], name)
		}
	}
	require.Len(t, d.pay.Orders(oldMchID), 2, "each request is an order of its own")
	require.Contains(t, d.log.String(), `msg="payment call" caller=pay app=shop action=order`)
}

func TestTheDefaultsOfAnOrderAreTheOldOnes(t *testing.T) {
	d := openDesk(t)
	o := d.scanned(d.ask(nil, input{path: "/app/shop/pay?total_fee=7", key: payKey}))
	require.Equal(t, "微信支付", o.Description)
	require.Equal(t, "NATIVE", o.TradeType)
	require.EqualValues(t, 7, o.Total)

	got := d.ask(nil, input{path: "/app/shop/pay?fee=7&body=b&trade_type=JSAPI&openid=o-1234abcd&product_id=p7", key: payKey})
	require.Equal(t, http.StatusOK, got.status, got.text)
	require.Equal(t, "JSAPI", got.fields["trade_type"])
	require.NotContains(t, got.fields, "code_url")
	o, err := d.pay.Prepaid(got.fields["prepay_id"].(string))
	require.NoError(t, err)
	require.Equal(t, "o-1234abcd", o.OpenID)
	require.Regexp(t, `^20\d{12}-abcd-[a-z2-7]{8}$`, o.OutTradeNo)
	require.Equal(t, "b", o.Description)
	require.Equal(t, "p7", d.lastSent()["product_id"])

	got = d.ask(nil, input{path: "/app/shop/pay?fee=7&trade_type=MWEB", key: payKey})
	require.Equal(t, "MWEB", got.fields["trade_type"], got.text)
	require.Contains(t, got.fields["mweb_url"], "https://")
	require.Equal(t, "127.0.0.1", d.lastSent()["spbill_create_ip"])

	expire := time.Now().Add(time.Hour).In(time.FixedZone("", 8*60*60))
	o = d.scanned(d.ask(nil, input{path: "/app/shop/pay?fee=7&time_expire=" + expire.Format("20060102150405"), key: payKey}))
	require.WithinDuration(t, expire, o.Expires, time.Second)
}

func TestARefusalHasTheFormOfWeChatsAnswer(t *testing.T) {
	d := openDesk(t)
	no := "old-order-1"
	d.scanned(d.ask(nil, input{path: "/app/shop/pay?fee=7&out_trade_no=" + no, key: payKey}))
	again := d.ask(nil, input{path: "/app/shop/pay?fee=7&out_trade_no=" + no, key: payKey})
	require.Equal(t, no, d.scanned(again).OutTradeNo, "the same order")
	refused := func(query, code string) {
		got := d.ask(nil, input{path: "/app/shop/pay?" + query, key: payKey})
		require.Equal(t, http.StatusOK, got.status, got.text)
		require.Equal(t, "SUCCESS", got.fields["return_code"], got.text)
		require.Equal(t, "FAIL", got.fields["result_code"], got.text)
		require.Equal(t, code, got.fields["err_code"], got.text)
		require.NotEmpty(t, got.fields["err_code_des"])
		require.Equal(t, shopID, got.fields["appid"])
		require.Equal(t, oldMchID, got.fields["mch_id"])
	}
	refused("fee=8&out_trade_no="+no, "OUT_TRADE_NO_USED")
	_, err := d.pay.Pay(oldMchID, no, "o1")
	require.NoError(t, err)
	require.Equal(t, no, d.report().body["out_trade_no"])
	refused("fee=7&out_trade_no="+no, "ORDERPAID")
	d.pay.AddFault(paytest.Fault{Path: "/pay/unifiedorder", Code: "NOAUTH", Message: "商户无此接口权限", Times: 1})
	refused("fee=7", "NOAUTH")
	d.pay.AddFault(paytest.Fault{Path: "/pay/unifiedorder", Code: "FAIL", Message: "参数格式校验错误", Times: 1})
	got := d.ask(nil, input{path: "/app/shop/pay/qrcode?fee=7", key: payKey})
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, "FAIL", got.fields["return_code"], got.text)
	require.Equal(t, "参数格式校验错误", got.fields["return_msg"])

	for query, says := range map[string]string{
		"":                                   `{"errcode": -10001, "errmsg": "fee is no amount: want a whole number of fen"}`,
		"fee=1.5":                            "fee is no amount",
		"fee=0":                              "fee is 0: want at least 1",
		"fee=-1":                             "fee is -1",
		"fee=1&trade_type=SELL":              "trade_type is unknown",
		"fee=1&trade_type=JSAPI":             "openid is empty",
		"fee=1&time_expire=soon":             "time_expire is no time",
		"fee=1&out_trade_no=a":               "out_trade_no is",
		"fee=1&spbill_create_ip=x":           "spbill_create_ip is no IP address",
		"fee=1&call=http://evil.example.com": "call is refused",
		"fee=1&call=//evil.example.com":      "call is not a path",
		"fee=1&attach=" + strings.Repeat("a", 6001): "attach is too long",
	} {
		got := d.ask(nil, input{path: "/app/shop/pay?" + query, key: payKey})
		require.Equal(t, http.StatusBadRequest, got.status, "%s: %s", query, got.text)
		require.Contains(t, got.text, says)
		require.Contains(t, got.text, `{"errcode": -10001, "errmsg": "`)
	}
	got = d.ask(nil, input{path: "/app/shop/pay?fee=50001", key: payKey})
	require.Equal(t, http.StatusForbidden, got.status, "the limit of the key: %s", got.text)
	require.Contains(t, got.text, "max_fen of this key")
	for path, status := range map[string]int{"/app/none/pay?fee=1": 404, "/app/plain/pay?fee=1": 403, "/app/shop/pay?fee=1&wetoken_key=wrong": 200} {
		require.Equal(t, status, d.ask(nil, input{path: path, key: payKey}).status, path)
	}
	require.Equal(t, http.StatusForbidden, d.ask(nil, input{path: "/app/shop/pay?fee=1", key: readKey}).status)
	require.Equal(t, http.StatusUnauthorized, d.ask(nil, input{path: "/app/shop/pay?fee=1", key: unknownKey}).status)
}

func TestAnOrderOfAPIv3HasTheSameFields(t *testing.T) {
	d := openDesk(t)
	got := d.ask(nil, input{path: "/app/modern/pay?fee=100&attach=me&goods_tag=g&device_info=d&limit_pay=no_credit&product_id=p&detail=x&scene_info=x", key: payKey})
	o := d.scanned(got)
	require.Equal(t, map[string]any{
		"return_code": "SUCCESS", "return_msg": "OK", "appid": newsID, "mch_id": newMchID, "nonce_str": "", "sign": "", "result_code": "SUCCESS",
		"trade_type": "NATIVE", "prepay_id": "", "code_url": o.CodeURL,
	}, got.fields)
	d.pay.AddFault(paytest.Fault{Path: "/v3/pay/transactions/native", Code: "NO_AUTH", Message: "商户无权限", Status: 403, Times: 1})
	got = d.ask(nil, input{path: "/app/modern/pay?fee=100", key: payKey})
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, []any{"FAIL", "NO_AUTH", "商户无权限"}, []any{got.fields["result_code"], got.fields["err_code"], got.fields["err_code_des"]}, got.text)
}

func TestAKeyMayBeInTheQuery(t *testing.T) {
	d := openDesk(t)
	path := "/app/shop/pay?fee=1&wetoken_key=" + payKey
	status, body, _ := send(d.gateway.Private(), input{path: path})
	require.Equal(t, http.StatusOK, status, body)
	status, body, _ = send(d.gateway.Both(), input{path: path})
	require.Equal(t, http.StatusOK, status, body)
	status, body, _ = send(d.gateway.Public(), input{path: path})
	require.Equal(t, http.StatusNotFound, status, "no key is for the public side: %s", body)
	require.NotContains(t, d.log.String(), payKey)
}

func TestAQRCodeIs256PixelsWide(t *testing.T) {
	d := openDesk(t)
	for _, in := range []input{
		{path: "/app/shop/pay/qrcode?fee=1&trade_type=JSAPI", key: payKey}, {path: "/app/shop/pay/qrcode/?fee=1", key: payKey},
		{method: "POST", path: "/app/shop/pay/qrcode", body: "fee=1", form: formForm, key: payKey},
		{path: "/app/modern/pay/qrcode?fee=1", key: payKey},
	} {
		got := d.ask(nil, in)
		require.Equal(t, http.StatusOK, got.status, got.text)
		require.Equal(t, "image/png", got.header.Get("Content-Type"))
		require.Equal(t, "private, max-age=7200", got.header.Get("Cache-Control"))
		image, err := png.Decode(bytes.NewReader([]byte(got.text)))
		require.NoError(t, err)
		require.Equal(t, 256, image.Bounds().Dx())
		require.Equal(t, 256, image.Bounds().Dy())
	}
}

func TestAPageGetsTheArgumentsOfThePayment(t *testing.T) {
	d := openDesk(t)
	check := func(got reply, openID string) {
		require.Equal(t, http.StatusOK, got.status, got.text)
		require.ElementsMatch(t, []string{"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}, slices.Collect(maps.Keys(got.fields)), got.text)
		require.Equal(t, shopID, got.fields["appId"])
		require.Equal(t, "MD5", got.fields["signType"])
		require.IsType(t, "", got.fields["timeStamp"])
		require.Equal(t, signedMD5(got.fields, d.options.Config.Merchants["old"].V2.APIKey), got.fields["paySign"])
		o, err := d.pay.Prepaid(strings.TrimPrefix(got.fields["package"].(string), "prepay_id="))
		require.NoError(t, err)
		require.Equal(t, openID, o.OpenID)
		require.Equal(t, "JSAPI", o.TradeType)
	}
	check(d.ask(nil, input{path: "/app/shop/pay/js?fee=1&openid=o1", key: payKey}), "o1")
	check(d.ask(nil, input{path: "/app/shop/pay/js?fee=1", key: payKey}, "Cookie", "openid=o2"), "o2")
	check(d.ask(nil, input{path: "/app/shop/pay/js?fee=1&openid=o1", key: payKey}, "Cookie", "openid=o2"), "o1")
	script := d.ask(nil, input{path: "/app/shop/pay/js/?fee=1&openid=o1&var=order", key: payKey})
	require.Equal(t, "text/javascript; charset=utf-8", script.header.Get("Content-Type"))
	require.Equal(t, "nosniff", script.header.Get("X-Content-Type-Options"))
	require.True(t, strings.HasPrefix(script.text, "var order={"), script.text)
	check(script, "o1")
	script = d.ask(nil, input{path: "/app/shop/pay/js?fee=1&var=order", key: payKey})
	require.Equal(t, http.StatusOK, script.status)
	require.Equal(t, "openid is empty: an order of trade jsapi needs that of the payer", script.fields["errmsg"], script.text)
	for _, name := range []string{"a;alert(1)", "a.b", "1a", "</script>", strings.Repeat("a", 65)} {
		got := d.ask(nil, input{path: "/app/shop/pay/js?fee=1&openid=o1&var=" + url.QueryEscape(name), key: payKey})
		require.Equal(t, http.StatusBadRequest, got.status, got.text)
	}
	modern := d.ask(nil, input{path: "/app/modern/pay/js?fee=1&openid=o1", key: payKey})
	require.Equal(t, "RSA", modern.fields["signType"], modern.text)
}

func TestAnOpenSystemNeedsNoKeyOnThePrivateSide(t *testing.T) {
	d := openDesk(t, func(d *cashDesk) { d.options.Config.Compat.Open = []string{"proxy"} })
	status, body, _ := send(d.gateway.Private(), input{path: "/app/shop/pay?fee=50001"})
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, d.log.String(), `caller="(no key)" app=shop action=order`)
	status, body, _ = send(d.gateway.Public(), input{path: "/app/shop/pay?fee=1"})
	require.Equal(t, http.StatusForbidden, status, "browsers are strangers nevertheless: %s", body)
}

func TestABrowserIsThePayersAddress(t *testing.T) {
	d := openDesk(t, func(d *cashDesk) { d.options.Config.TrustedProxies = []string{"127.0.0.0/8"} })
	for from, want := range map[string]string{"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.8": "203.0.113.8"} {
		d.scanned(d.ask(nil, input{path: "/app/小店/pay?fee=1"}, "X-Forwarded-For", from))
		require.Equal(t, want, d.lastSent()["spbill_create_ip"])
	}
	d.scanned(d.ask(nil, input{path: "/app/小店/pay?fee=1&server_ip=192.0.2.9"}, "X-Forwarded-For", "203.0.113.7"))
	require.Equal(t, "192.0.2.9", d.lastSent()["spbill_create_ip"])
}

func FuzzAnOrderOfAStranger(f *testing.F) {
	public := openDesk(f).gateway.Public()
	for _, seed := range []string{"fee=1", "fee=1&out_trade_no=order-1&attach=%00", "link=.", "fee=1&trade_type=MWEB&call=%2f", "fee=1&time_expire=20991231235959&scene_info={}", "fee=1&name=%F0%9F%A7%A6"} {
		f.Add(seed, "openid=o1")
	}
	f.Fuzz(func(t *testing.T, query, cookie string) {
		for _, path := range []string{"/app/小店/pay", "/app/小店/pay/js", "/app/shop/pay/qrcode"} {
			r := httptest.NewRequest("GET", path, nil)
			r.URL.RawQuery = query
			r.Header.Set("Cookie", cookie)
			status, body, _ := serve(public, r)
			if status != 200 && (status < 400 || status >= 500) {
				t.Fatalf("%d %s", status, body)
			}
		}
	})
}
