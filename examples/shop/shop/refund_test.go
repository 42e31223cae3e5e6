package shop_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// paid returns an order that was paid on the phone.
func paid(t *testing.T, s *shop.Shop, b *shoptest.Bank, productIDs ...int64) shop.Order {
	t.Helper()
	o := place(t, s, productIDs...)
	require.NoError(t, scanAndPay(b, o.CodeURL))
	return waitFor(t, s, o.OutTradeNo, shop.Paid)
}

func TestAnAdminReturnsTheMoney(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, b := openPaid(t, name, versionFor(name))
		unpaid := place(t, s, 5)
		_, err := s.Refund(t.Context(), unpaid.OutTradeNo, "torn")
		require.ErrorIs(t, err, shop.ErrState)
		_, err = s.Refund(t.Context(), "letao-unknown", "torn")
		require.ErrorIs(t, err, shop.ErrNotFound)

		o := paid(t, s, b, 5)
		for range 2 { // an impatient admin
			o, err = s.Refund(t.Context(), o.OutTradeNo, "torn")
			require.NoError(t, err)
			require.Equal(t, shop.Paid, o.State, "WeChat has accepted it, and not done it")
		}
		_, err = s.Ship(t.Context(), o.OutTradeNo, "", "")
		require.ErrorIs(t, err, shop.ErrState, "the money is on its way back")
		require.NoError(t, b.FinishRefund(shoptest.MchID, o.TransactionID+"-1", "SUCCESS"))
		waitFor(t, s, o.OutTradeNo, shop.Refunded)
		o, err = s.Refund(t.Context(), o.OutTradeNo, "torn")
		require.NoError(t, err)
		require.Equal(t, shop.Refunded, o.State)
		atWeChat, err := b.Order(shoptest.MchID, o.OutTradeNo)
		require.NoError(t, err)
		require.Equal(t, int64(1200), atWeChat.Refunded)
	})
}

func TestARefundThatWeChatDoesNotMakeIsSeenByAPerson(t *testing.T) {
	s, b := openPaid(t, t.TempDir()+"/shop.db", "v3")
	o := paid(t, s, b, 5)
	_, err := s.Refund(t.Context(), o.OutTradeNo, "")
	require.NoError(t, err)
	end := func(number, state string) {
		require.NoError(t, b.FinishRefund(shoptest.MchID, o.TransactionID+number, state))
		require.Eventually(t, func() bool {
			problems, err := s.Problems(t.Context())
			return err == nil && len(problems) == 1 && problems[0].Problem == "its refund "+o.TransactionID+number+" is "+state
		}, waitLong, waitStep)
	}
	end("-1", "CLOSED")
	waitFor(t, s, o.OutTradeNo, shop.Paid)
	require.NoError(t, s.AcceptPayment(t.Context(), o.TransactionID), "the customer keeps the goods")
	problems, err := s.Problems(t.Context())
	require.NoError(t, err)
	require.Empty(t, problems)

	f, err := s.Store.StartRefund(t.Context(), shop.Refund{TransactionID: o.TransactionID, OutTradeNo: o.OutTradeNo, Fen: 1200, State: pay.Processing, CreatedAt: time.Now()})
	require.NoError(t, err)
	require.Equal(t, o.TransactionID+"-2", f.OutRefundNo, "a closed refund is not sent again")
	require.NoError(t, s.EndRefund(t.Context(), pay.Refund{OutRefundNo: f.OutRefundNo, State: pay.Abnormal}))
	_, err = s.Refund(t.Context(), o.OutTradeNo, "")
	require.ErrorIs(t, err, shop.ErrState)
	require.ErrorContains(t, err, "ABNORMAL")
}

func TestARefundInWeChatsConsoleIsStored(t *testing.T) {
	s, b := openPaid(t, t.TempDir()+"/shop.db", "v3")
	o := paid(t, s, b, 5)
	for i, fen := range []int64{500, 700} {
		require.NoError(t, s.EndRefund(t.Context(), pay.Refund{
			OutRefundNo: "console-" + string(rune('1'+i)), OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID, Fen: fen, State: pay.Success,
		}))
		now, err := s.Store.Order(t.Context(), o.OutTradeNo)
		require.NoError(t, err)
		require.Equal(t, []shop.State{shop.Paid, shop.Refunded}[i], now.State)
	}
}

