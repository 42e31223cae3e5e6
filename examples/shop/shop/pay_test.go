package shop_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// inBubble opens a shop in a bubble of synctest.
func inBubble(t *testing.T, test func(t *testing.T, s *shop.Shop, b *shoptest.Bank), versions ...string) {
	synctest.Test(t, func(t *testing.T) {
		s := shoptest.OpenInBubble(t)
		b := shoptest.NewBank(t)
		b.Connect(t, s, versions...)
		test(t, s, b)
	})
}

// place places an order, with a QR code.
func place(t *testing.T, s *shop.Shop, productIDs ...int64) shop.Order {
	t.Helper()
	o, err := s.PlaceOrder(t.Context(), 7, "", productIDs...)
	require.NoError(t, err)
	o, err = s.Pay(t.Context(), o.OutTradeNo)
	require.NoError(t, err)
	require.Contains(t, o.CodeURL, "weixin://")
	return o
}

// scanAndPay pays a QR code with the phone.
func scanAndPay(b *shoptest.Bank, codeURL string) error {
	sheet, err := b.OpenSheet(paytest.Entry{CodeURL: codeURL})
	if err != nil {
		return err
	}
	_, err = b.AnswerSheet(sheet.ID, "pay", "")
	return err
}

const waitLong, waitStep = 30 * time.Second, 10 * time.Millisecond

// waitFor waits until an order has a state.
func waitFor(t *testing.T, s *shop.Shop, outTradeNo string, state shop.State) (o shop.Order) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		o, err = s.Store.Order(t.Context(), outTradeNo)
		return err == nil && o.State == state
	}, waitLong, waitStep, "%s", state)
	return o
}

func TestAQRCodeIsRenewedUnderTheSameNumber(t *testing.T) {
	for _, version := range []string{"v3", "v2"} {
		t.Run(version, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
				o := place(t, s, 5)
				require.Equal(t, time.Now().Add(2*time.Hour), o.CodeExpires)
				time.Sleep(110 * time.Minute)
				again, err := s.Pay(t.Context(), o.OutTradeNo)
				require.NoError(t, err)
				require.Equal(t, o.CodeURL, again.CodeURL)

				time.Sleep(9 * time.Minute)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				seen := make(chan shop.Order, 10)
				go func() {
					defer close(seen)
					for o, err := range s.Changes(ctx, o.OutTradeNo) {
						if err == nil {
							seen <- o
						}
					}
				}()
				require.Equal(t, o.CodeURL, (<-seen).CodeURL)
				renewed := <-seen // the open page needs no call
				require.NotEqual(t, o.CodeURL, renewed.CodeURL)
				require.Equal(t, o.OutTradeNo, renewed.OutTradeNo)
				require.WithinDuration(t, o.CodeExpires, time.Now(), 20*time.Second)
				require.Error(t, scanAndPay(b, o.CodeURL), "the old one has expired")

				require.NoError(t, scanAndPay(b, renewed.CodeURL))
				require.Equal(t, shop.Paid, (<-seen).State)
				_, open := <-seen
				require.False(t, open, "nothing changes after the payment")
				require.Len(t, b.Orders(shoptest.MchID), 1)
			}, version)
		})
	}
}

func TestAnUnpaidOrderIsClosedAfterADay(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		go func() { _ = s.Run(t.Context()) }()
		o := place(t, s, 5)
		unsent, err := s.PlaceOrder(t.Context(), 7, "", 5) // WeChat never gets it
		require.NoError(t, err)
		time.Sleep(23 * time.Hour)
		require.Equal(t, shop.NotPaid, waitFor(t, s, o.OutTradeNo, shop.NotPaid).State)
		time.Sleep(time.Hour + time.Second) // the Cashier closes it later
		_, err = s.Pay(t.Context(), o.OutTradeNo)
		require.ErrorIs(t, err, shop.ErrState)
		time.Sleep(time.Hour)
		for _, no := range []string{o.OutTradeNo, unsent.OutTradeNo} {
			closed, err := s.Pay(t.Context(), no)
			require.NoError(t, err)
			require.Equal(t, shop.Closed, closed.State)
		}
		atWeChat, err := b.Order(shoptest.MchID, o.OutTradeNo)
		require.NoError(t, err)
		require.Equal(t, "CLOSED", atWeChat.State)
	}, "v3")
}

func TestAQueryFindsAPaymentWhoseNotificationIsLost(t *testing.T) {
	for _, version := range []string{"v3", "v2"} {
		t.Run(version, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
				b.AddNotificationFault(paytest.NotificationFault{Lost: 1000})
				o := place(t, s, 5)
				path := map[string]string{"v3": "/v3/pay/transactions/out-trade-no/" + o.OutTradeNo, "v2": "/pay/orderquery"}[version]
				for range 10 { // a page that polls
					o, err := s.Query(t.Context(), o.OutTradeNo)
					require.NoError(t, err)
					require.Equal(t, shop.NotPaid, o.State)
				}
				require.Equal(t, 1, b.Calls(path))
				require.NoError(t, scanAndPay(b, o.CodeURL))
				time.Sleep(4 * time.Second)
				o, err := s.Query(t.Context(), o.OutTradeNo)
				require.NoError(t, err)
				require.Equal(t, shop.Paid, o.State)
				require.Equal(t, 2, b.Calls(path))
			}, version)
		})
	}
}

func TestAnOrderThatWeChatHasOpenStaysOpenInAnySpelling(t *testing.T) {
	name := shoptest.NewMariaDB(t) // which takes numbers in another case for the same
	s, db := shoptest.Open(t, name)
	shoptest.NewBank(t).Connect(t, s, "v3")
	o := place(t, s, 5)
	_, err := db.DB.ExecContext(t.Context(), "UPDATE payorder SET expires_at = 1, code_expires = 1")
	require.NoError(t, err)
	spelled := strings.ToUpper(o.OutTradeNo)
	_, err = s.Pay(t.Context(), spelled)
	require.ErrorIs(t, err, shop.ErrState)
	o, err = s.Query(t.Context(), spelled)
	require.NoError(t, err)
	require.Equal(t, shop.NotPaid, o.State)
}

func TestAnOrderOfUnknownOutcomeIsPlacedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		o, err := s.PlaceOrder(t.Context(), 7, "", 5)
		require.NoError(t, err)
		b.AddFault(paytest.Fault{Path: "/v3/pay/transactions/native", Reset: true, AfterWork: true})
		_, err = s.Pay(t.Context(), o.OutTradeNo)
		require.Error(t, err)
		b.Heal()
		o, err = s.Pay(t.Context(), o.OutTradeNo)
		require.NoError(t, err)
		require.NoError(t, scanAndPay(b, o.CodeURL))
		synctest.Wait()
		waitFor(t, s, o.OutTradeNo, shop.Paid)
		require.Len(t, b.Orders(shoptest.MchID), 1)
	}, "v3")
}
