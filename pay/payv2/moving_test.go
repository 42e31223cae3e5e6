package payv2_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/store"
)

// later is the same merchant over APIv3. It knows its own orders only.
type later struct {
	pay.Merchant
	orders  map[string]bool
	refunds []string
	asked   int
}

func (l *later) Name() string { return "v3/" + mchID }

func (l *later) Prepay(_ context.Context, o pay.Order) (pay.Prepaid, error) {
	l.orders[o.OutTradeNo] = true
	return pay.Prepaid{OutTradeNo: o.OutTradeNo, CodeURL: "weixin://v3"}, nil
}

func (l *later) Query(_ context.Context, no string) (pay.Transaction, error) {
	if l.asked++; !l.orders[no] {
		return pay.Transaction{}, &pay.Error{Op: "query", Cause: pay.ErrNotFound}
	}
	return l.transaction(no), nil
}

func (l *later) transaction(no string) pay.Transaction {
	return pay.Transaction{OutTradeNo: no, TransactionID: "tx-" + no, AppID: appID, MchID: mchID, State: pay.Success, Fen: 100}
}

func (l *later) QueryRefund(_ context.Context, no string) (pay.Refund, error) {
	l.refunds = append(l.refunds, no)
	return pay.Refund{OutRefundNo: no, OutTradeNo: "order-v3", Fen: 30, TotalFen: 100, State: pay.Success, MchID: mchID}, nil
}

func (l *later) Parse(_ context.Context, _ http.Header, body []byte) (pay.Notification, error) {
	if bytes.HasPrefix(body, []byte("<")) {
		return pay.Notification{}, &pay.Error{Op: "parse", Cause: pay.ErrOther}
	}
	t := l.transaction(string(body))
	return pay.Notification{Type: "TRANSACTION.SUCCESS", Transaction: &t}, nil
}

