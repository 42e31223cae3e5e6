package gateway_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/gateway"
)

// placeElsewhere places an order of the shop's appid without a record, as another system of the merchant does.
func placeElsewhere(t *testing.T, d *till, no string, fen int) {
	status, got := d.call(t, apiKey, "POST /app/shop/pay/api/v3/pay/transactions/native", fmt.Sprintf(
		`{"appid":%q,"mchid":%q,"description":"socks","out_trade_no":%q,"notify_url":"https://elsewhere.example.com/paid","amount":{"total":%d}}`, shopID, mchID, no, fen))
	require.Equal(t, http.StatusOK, status, got)
}

// The key of the other app places an order with the number and amount of a paid order of shop, which was placed elsewhere.
func TestAnAppCannotTakeThePaymentOfAnotherByItsNumber(t *testing.T) {
	d := openTill(t, func(d *till) {
		set(&d.config, "other", func(a *gateway.App) { a.Pay.NotifyTo = d.backend.URL + "/paid" })
	})
	placeElsewhere(t, d, "order-9", 100)
	_, err := d.pay.Pay(mchID, "order-9", "o1")
	require.NoError(t, err)
	status, got := d.call(t, otherKey, "GET /app/other/pay/orders/order-9", "")
	require.Equal(t, http.StatusNotFound, status, got)
	status, got = d.call(t, otherKey, "POST /app/other/pay/orders", orderOf("order-9"))
	require.Equal(t, http.StatusConflict, status, got)
	require.Equal(t, "changed", got["cause"])
	require.NotContains(t, got, "transaction")
	status, got = d.call(t, otherKey, "GET /app/other/pay/orders/order-9", "")
	require.Equal(t, http.StatusNotFound, status, got)
	status, got = d.call(t, otherKey, "POST /app/other/pay/refunds", `{"out_trade_no":"order-9","out_refund_no":"r1","fen":100}`)
	require.Equal(t, http.StatusNotFound, status, got)
	require.Zero(t, d.pay.Calls("/v3/refund/domestic/refunds"))
	waiting, err := d.gateway.Relays(t.Context())
	require.NoError(t, err)
	require.Empty(t, waiting)
	require.Empty(t, d.backend.got())
}

// The order of 10 000 fen was placed elsewhere. The key has max_fen 80.
func TestAReversalOfAUsedNumberIsWithinTheLimits(t *testing.T) {
	d := openTill(t, nil)
	status, got := d.call(t, apiKey, "POST /app/shop/pay/api/v3/pay/transactions/codepay", fmt.Sprintf(
		`{"appid":%q,"mchid":%q,"description":"socks","out_trade_no":"order-9","payer":{"auth_code":%q},"amount":{"total":10000},"scene_info":{"store_info":{"id":"1"}}}`, shopID, mchID, d.pay.PayCode("o1", false)))
	require.Equal(t, http.StatusOK, status, got)
	status, got = d.call(t, refundKey, "POST /app/shop/pay/orders/order-9/reverse", "")
	require.Equal(t, http.StatusForbidden, status, got)
	status, got = d.call(t, payKey, "POST /app/shop/pay/orders", fmt.Sprintf(
		`{"trade":"code","out_trade_no":"order-9","fen":1,"description":"socks","auth_code":%q,"extra":{"scene_info":{"store_info":{"id":"1"}}}}`, d.pay.PayCode("o1", false)))
	require.Equal(t, http.StatusConflict, status, got)
	status, got = d.call(t, refundKey, "POST /app/shop/pay/orders/order-9/reverse", "")
	require.Equal(t, http.StatusForbidden, status, got)
	order, err := d.pay.Order(mchID, "order-9")
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", order.State)
}

func TestAnAppCannotCloseAnOrderOfAnotherByItsNumber(t *testing.T) {
	d := openTill(t, nil)
	placeElsewhere(t, d, "order-9", 70)
	status, got := d.call(t, otherKey, "POST /app/other/pay/orders/order-9/close", "")
	require.Equal(t, http.StatusNotFound, status, got)
	status, got = d.call(t, otherKey, "POST /app/other/pay/orders", orderOf("order-9"))
	require.Equal(t, http.StatusConflict, status, got)
	status, got = d.call(t, otherKey, "POST /app/other/pay/orders/order-9/close", "")
	require.Equal(t, http.StatusNotFound, status, got)
	order, err := d.pay.Order(mchID, "order-9")
	require.NoError(t, err)
	require.Equal(t, "NOTPAY", order.State, "another app's order was closed")
}