// refundInConsole refunds a part of an order at WeChat, which the shop is notified of.
func refundInConsole(t *testing.T, s *shop.Shop, b *shoptest.Bank, o shop.Order, no string, fen int64) {
	t.Helper()
	_, err := s.Cashier.Merchants[0].Refund(t.Context(), pay.Refund{
		OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID, OutRefundNo: no, Fen: fen, TotalFen: o.TotalFee, NotifyURL: "https://shop.example.com/pay/notify",
	})
	require.NoError(t, err)
	require.NoError(t, b.FinishRefund(shoptest.MchID, no, "SUCCESS"))
	require.Eventually(t, func() bool {
		f, err := s.Store.Refund(t.Context(), no)
		return err == nil && f.State == pay.Success
	}, waitLong, waitStep)
}

func TestTheRestOfAPaymentIsRefundedAfterAPart(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		o := paid(t, s, b, 5)
		refundInConsole(t, s, b, o, "console1", 500)
		time.Sleep(2 * time.Minute) // WeChat wants a minute between parts
		for range 2 {
			_, err := s.Refund(t.Context(), o.OutTradeNo, "torn")
			require.NoError(t, err)
		}
		_, err := s.Ship(t.Context(), o.OutTradeNo, "", "")
		require.ErrorIs(t, err, shop.ErrState, "the rest is on its way back")
		require.NoError(t, b.FinishRefund(shoptest.MchID, o.TransactionID+"-2", "SUCCESS"))
		waitFor(t, s, o.OutTradeNo, shop.Refunded)
		atWeChat, err := b.Order(shoptest.MchID, o.OutTradeNo)
		require.NoError(t, err)
		require.Equal(t, int64(1200), atWeChat.Refunded)
	}, "v3")
}

func TestAnOrderIsShippedAfterAPartWasRefunded(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, b := openPaid(t, name, versionFor(name))
		o := paid(t, s, b, 5)
		refundInConsole(t, s, b, o, "console1", 500)
		o, err := s.Ship(t.Context(), o.OutTradeNo, "", "")
		require.NoError(t, err)
		require.Equal(t, shop.Shipped, o.State)
	})
}

func TestPartsRefundedAtTheSameTimeRefundTheOrder(t *testing.T) {
	s, db := shoptest.Open(t, shoptest.NewMariaDB(t))
	require.NoError(t, s.Store.AddOrder(t.Context(), shop.Order{OutTradeNo: "letao1", UserID: 7, TotalFee: 1200, State: shop.NotPaid}))
	require.NoError(t, s.Store.Settle(t.Context(), shop.Payment{OutTradeNo: "letao1", TransactionID: "42", Fen: 1200, PaidAt: time.Now()}))
	_, err := s.Store.StartRefund(t.Context(), shop.Refund{OutTradeNo: "letao2", TransactionID: "43", Fen: 1, State: pay.Processing})
	require.NoError(t, err) // MariaDB locks the numbers between two rows
	tx, err := db.DB.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.ExecContext(t.Context(), "SELECT fen FROM payment FOR UPDATE") // stops both where they change the payment
	require.NoError(t, err)
	var both sync.WaitGroup
	for _, no := range []string{"42console", "44console"} {
		both.Go(func() {
			err := s.EndRefund(t.Context(), pay.Refund{OutRefundNo: no, OutTradeNo: "letao1", TransactionID: "42", Fen: 600, State: pay.Success})
			if err != nil {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool {
		var waiting int
		err := db.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'UPDATE payment %'").Scan(&waiting)
		return err == nil && waiting == 2
	}, waitLong, waitStep)
	require.NoError(t, tx.Rollback())
	both.Wait()
	o, err := s.Store.Order(t.Context(), "letao1")
	require.NoError(t, err)
	require.Equal(t, shop.Refunded, o.State)
}

func TestARefundWithoutBalanceIsSentAgainUnderTheSameNumber(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		go func() { _ = s.Run(t.Context()) }()
		o := paid(t, s, b, 5)
		b.AddFault(paytest.Fault{Path: "/v3/refund/domestic/refunds", Code: "NOT_ENOUGH"})
		_, err := s.Refund(t.Context(), o.OutTradeNo, "")
		require.ErrorIs(t, err, pay.ErrNotEnough)
		started, err := s.Store.Refunds(t.Context(), time.Time{}, time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.Empty(t, started, "the goods may be shipped instead")
		b.Heal()
		_, err = s.Refund(t.Context(), o.OutTradeNo, strings.Repeat("旧", 81))
		require.ErrorIs(t, err, shop.ErrInvalid)
		_, err = s.Refund(t.Context(), o.OutTradeNo, "")
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		require.NoError(t, b.FinishRefund(shoptest.MchID, o.TransactionID+"-1", "SUCCESS"))
		waitFor(t, s, o.OutTradeNo, shop.Refunded)
	}, "v3")
}
