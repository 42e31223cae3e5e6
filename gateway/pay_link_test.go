package gateway_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/pay"
)

// withProxy has a gateway serve wechat-proxy's clients, and gives shop what links need.
func withProxy(o *gateway.Options) {
	o.Config.Compat.Systems = []string{gateway.CompatProxy}
	set(&o.Config, "shop", func(a *gateway.App) { a.SignKey = signKey })
}

// visit asks for an order as a browser does.
func visit(t *testing.T, g *gateway.Gateway, app, link string, o pay.Order, cookies ...*http.Cookie) (pay.Prepaid, []*http.Cookie, error) {
	t.Helper()
	return visitFrom(t, g, "192.0.2.1:1234", app, link, o, cookies...)
}

func visitFrom(t *testing.T, g *gateway.Gateway, address, app, link string, o pay.Order, cookies ...*http.Cookie) (pay.Prepaid, []*http.Cookie, error) {
	t.Helper()
	a, err := g.ServedApp(t.Context(), app, "/pay")
	require.NoError(t, err)
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/app/"+app+"/pay", nil).WithContext(t.Context())
	r.RemoteAddr = address
	for _, c := range cookies {
		r.AddCookie(c)
	}
	p, err := a.PrepayPublic(w, r, link, o)
	return p, w.Result().Cookies(), err
}

func linkOf(t *testing.T, got map[string]any) string {
	t.Helper()
	address, _ := got["url"].(string)
	link, ok := strings.CutPrefix(address, "https://wx.example.com/app/shop/pay?link=")
	if !ok {
		link, ok = strings.CutPrefix(address, "https://wx.example.com/app/later/pay?link=")
	}
	require.True(t, ok, address)
	return link
}

