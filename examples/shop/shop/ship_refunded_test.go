package shop_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
)

// WeChat takes no shipping information for a payment that was returned.
func TestTheShippingOfARefundedOrderIsNotUploaded(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		wx := connectWeChat(s, new(sync.Map)) // it does not know the payment yet
		o := paid(t, s, b, 5)
		go func() { _ = s.Run(t.Context()) }()
		_, err := s.Ship(t.Context(), o.OutTradeNo, "", "")
		require.NoError(t, err)
		time.Sleep(6 * time.Minute)
		require.Greater(t, wx.Calls(uploadPath), 1)

		_, err = s.Refund(t.Context(), o.OutTradeNo, "torn")
		require.NoError(t, err)
		require.NoError(t, b.FinishRefund(shoptest.MchID, o.TransactionID+"-1", "SUCCESS"))
		waitFor(t, s, o.OutTradeNo, shop.Refunded)
		calls := wx.Calls(uploadPath)
		time.Sleep(30 * time.Minute)
		require.Equal(t, calls, wx.Calls(uploadPath))
	}, "v3")
}
