package pay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// WeChat finds an order by either version, and refunds it by the one that placed it.
func TestAnOrderOfAnotherSystemIsRefundedByTheVersionThatPlacedIt(t *testing.T) {
	for name, f := range map[string]paytest.Fault{
		"no fault": {}, "refused": {Refuse: true}, "reset": {Reset: true}, "SYSTEM_ERROR": {Code: "SYSTEM_ERROR"}, "FREQUENCY_LIMITED": {Code: "FREQUENCY_LIMITED"},
		"502": {Status: 502, Body: "<html>"}, "forged": {Sign: paytest.Forged}, "slow": {Delay: 40 * time.Second},
	} {
		inWorldOfBoth(t, payv2.HMACSHA256, func(b bothVersions) []pay.Merchant { return []pay.Merchant{b.v3, b.v2} }, func(t *testing.T, w *world, both bothVersions) {
			o := order("order-1")
			o.NotifyURL = "https://shop.example.com/pay/notify"
			w.RefundAfter = time.Minute
			_, err := both.v2.Prepay(t.Context(), o)
			require.NoError(t, err)
			w.AddNotificationFault(paytest.NotificationFault{Lost: 99, Times: 9})
			_, err = w.Pay(testMchID, "order-1", "o1")
			require.NoError(t, err)
			synctest.Wait()
			if name != "no fault" {
				f.Path, f.Method, f.Times = "/v3/refund/domestic/refunds", "POST", 2
				w.AddFault(f)
			}
			_, err = w.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r0", Fen: 30})
			if err != nil {
				require.ErrorIs(t, err, pay.ErrUnknown, name)
			}
			<-time.After(3 * time.Hour)
			got, err := w.QueryRefund(t.Context(), "r0")
			require.NoError(t, err, name)
			require.Equal(t, pay.Success, got.State, name)
			require.Equal(t, 1, w.Calls("/secapi/pay/refund"), name)
			_, err = w.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 20})
			require.NoError(t, err, name)
			<-time.After(time.Hour)
			require.Equal(t, map[string]pay.State{"r0": pay.Success, "r1": pay.Success}, w.shop.refunded(), name)
			at, err := w.Server.Order(testMchID, "order-1")
			require.NoError(t, err)
			require.Equal(t, int64(50), at.Refunded, name)
		})
	}
}