func TestALinkIsMadeForCallersWithScopePay(t *testing.T) {
	d := openTill(t, func(d *till) {
		d.config.Compat.Systems = []string{gateway.CompatProxy}
		d.config.Keys[0].MaxFen = 500
		set(&d.config, "other", func(a *gateway.App) { a.SignKey = "" })
	})
	ask := func(key, app, body string) (int, map[string]any) {
		return d.call(t, key, "POST /app/"+app+"/pay/links", body)
	}
	status, got := ask(payKey, "shop", `{"fee":100,"name":"袜子","call":"/paid","openid":"o1","expires_at":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`)
	require.Equal(t, http.StatusOK, status, got)
	require.Contains(t, got["url"], d.public+"/app/shop/pay?link=")
	require.Len(t, got, 1)
	require.Less(t, len(got["url"].(string)), 400)
	_, again := ask(payKey, "shop", `{"fee":100}`)
	_, other := ask(payKey, "shop", `{"fee":100}`)
	require.NotEqual(t, again["url"], other["url"], "each link is for one payment")
	require.Contains(t, d.log.text(), "caller=pay app=shop action=link fen=100 result=ok")

	for body, says := range map[string]string{
		`{}`:                         "fee is 0: want at least 1",
		`{"fee":-1}`:                 "fee is -1",
		`{"fee":"100"}`:              "the body must be",
		`{"fee":1.5}`:                "the body must be",
		`{"fee":1,"expires_at":"x"}`: "the body must be",
		`x`:                          "the body must be",
		`{"fee":1,"name":"` + strings.Repeat("袜", 128) + `"}`:                                   "name is too long: want at most 127",
		`{"fee":1,"name":"🧦"}`:                                                                  "name has the character",
		`{"fee":1,"out_trade_no":"a b"}`:                                                        "out_trade_no is",
		`{"fee":1,"out_trade_no":"` + strings.Repeat("1", 33) + `"}`:                            "out_trade_no is",
		`{"fee":1,"attach":"` + strings.Repeat("a", 200) + `"}`:                                 "attach is too long",
		`{"fee":1,"openid":"` + strings.Repeat("o", 129) + `"}`:                                 "openid is too long",
		`{"fee":1,"call":"http://evil.example.com/"}`:                                           "call is refused",
		`{"fee":1,"call":"/` + strings.Repeat("a", 5000) + `"}`:                                 "call is not a path",
		`{"fee":1,"expires_at":"0001-01-01T00:00:00Z"}`:                                         "expires_at is invalid: want a time within the next 30 days",
		`{"fee":1,"expires_at":"` + time.Now().Add(-time.Second).Format(time.RFC3339) + `"}`:    "expires_at is invalid: want a time within the next 30 days",
		`{"fee":1,"expires_at":"` + time.Now().Add(31*24*time.Hour).Format(time.RFC3339) + `"}`: "expires_at is invalid",
	} {
		status, got := ask(payKey, "shop", body)
		require.Equal(t, http.StatusBadRequest, status, "%s: %v", body, got)
		require.Contains(t, got["errmsg"], says, body)
	}
	status, got = ask(payKey, "shop", `{"fee":501}`)
	require.Equal(t, http.StatusForbidden, status, got)
	require.Contains(t, got["errmsg"], "max_fen of this key")
	status, got = ask(otherKey, "other", `{"fee":1}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, got["errmsg"], "needs the app's sign_key")
	status, _ = ask(payKey, "shop", `{"fee":1,"name":"`+strings.Repeat("a", 20_000)+`"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	for _, c := range []struct {
		key, app string
		status   int
	}{{refundKey, "shop", 403}, {otherKey, "shop", 403}, {"a-key-that-nobody-has", "shop", 401}, {wideKey, "plain", 404}, {"", "shop", 404}} {
		status, got := ask(c.key, c.app, `{"fee":1}`)
		require.Equal(t, c.status, status, "%s %s: %v", c.key, c.app, got)
	}
	require.Empty(t, d.pay.Orders(mchID), "a link is no order")
}

func TestALinkNeedsTheRoutesItLeadsTo(t *testing.T) {
	d := openTill(t, nil)
	status, got := d.call(t, payKey, "POST /app/shop/pay/links", `{"fee":1}`)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, got["errmsg"], "compat.systems")
	status, _ = d.call(t, refundKey, "POST /app/shop/pay/links", `{"fee":1}`)
	require.Equal(t, http.StatusForbidden, status)
}

func TestALinkEndsAndHoldsInEveryProcess(t *testing.T) {
	hours := 6
	if testform.Full() {
		hours = 72
	}
	runTills(t, func(t *testing.T, d *tills) {
		d.first = d.open(t, withProxy)
		order := pay.Order{Trade: pay.Native, Description: "free", Fen: 1}
		status, got := call(t, d.first, wideKey, "POST /app/shop/pay/links", `{"fee":300}`)
		require.Equal(t, http.StatusOK, status, got)
		link := linkOf(t, got)
		p, cookies, err := visit(t, d.second, "shop", link, order)
		require.NoError(t, err)
		same, none, err := visit(t, d.first, "shop", link, order, cookies...)
		require.NoError(t, err)
		require.Equal(t, p.OutTradeNo, same.OutTradeNo)
		require.Empty(t, none)
		before := d.wx.Calls("/v3/pay/transactions/native")
		require.Equal(t, 1, before, "the second answer was that of the first")
		advance(2 * time.Minute)
		same, _, err = visit(t, d.first, "shop", link, order, cookies...)
		require.NoError(t, err)
		require.Equal(t, p.OutTradeNo, same.OutTradeNo)
		require.Equal(t, 2, d.wx.Calls("/v3/pay/transactions/native"), "later WeChat is asked again")

		named := order
		named.OutTradeNo = "order-77"
		number := ""
		for _, g := range []*gateway.Gateway{d.first, d.second} { // browsers without cookies
			same, _, err = visit(t, g, "shop", link, named)
			require.NoError(t, err)
			require.Equal(t, cmp.Or(number, same.OutTradeNo), same.OutTradeNo, "a number is one order for all")
			number = same.OutTradeNo
			advance(10 * time.Second)
		}

		advance(2 * time.Hour)
		_, _, err = visit(t, d.second, "shop", link, order, cookies...)
		require.ErrorIs(t, err, pay.ErrDenied, "two hours are the default")
		_, got = call(t, d.first, wideKey, "POST /app/shop/pay/links", `{"fee":300,"expires_at":"`+time.Now().Add(time.Duration(hours)*time.Hour).Format(time.RFC3339)+`"}`)
		long := linkOf(t, got)
		first, cookies, err := visit(t, d.second, "shop", long, order)
		require.NoError(t, err)
		advance(time.Duration(hours-1) * time.Hour)
		next, _, err := visit(t, d.second, "shop", long, order, cookies...)
		require.NoError(t, err)
		require.NotEqual(t, first.OutTradeNo, next.OutTradeNo, "the first order has ended, and the link has not")
		ended, err := d.wx.Order(d.filed.MchID, first.OutTradeNo)
		require.NoError(t, err)
		require.Equal(t, "CLOSED", ended.State)
	}, withProxy)
}

func TestALinkSurvivesAChangeOfTheSignKey(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		order := pay.Order{Trade: pay.Native}
		rename := func(key, previous string) *gateway.Gateway {
			return d.open(t, withProxy, func(o *gateway.Options) {
				set(&o.Config, "shop", func(a *gateway.App) { a.SignKey, a.PreviousSignKey = key, previous })
			})
		}
		_, got := call(t, rename(signKey, ""), wideKey, "POST /app/shop/pay/links", `{"fee":300}`)
		link := linkOf(t, got)
		_, _, err := visit(t, rename("the-next-key-of-this-test", signKey), "shop", link, order)
		require.NoError(t, err)
		_, _, err = visit(t, rename("the-next-key-of-this-test", ""), "shop", link, order)
		require.ErrorIs(t, err, pay.ErrDenied)
		_, _, err = visit(t, rename("", ""), "shop", link, order)
		require.ErrorIs(t, err, pay.ErrDenied)
	})
}

