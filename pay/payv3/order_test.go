package payv3_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

const (
	shopMchID = "1900000109"
	shopAppID = "wx8888888888888888"
)

func TestOrdersAreSentAsTheyWereAsked(t *testing.T) {
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	inBeijing, _ := json.Marshal(expires.In(time.FixedZone("", 8*3600)).Format(time.RFC3339))
	shop := func(m *payv3.Merchant) *payv3.Merchant { return m.Sub(shopMchID, shopAppID) }
	for _, c := range []struct {
		name  string
		of    func(*payv3.Merchant) *payv3.Merchant
		order pay.Order
		path  string
		body  string
		app   string // with which the payer's parameters are signed
	}{
		{"jsapi", nil, pay.Order{Trade: pay.JSAPI, OutTradeNo: "order-1", Fen: 100, Description: "袜子 <&>", OpenID: openID, ExpiresAt: expires, Attach: "a"}, "/v3/pay/transactions/jsapi",
			`{"amount":{"currency":"CNY","total":100},"appid":"` + appID + `","attach":"a","description":"袜子 <&>","mchid":"` + mchID + `","notify_url":"` + notifyURL + `","out_trade_no":"order-1","payer":{"openid":"` + openID + `"},"time_expire":` + string(inBeijing) + `}`, appID},
		{"another app", nil, pay.Order{Trade: pay.APP, OutTradeNo: "order-1", Fen: 100, Description: "d", AppID: "wx2", NotifyURL: "https://other.example.com/n"}, "/v3/pay/transactions/app",
			`{"amount":{"currency":"CNY","total":100},"appid":"wx2","description":"d","mchid":"` + mchID + `","notify_url":"https://other.example.com/n","out_trade_no":"order-1"}`, "wx2"},
		{"h5", nil, pay.Order{Trade: pay.H5, OutTradeNo: "order-1", Fen: 100, Description: "d", ClientIP: "203.0.113.7"}, "/v3/pay/transactions/h5",
			`{"amount":{"currency":"CNY","total":100},"appid":"` + appID + `","description":"d","mchid":"` + mchID + `","notify_url":"` + notifyURL + `","out_trade_no":"order-1","scene_info":{"h5_info":{"type":"Wap"},"payer_client_ip":"203.0.113.7"}}`, ""},
		{"extra", nil, pay.Order{Trade: pay.H5, OutTradeNo: "order-1", Fen: 100, Description: "d", ClientIP: "203.0.113.7",
			Extra: map[string]any{"scene_info": map[string]any{"h5_info": map[string]any{"type": "iOS"}}, "settle_info": map[string]any{"profit_sharing": true}}}, "/v3/pay/transactions/h5",
			`{"amount":{"currency":"CNY","total":100},"appid":"` + appID + `","description":"d","mchid":"` + mchID + `","notify_url":"` + notifyURL + `","out_trade_no":"order-1","scene_info":{"h5_info":{"type":"iOS"},"payer_client_ip":"203.0.113.7"},"settle_info":{"profit_sharing":true}}`, ""},
		{"shop", shop, pay.Order{Trade: pay.JSAPI, OutTradeNo: "order-1", Fen: 100, Description: "d", OpenID: openID}, "/v3/pay/partner/transactions/jsapi",
			`{"amount":{"currency":"CNY","total":100},"description":"d","notify_url":"` + notifyURL + `","out_trade_no":"order-1","payer":{"sub_openid":"` + openID + `"},"sp_appid":"` + appID + `","sp_mchid":"` + mchID + `","sub_appid":"` + shopAppID + `","sub_mchid":"` + shopMchID + `"}`, shopAppID},
		{"shop, provider's app", shop, pay.Order{Trade: pay.JSAPI, OutTradeNo: "order-1", Fen: 100, Description: "d", OpenID: openID, AppID: "wx2"}, "/v3/pay/partner/transactions/jsapi",
			`{"amount":{"currency":"CNY","total":100},"description":"d","notify_url":"` + notifyURL + `","out_trade_no":"order-1","payer":{"sp_openid":"` + openID + `"},"sp_appid":"wx2","sp_mchid":"` + mchID + `","sub_mchid":"` + shopMchID + `"}`, "wx2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			f.answer = always(200, `{"prepay_id":"wx1","h5_url":"https://wx.tenpay.com/"}`)
			cfg := config()
			cfg.AppIDs, cfg.HTTP = []string{"wx2"}, f.client()
			m := newMerchant(t, cfg)
			if c.of != nil {
				m = c.of(m)
			}
			p, err := m.Prepay(t.Context(), c.order)
			require.NoError(t, err)
			require.Equal(t, "POST "+c.path, f.requests[0])
			require.Equal(t, c.body, string(f.bodies[0]))
			require.Equal(t, publicKeyID, f.headers[0].Get("Wechatpay-Serial"))
			require.Equal(t, "order-1", p.OutTradeNo)
			if c.app != "" {
				require.Equal(t, c.app, p.Params["appId"]+p.Params["appid"])
			}
		})
	}
}