func (l *later) Answer(w http.ResponseWriter, err error) {
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func TestAMerchantMovesWhileItsOrdersAreOpen(t *testing.T) {
	state := map[string]fields{} // of each order at WeChat, over APIv2
	f := newFake(nil)
	f.answer = func(path string, in fields) (fields, string) {
		no := in["out_trade_no"]
		switch path {
		case "/pay/unifiedorder":
			if state[no] == nil {
				state[no] = ok("out_trade_no", no, "trade_state", "NOTPAY", "total_fee", in["total_fee"])
			}
			return ok("code_url", "weixin://v2"), ""
		case "/pay/closeorder":
			state[no]["trade_state"] = "CLOSED"
			return ok(), ""
		case "/secapi/pay/refund":
			return ok("out_trade_no", no, "out_refund_no", in["out_refund_no"], "refund_id", "5", "refund_fee", in["refund_fee"], "total_fee", in["total_fee"]), ""
		}
		if state[no] == nil {
			return refused("ORDERNOTEXIST", "none"), ""
		}
		return state[no], ""
	}
	v3 := &later{orders: map[string]bool{}}
	v2 := f.merchant(t, func(c *payv2.Config) { c.QueryRefund = v3.QueryRefund })
	var settled []string
	var refunds []pay.Refund
	memory := new(store.Memory)
	cashier := func(merchants ...pay.Merchant) *pay.Cashier {
		return &pay.Cashier{
			Merchants: merchants, URL: "https://shop.example.com/wx", Store: memory,
			OnPaid:   func(_ context.Context, t pay.Transaction) error { settled = append(settled, t.OutTradeNo); return nil },
			OnRefund: func(_ context.Context, f pay.Refund) error { refunds = append(refunds, f); return nil },
			OnError:  func(context.Context, error) {},
		}
	}
	place := func(c *pay.Cashier, no string) pay.Prepaid {
		p, err := c.Prepay(t.Context(), pay.Order{Trade: pay.Native, OutTradeNo: no, Fen: 100, Description: "socks"})
		require.NoError(t, err)
		return p
	}
	notify := func(c *pay.Cashier, body []byte) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		wetoken.Handler(c).ServeHTTP(w, httptest.NewRequest("POST", "/pay/notify", bytes.NewReader(body)))
		return w
	}
	payOver := func(no, fen string) []byte {
		p := paid(no)
		p["transaction_id"], p["total_fee"], p["time_end"] = "tx-"+no, fen, time.Now().In(time.FixedZone("", 8*3600)).Format("20060102150405")
		return signed(p, payv2.HMACSHA256, apiKey)
	}

	before := cashier(v2)
	for _, no := range []string{"order-unpaid", "order-closed", "order-paid", "order-wrong"} {
		require.Equal(t, "weixin://v2", place(before, no).CodeURL)
	}
	require.Equal(t, http.StatusOK, notify(before, payOver("order-paid", "100")).Code)

	after := cashier(v3, v2)
	require.Equal(t, "weixin://v3", place(after, "order-v3").CodeURL)
	require.Equal(t, "weixin://v2", place(after, "order-unpaid").CodeURL, "an order is prepaid again by the version that made it")
	got, err := after.Query(t.Context(), "order-unpaid")
	require.NoError(t, err)
	require.Equal(t, pay.NotPaid, got.State)
	require.NoError(t, after.Close(t.Context(), "order-closed"))
	require.Equal(t, "CLOSED", state["order-closed"]["trade_state"])
	_, err = after.Refund(t.Context(), pay.Refund{OutTradeNo: "order-paid", OutRefundNo: "refund-2", Fen: 30})
	require.NoError(t, err)
	require.Contains(t, f.paths, "/secapi/pay/refund")
	require.Zero(t, v3.asked)
	require.Equal(t, map[string]bool{"order-v3": true}, v3.orders)

	w := notify(after, payOver("order-unpaid", "100"))
	require.Equal(t, "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>", w.Body.String())
	w = notify(after, []byte("order-v3"))
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Empty(t, w.Body.String())
	for name, c := range map[string]struct {
		body   []byte
		status int
	}{
		"wrong amount": {payOver("order-wrong", "1"), http.StatusForbidden},
		"forged":       {signed(paid("order-wrong"), payv2.HMACSHA256, newKey), http.StatusUnauthorized},
		"duplicated":   {[]byte("<xml><mch_id>1</mch_id><mch_id>2</mch_id></xml>"), http.StatusForbidden},
	} {
		w := notify(after, c.body)
		require.Equal(t, c.status, w.Code, name)
		require.Contains(t, w.Body.String(), "<![CDATA[FAIL]]>", name)
	}
	require.Equal(t, []string{"order-paid", "order-unpaid", "order-v3"}, settled)

	// An order that nobody here remembers is confirmed by the version that notifies it.
	state["order-old"] = ok("out_trade_no", "order-old", "trade_state", "SUCCESS", "total_fee", "100", "transaction_id", "tx-order-old")
	require.Equal(t, http.StatusOK, notify(after, payOver("order-old", "100")).Code)
	require.Contains(t, settled, "order-old")
	require.Zero(t, v3.asked)

	// A refund of an order of APIv3, made in the console, is notified in the form of APIv2 and confirmed by APIv3.
	w = notify(after, refundNotification(apiKey, "out_trade_no", "order-v3", "transaction_id", "tx-order-v3", "success_time", time.Now().Format(time.DateTime)))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Len(t, refunds, 1)
	require.Equal(t, pay.Success, refunds[0].State)
	require.NotContains(t, f.paths, "/pay/refundquery")
	require.Equal(t, []string{"refund-1", "refund-1"}, v3.refunds)
}

func TestARefusalOfAPIv2FreesTheNumber(t *testing.T) {
	refusal := refused("TRADE_ERROR", "no")
	f := newFake(func(string, fields) (fields, string) {
		if refusal != nil {
			return refusal, ""
		}
		return ok("code_url", "weixin://v2"), ""
	})
	c := &pay.Cashier{Merchants: []pay.Merchant{f.merchant(t)}, Store: new(store.Memory)}
	o := pay.Order{Trade: pay.Native, OutTradeNo: "order-1", Fen: 100, Description: "socks"}
	_, err := c.Prepay(t.Context(), o)
	require.Error(t, err)
	require.False(t, errors.Is(err, pay.ErrUnknown))
	w := httptest.NewRecorder()
	pay.AnswerError(w, err)
	require.Equal(t, http.StatusBadGateway, w.Code)
	refusal, o.Fen = nil, 200
	_, err = c.Prepay(t.Context(), o)
	require.NoError(t, err, "a corrected order may use the number")
}
