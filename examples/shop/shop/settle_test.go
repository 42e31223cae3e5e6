package shop_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestAPaymentSettlesOnceHoweverOftenItIsNotified(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		version := versionFor(name)
		s, b := openPaid(t, name, version)
		b.AddNotificationFault(paytest.NotificationFault{Copies: 4})
		o := place(t, s, 5)
		require.NoError(t, scanAndPay(b, o.CodeURL))
		paid := waitFor(t, s, o.OutTradeNo, shop.Paid)
		atWeChat, err := b.Order(shoptest.MchID, o.OutTradeNo)
		require.NoError(t, err)
		require.Equal(t, atWeChat.TransactionID, paid.TransactionID)
		require.Equal(t, atWeChat.OpenID, paid.OpenID)
		require.Equal(t, []string{"OTHERS", "CNY"}, []string{paid.BankType, paid.FeeType})
		require.Equal(t, int64(1200), paid.CashFee)
		require.WithinDuration(t, atWeChat.PaidAt, paid.PaidAt, time.Second)
		require.Equal(t, map[string]string{"v3": "", "v2": "N"}[version], paid.IsSubscribe)

		_, err = s.Ship(t.Context(), o.OutTradeNo, "", "")
		require.NoError(t, err)
		again := pay.Transaction{
			OutTradeNo: o.OutTradeNo, TransactionID: paid.TransactionID, State: pay.Success, Fen: 1200, Known: true, PaidAt: paid.PaidAt,
		}
		var wg sync.WaitGroup
		for range 20 { // as when records of the Cashier are lost
			wg.Go(func() {
				if err := s.Settle(t.Context(), again); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		shipped := waitFor(t, s, o.OutTradeNo, shop.Shipped)
		require.Equal(t, paid.CashFee, shipped.CashFee)
		payments, err := s.Store.Payments(t.Context(), paid.PaidAt, paid.PaidAt.Add(time.Second))
		require.NoError(t, err)
		require.Len(t, payments, 1)
		problems, err := s.Problems(t.Context())
		require.NoError(t, err)
		require.Empty(t, problems)

		again.OutTradeNo = place(t, s, 5).OutTradeNo
		require.Error(t, s.Settle(t.Context(), again), "the payment of another order")
		waitFor(t, s, again.OutTradeNo, shop.NotPaid)
	})
}

func TestPaymentsAtTheSameTimeSettleAnOrderOnce(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, _ := openPaid(t, name, "v3")
		o, err := s.PlaceOrder(t.Context(), 7, "", 5)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				id := "420000000" + string(rune('0'+i%5)) // each twice
				err := s.Settle(t.Context(), pay.Transaction{OutTradeNo: o.OutTradeNo, TransactionID: id, State: pay.Success, Fen: 1200, Known: true, PaidAt: time.Now()})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		problems, err := s.Store.Problems(t.Context())
		require.NoError(t, err)
		require.Len(t, problems, 4, "one settled the order, a person sees the others")
		paid, err := s.Store.Order(t.Context(), o.OutTradeNo)
		require.NoError(t, err)
		require.Equal(t, shop.Paid, paid.State)
		for _, p := range problems {
			require.NotEqual(t, paid.TransactionID, p.TransactionID)
			require.Equal(t, "the order was SUCCESS before this payment", p.Problem)
		}
	})
}

func TestAPersonSeesPaymentsThatDoNotFit(t *testing.T) {
	s, _ := openPaid(t, t.TempDir()+"/shop.db", "v3")
	o, err := s.PlaceOrder(t.Context(), 7, "", 5)
	require.NoError(t, err)
	for id, c := range map[string]struct {
		problem string
		t       pay.Transaction
	}{
		"4201": {"this shop did not place the order", pay.Transaction{OutTradeNo: "other-1", Fen: 1}},
		"4202": {"this shop has no such order", pay.Transaction{OutTradeNo: "other-2", Fen: 1, Known: true}},
		"4203": {"the order costs 1200 fen", pay.Transaction{OutTradeNo: o.OutTradeNo, Fen: 1, Known: true}},
	} {
		c.t.TransactionID, c.t.State, c.t.PaidAt = id, pay.Success, time.Now()
		require.NoError(t, s.Settle(t.Context(), c.t))
		p, err := s.Store.Payment(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, c.problem, p.Problem)
		require.ErrorIs(t, s.AcceptPayment(t.Context(), id), shop.ErrState, "it does not fit an order")
	}
	waitFor(t, s, o.OutTradeNo, shop.NotPaid)
	require.ErrorIs(t, s.AcceptPayment(t.Context(), "4204"), shop.ErrNotFound)
	require.ErrorIs(t, s.RefundPayment(t.Context(), "4204", ""), shop.ErrNotFound)
}

// payLate makes a payment of an order that is closed at WeChat and in the shop.
func payLate(t *testing.T, s *shop.Shop, b *shoptest.Bank) (shop.Order, string) {
	t.Helper()
	o := place(t, s, 5)
	require.NoError(t, s.Cashier.Close(t.Context(), o.OutTradeNo))
	o, err := s.Pay(t.Context(), o.OutTradeNo)
	require.NoError(t, err)
	require.NoError(t, s.Store.CloseOrder(t.Context(), o.OutTradeNo))
	id, err := b.PayLate(shoptest.MchID, o.OutTradeNo, "o-payer")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		p, err := s.Store.Payment(t.Context(), id)
		return err == nil && p.Problem == "paid after the order was closed"
	}, waitLong, waitStep)
	waitFor(t, s, o.OutTradeNo, shop.Closed)
	return o, id
}

func TestALatePaymentIsAcceptedOrRefundedByAPerson(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, b := openPaid(t, name, "v3")
		wanted, id := payLate(t, s, b)
		_, err := s.Refund(t.Context(), wanted.OutTradeNo, "")
		require.ErrorIs(t, err, shop.ErrState, "the order is not paid")
		require.NoError(t, s.AcceptPayment(t.Context(), id))
		require.Equal(t, id, waitFor(t, s, wanted.OutTradeNo, shop.Paid).TransactionID)
		require.ErrorIs(t, s.AcceptPayment(t.Context(), id), shop.ErrState, "a second time")

		unwanted, id := payLate(t, s, b)
		require.NoError(t, s.RefundPayment(t.Context(), id, "sold out"))
		require.ErrorIs(t, s.AcceptPayment(t.Context(), id), shop.ErrState, "it is being refunded")
		require.NoError(t, b.FinishRefund(shoptest.MchID, id+"-1", "SUCCESS"))
		require.Eventually(t, func() bool {
			problems, err := s.Problems(t.Context())
			return err == nil && len(problems) == 0
		}, waitLong, waitStep)
		waitFor(t, s, unwanted.OutTradeNo, shop.Closed)
	})
}