func TestCallsOfAShopCarryIt(t *testing.T) {
	f := newFake()
	f.answer = func(r *http.Request, _ []byte) (int, string) {
		switch {
		case r.URL.Path == "/v3/refund/domestic/refunds" || r.Method == "GET" && r.URL.Query().Get("sp_mchid") == "" && r.URL.Query().Get("sub_mchid") != "":
			return 200, `{"out_refund_no":"r|1","status":"SUCCESS","sub_mchid":"` + shopMchID + `","amount":{"refund":1,"total":3}}`
		case r.Method == "GET":
			return 200, `{"sp_appid":"` + appID + `","sp_mchid":"` + mchID + `","sub_appid":"` + shopAppID + `","sub_mchid":"` + shopMchID + `","out_trade_no":"a|b*c-","trade_state":"NOTPAY","payer":{"sp_openid":"a","sub_openid":"b"},"amount":{"total":3}}`
		}
		return 204, ""
	}
	shop := f.merchant(t).Sub(shopMchID, "")
	require.Equal(t, "v3/"+mchID+"/"+shopMchID, shop.Name())
	tr, err := shop.Query(t.Context(), "a|b*c-")
	require.NoError(t, err)
	require.Equal(t, pay.Transaction{OutTradeNo: "a|b*c-", AppID: appID, MchID: mchID, SubAppID: shopAppID, SubMchID: shopMchID, State: pay.NotPaid, Fen: 3, OpenID: "b", Raw: tr.Raw}, tr)
	require.NoError(t, shop.Close(t.Context(), "a|b*c-"))
	require.NoError(t, shop.Reverse(t.Context(), "a|b*c-"))
	_, err = shop.Refund(t.Context(), pay.Refund{TransactionID: "4200", OutTradeNo: "order-1", OutRefundNo: "r|1", Fen: 1, TotalFen: 3, Reason: "torn"})
	require.NoError(t, err)
	_, err = shop.QueryRefund(t.Context(), "r|1")
	require.NoError(t, err)
	require.Equal(t, []string{
		"GET /v3/pay/partner/transactions/out-trade-no/a%7Cb*c-?sp_mchid=" + mchID + "&sub_mchid=" + shopMchID,
		"POST /v3/pay/partner/transactions/out-trade-no/a%7Cb*c-/close",
		"GET /v3/pay/partner/transactions/out-trade-no/a%7Cb*c-?sp_mchid=" + mchID + "&sub_mchid=" + shopMchID, // for the appid
		"POST /v3/pay/partner/transactions/out-trade-no/a%7Cb*c-/reverse",
		"POST /v3/refund/domestic/refunds",
		"GET /v3/refund/domestic/refunds/r%7C1?sub_mchid=" + shopMchID,
	}, f.requests)
	require.Equal(t, `{"sp_mchid":"`+mchID+`","sub_mchid":"`+shopMchID+`"}`, string(f.bodies[1]))
	require.Equal(t, `{"sp_appid":"`+appID+`","sp_mchid":"`+mchID+`","sub_appid":"`+shopAppID+`","sub_mchid":"`+shopMchID+`"}`, string(f.bodies[3]))
	require.Equal(t, `{"amount":{"currency":"CNY","refund":1,"total":3},"notify_url":"`+notifyURL+`","out_refund_no":"r|1","reason":"torn","sub_mchid":"`+shopMchID+`","transaction_id":"4200"}`, string(f.bodies[4]))
}

func TestRefusalsHaveCauses(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		cause  pay.Cause
	}{
		{202, `{"code":"USER_PAYING","message":"…"}`, pay.ErrPaying},
		{202, `{}`, pay.ErrPaying},
		{400, `{"code":"ORDER_PAID","message":"该订单已支付"}`, pay.ErrPaid},
		{400, `{"code":"ORDER_CLOSED","message":"…"}`, pay.ErrClosed},
		{400, `{"code":"PARAM_ERROR","message":"订单重入参数校验失败"}`, pay.ErrChanged},
		{400, `{"code":"INVALID_REQUEST","message":"201 商户订单号重复"}`, pay.ErrChanged},
		{400, `{"code":"INVALID_REQUEST","message":"此IP地址不允许调用该接口"}`, pay.ErrSettings},
		{400, `{"code":"PARAM_ERROR","message":"…","detail":{"field":"/amount/total"}}`, ""},
		{403, `{"code":"NOT_ENOUGH","message":"…"}`, pay.ErrNotEnough},
		{404, `{"code":"ORDER_NOT_EXIST","message":"…"}`, pay.ErrNotFound},
		{404, ``, ""},
		{429, `{"code":"FREQUENCY_LIMITED","message":"…"}`, pay.ErrBusy},
		{429, `<html>`, pay.ErrBusy},
		{500, `{"code":"SYSTEM_ERROR","message":"系统繁忙"}`, pay.ErrUnknown},
		{302, ``, pay.ErrUnknown},
	} {
		f := newFake()
		f.answer = always(c.status, c.body)
		err := f.merchant(t).Close(t.Context(), "order-1")
		var e *pay.Error
		require.ErrorAs(t, err, &e, c.body)
		require.Equal(t, c.cause, e.Cause, "%d %s", c.status, c.body)
		require.Equal(t, c.status, e.Status)
		require.Equal(t, "08E5B1", e.RequestID)
		require.Equal(t, "POST /v3/pay/transactions/out-trade-no/order-1/close", e.Op)
	}
	f := newFake()
	f.answer = always(429, `{"code":"FREQUENCY_LIMITED","message":"…"}`)
	_, err := f.merchant(t).Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r-1", Fen: 1, TotalFen: 1})
	require.ErrorIs(t, err, pay.ErrUnknown)
	require.Len(t, f.requests, 1)

	f = newFake()
	f.answer = always(503, `{"code":"SERVICE_UNAVAILABLE"}`)
	_, err = f.merchant(t).Query(t.Context(), "order-1")
	require.ErrorIs(t, err, pay.ErrBusy)
	f.answer = always(200, transactionJSON("order-2"))
	_, err = f.merchant(t).Query(t.Context(), "order-1")
	require.ErrorIs(t, err, pay.ErrUnknown)
}

