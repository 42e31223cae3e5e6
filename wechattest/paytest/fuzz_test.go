package paytest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// FuzzCall calls the Server with any request, signed truly or not. It must not panic.
func FuzzCall(f *testing.F) {
	s := newServer(f)
	c := shop(f, s)
	c.paid(s, "order-1", 100)
	f.Add("POST", jsapi, `{"appid":"wx1111111111111111","mchid":"1900000001"}`, "")
	f.Add("POST", refunds, `{"amount":{"refund":1,"total":1,"currency":"CNY"},"out_trade_no":"order-1","out_refund_no":"r"}`, "")
	f.Add("POST", combine+"jsapi", `{"sub_orders":[{"amount":{}}]}`, "")
	f.Add("POST", transfers, `{"out_bill_no":"a"}`, "")
	f.Add("POST", media, "--b\r\nContent-Disposition: form-data; name=\"meta\"\r\n\r\n{}\r\n--b--", "")
	f.Add("GET", "/v3/bill/tradebill?bill_date=2000-01-01", "", "")
	f.Add("POST", sharings+"/orders", `{"receivers":[{}]}`, `WECHATPAY2-SHA256-RSA2048 mchid="1"`)
	f.Fuzz(func(t *testing.T, method, uri, body, authorization string) {
		r, err := http.NewRequest(method, "https://api.mch.weixin.qq.com"+uri, strings.NewReader(body))
		if err != nil || r.URL.Host != "api.mch.weixin.qq.com" || strings.HasPrefix(r.URL.Path, "/_paytest/") {
			t.Skip()
		}
		r.RequestURI = r.URL.RequestURI()
		r.Header.Set("Accept", "application/json")
		r.Header.Set("User-Agent", "a")
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		if authorization == "" {
			own := *c
			own.t = t
			authorization = own.authorization(method, r.RequestURI, body)
		}
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Less(t, w.Code, 500, "%s", w.Body)
	})
}

// Nothing that is pasted into the phone, or that a page calls with, makes it panic or pays.
func FuzzPhone(f *testing.F) {
	s := newServer(f)
	c := shop(f, s)
	c.do("POST", jsapi, order("order-1", 100))
	f.Add("POST", "/phone/pay/open", "what=weixin%3A%2F%2Fwxpay%2Fbizpayurl%3Fpr%3Da")
	f.Add("POST", "/phone/pay/open", "what=%7B%22appId%22%3A%22a%22%7D&openid=a")
	f.Add("POST", "/phone/pay/call", `{"params":{"appId":"a","package":"prepay_id=a"},"page":"http://a"}`)
	f.Add("POST", "/phone/pay/sheet/a", "do=pay")
	f.Add("GET", "/phone?page=http%3A%2F%2Fa", "")
	f.Add("GET", "/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=a&redirect_url=http://a", "")
	f.Fuzz(func(t *testing.T, method, uri, body string) {
		r, err := http.NewRequest(method, "http://127.0.0.1"+uri, strings.NewReader(body))
		if err != nil || r.URL.Host != "127.0.0.1" || !paytest.Serves(r.URL.Path) || strings.HasPrefix(r.URL.Path, "/_paytest/") {
			t.Skip()
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Referer", "https://shop.example/")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Less(t, w.Code, 500)
		now, err := s.Order(mchID, "order-1")
		require.NoError(t, err)
		require.Equal(t, "NOTPAY", now.State)
	})
}
