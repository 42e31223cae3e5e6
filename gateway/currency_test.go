package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// The order is of 100 fen, the notification of 100 dong.
func TestAPaymentInAnotherCurrencyIsNotReported(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		require.Equal(t, http.StatusOK, b.call("POST", "/app/shop/pay/orders", orderOf("order-1")).Code)
		require.NoError(t, b.pay.Notify(paytest.Notification{
			MchID: mchID, URL: "https://wx.example.com/app/shop/pay/notify", Event: "TRANSACTION.SUCCESS", OriginalType: "transaction",
			Plain: []byte(`{"appid":"` + shopID + `","mchid":"` + mchID + `","out_trade_no":"order-1","transaction_id":"4200000001","trade_type":"NATIVE","trade_state":"SUCCESS","success_time":"2000-01-01T08:00:00+08:00","payer":{"openid":"o1"},"amount":{"total":100,"payer_total":100,"currency":"VND","payer_currency":"VND"}}`),
		}))
		<-time.After(time.Minute)
		_, booked := b.service.count()
		require.Zero(t, booked, "100 VND are reported as TRANSACTION.SUCCESS of an order of 100 fen")
	})
}