func TestAWrongClockIsNamed(t *testing.T) {
	f := newFake()
	f.answer = always(200, "{}")
	synctest.Test(t, func(t *testing.T) {
		c := config()
		c.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			h := http.Header{"Date": {time.Now().Add(7 * time.Minute).UTC().Format(http.TimeFormat)}}
			return &http.Response{StatusCode: 401, Header: h, Body: http.NoBody}, nil
		})}
		err := newMerchant(t, c).Close(t.Context(), "order-1")
		require.ErrorContains(t, err, "our clock is 7m0s slow")
	})
}

func TestOrdersThatCannotBeRightAreNotSent(t *testing.T) {
	f := newFake()
	m := f.merchant(t)
	for field, change := range map[string]func(*pay.Order){
		"Order.OutTradeNo":  func(o *pay.Order) { o.OutTradeNo = "ab#c12" },
		"Order.Fen":         func(o *pay.Order) { o.Fen = 0 },
		"Order.Description": func(o *pay.Order) { o.Description = "socks 🧦" },
		"Order.Attach":      func(o *pay.Order) { o.Attach = "\xff" },
		"Order.OpenID":      func(o *pay.Order) { o.OpenID = "" },
		"Order.AuthCode":    func(o *pay.Order) { o.Trade, o.AuthCode = pay.Code, "" },
		"Order.ClientIP":    func(o *pay.Order) { o.Trade, o.ClientIP = pay.H5, "here" },
		"Order.Trade":       func(o *pay.Order) { o.Trade = "JSAPI" },
		"Order.ExpiresAt":   func(o *pay.Order) { o.ExpiresAt = time.Now().Add(91 * 24 * time.Hour) },
		"Order.NotifyURL":   func(o *pay.Order) { o.NotifyURL = "http://shop.example.com/paid" },
		"Order.AppID":       func(o *pay.Order) { o.AppID = "wx3" },
		"Order.Extra":       func(o *pay.Order) { o.Extra = map[string]any{"mchid": "1"} },
		"Order.Extra.amount": func(o *pay.Order) {
			o.Extra = map[string]any{"amount": map[string]any{"total": 1}}
		},
	} {
		o := order(pay.JSAPI)
		change(&o)
		_, err := m.Prepay(t.Context(), o)
		var wrong *pay.FieldError
		require.ErrorAs(t, err, &wrong, field)
		require.Equal(t, field, wrong.Field)
	}
	for field, change := range map[string]func(*pay.Refund){
		"Refund.OutRefundNo": func(r *pay.Refund) { r.OutRefundNo = "" },
		"Refund.OutTradeNo":  func(r *pay.Refund) { r.OutTradeNo = "" },
		"Refund.Fen":         func(r *pay.Refund) { r.Fen = -1 },
		"Refund.TotalFen":    func(r *pay.Refund) { r.TotalFen = 9 },
		"Refund.Reason":      func(r *pay.Refund) { r.Reason = "🧦" },
	} {
		r := pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r", Fen: 10, TotalFen: 10}
		change(&r)
		_, err := m.Refund(t.Context(), r)
		var wrong *pay.FieldError
		require.ErrorAs(t, err, &wrong, field)
		require.Equal(t, field, wrong.Field)
	}
	for _, path := range []string{"v3/x", "/v3/订单", "/v3/x?a=b c", "/v3/x#y", "@evil.example.com/"} {
		var wrong *pay.FieldError
		require.True(t, errors.As(m.Do(t.Context(), "GET", path, nil, nil), &wrong), path)
	}
	require.Error(t, m.Do(t.Context(), "get\r\n", "/v3/x", nil, nil))
	require.Empty(t, f.requests)
}
