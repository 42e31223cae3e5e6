package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

// As TestAnAppTakesNoPaymentOfAnotherByItsNumber, over APIv2. The record of an order placed elsewhere is removed.
func TestAnAppTakesNoPaymentOfAnotherByItsNumberOverV2(t *testing.T) {
	d := openTillV2With(t, "", func(d *till) {
		set(&d.config, "other", func(a *gateway.App) { a.Pay.NotifyTo = d.backend.URL + "/paid" })
	})
	d.place(t, payKey, "shop", "order-9")
	require.NoError(t, d.records.Delete(t.Context(), "pay/"+mchID+"/order/order-9"))
	paid, err := d.pay.Pay(mchID, "order-9", "o1")
	require.NoError(t, err)
	d.waitReports(t, 1)
	status, got := d.call(t, payKey, "GET /app/shop/pay/orders/order-9", "")
	require.Equal(t, []any{http.StatusOK, paid}, []any{status, got["transaction_id"]}, "its notification has the appid of shop")

	d.place(t, payKey, "shop", "order-8")
	require.NoError(t, d.records.Delete(t.Context(), "pay/"+mchID+"/order/order-8"))
	for _, no := range []string{"order-8", "order-9"} {
		status, got = d.call(t, otherKey, "POST /app/other/pay/orders", orderOf(no))
		require.Equal(t, http.StatusConflict, status, got)
		for route, body := range map[string]string{
			"GET /app/other/pay/orders/" + no: "", "POST /app/other/pay/orders/" + no + "/close": "", "POST /app/other/pay/orders/" + no + "/reverse": "",
			"POST /app/other/pay/refunds": `{"out_trade_no":"` + no + `","out_refund_no":"r1","fen":100}`,
		} {
			status, got = d.call(t, otherKey, route, body)
			require.Equal(t, http.StatusNotFound, status, "%s: %v", route, got)
		}
	}
	require.Len(t, d.backend.got(), 1)
	order, err := d.pay.Order(mchID, "order-8")
	require.NoError(t, err)
	require.Equal(t, "NOTPAY", order.State)
}