func TestAPaymentOfAPIv3IsReportedWithItsCoupons(t *testing.T) {
	raw := `{"appid":"` + shopID + `","mchid":"` + mchID + `","out_trade_no":"order-1","transaction_id":"42","trade_type":"JSAPI","trade_state":"SUCCESS","bank_type":"ICBC_DEBIT",
		"amount":{"total":100,"payer_total":70,"currency":"CNY","payer_currency":"CNY"},"payer":{"openid":"o1"},"scene_info":{"device_id":"d1"},
		"promotion_detail":[{"coupon_id":"c1","type":"CASH","amount":10},{"coupon_id":"c2","type":"NOCASH","amount":20}]}`
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var got map[string]any
	require.NoError(t, json.Unmarshal(gateway.FlatPayment(pay.Transaction{
		OutTradeNo: "order-1", TransactionID: "42", AppID: shopID, MchID: mchID, Trade: pay.JSAPI, State: pay.Success, Fen: 100, PayerFen: 70, OpenID: "o1", PaidAt: at, Raw: json.RawMessage(raw),
	}), &got))
	want := map[string]any{
		"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": shopID, "mch_id": mchID, "openid": "o1", "trade_type": "JSAPI", "bank_type": "ICBC_DEBIT",
		"total_fee": "100", "fee_type": "CNY", "cash_fee": "70", "cash_fee_type": "CNY", "transaction_id": "42", "out_trade_no": "order-1", "time_end": "20260102110405",
		"device_info": "d1", "coupon_count": "2", "coupon_fee": "30", "settlement_total_fee": "80",
		"coupon_id_0": "c1", "coupon_fee_0": "10", "coupon_type_0": "CASH", "coupon_id_1": "c2", "coupon_fee_1": "20", "coupon_type_1": "NO_CASH",
	}
	require.Equal(t, want, got)
	v2 := json.RawMessage(`{"total_fee":"100","out_trade_no":"order-1"}`)
	require.Equal(t, v2, gateway.FlatPayment(pay.Transaction{Raw: v2}), "that of APIv2 stays as it is")
	require.Contains(t, string(gateway.FlatPayment(pay.Transaction{OutTradeNo: "order-1", Fen: 5, PaidAt: at})), `"total_fee":"5"`)
}

func TestPaymentsThatAreNotServedPlaceNoOrder(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 50 })
		away := d.open(t, withProxy, func(o *gateway.Options) {
			o.CheckPayments = func(context.Context) error { return fmt.Errorf("records are lost at a restart") }
		})
		_, _, err := visit(t, away, "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: 1})
		require.ErrorContains(t, err, "records are lost")
		status, got := call(t, away, wideKey, "POST /app/later/pay/links", `{"fee":1}`)
		require.Equal(t, http.StatusServiceUnavailable, status, got)
		a, err := away.ServedApp(t.Context(), "later", "/pay/notify")
		require.NoError(t, err)
		require.Empty(t, a.Merchant())
		w := httptest.NewRecorder()
		a.ServePayNotify(w, httptest.NewRequest("POST", "/app/later/pay", strings.NewReader("<xml/>")))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Contains(t, w.Body.String(), "<xml><return_code><![CDATA[FAIL]]>")
	})
}

func FuzzALinkThatNobodySignedIsRefused(f *testing.F) {
	c := config()
	set(&c, "shop", func(a *gateway.App) { a.SignKey = signKey })
	g, err := gateway.New(gateway.Options{Config: c})
	require.NoError(f, err)
	for _, seed := range []string{"", ".", "e30.", "e30.e30", "eyJmZWUiOjEsImVuZCI6OTk5OTk5OTk5OX0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", strings.Repeat("a", 9000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if gateway.ReadLink(g, "shop", text) == nil {
			t.Fatalf("accepted %q", text)
		}
	})
}
