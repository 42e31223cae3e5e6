package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// The app's own order stays stored, since WeChat's reply to it was lost.
func TestAnAppRefundsNoPaymentOfAnotherByALostOrder(t *testing.T) {
	d := openTill(t, nil)
	placeElsewhere(t, d, "order-9", 100)
	_, err := d.pay.Pay(mchID, "order-9", "o1")
	require.NoError(t, err)
	d.pay.AddFault(paytest.Fault{Path: "/v3/pay/transactions/native", Code: "SYSTEM_ERROR"})
	status, got := d.call(t, otherKey, "POST /app/other/pay/orders", orderOf("order-9"))
	require.Equal(t, http.StatusServiceUnavailable, status, got)
	d.pay.Heal()
	for route, body := range map[string]string{
		"GET /app/other/pay/orders/order-9": "", "POST /app/other/pay/orders/order-9/close": "", "POST /app/other/pay/orders/order-9/reverse": "",
		"POST /app/other/pay/refunds": `{"out_trade_no":"order-9","out_refund_no":"r1","fen":100}`,
	} {
		status, got = d.call(t, otherKey, route, body)
		require.Equal(t, http.StatusConflict, status, "%s: %v", route, got)
		require.Empty(t, got["transaction"])
	}
	_, got = d.call(t, otherKey, "GET /app/other/pay/refused", "")
	require.Empty(t, got["refused"], "with its payer")
	require.Zero(t, d.pay.Calls("/v3/refund/domestic/refunds"))
}
