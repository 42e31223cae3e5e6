package pay_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

// placePaidTwice places order-1, which is paid by tx-order-1 and by tx-second, and returns the second payment.
func (d *desk) placePaidTwice(t *testing.T) pay.Transaction {
	d.placePaid(t, "order-1")
	second := d.bank.payOrder("order-1")
	second.TransactionID, second.Fen = "tx-second", 70
	require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, second))
	return second
}

func (d *desk) refused(t *testing.T) []pay.Refused {
	t.Helper()
	list, err := d.Refused(t.Context())
	require.NoError(t, err)
	return list
}

func refundOf(transactionID, no string, fen int64) pay.Refund {
	return pay.Refund{OutTradeNo: "order-1", TransactionID: transactionID, OutRefundNo: no, Fen: fen}
}

func TestASecondPaymentIsRefundedByItsTransactionID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		second := d.placePaidTwice(t)
		stop := d.run()
		defer stop()

		f, err := d.Refund(t.Context(), refundOf("tx-second", "r1", 30))
		require.NoError(t, err)
		require.Equal(t, int64(70), f.TotalFen)
		require.Equal(t, "tx-second", d.bank.allRefunds()["r1"].TransactionID)
		list := d.refused(t)
		require.Len(t, list, 1, "40 fen of it are left")
		require.Equal(t, int64(30), list[0].RefundedFen)
		calls := d.shop.calls()
		require.ErrorIs(t, d.Accept(t.Context(), "tx-second"), pay.ErrChanged, "a part of its money is back")
		require.Equal(t, calls, d.shop.calls())

		field := (*pay.FieldError)(nil)
		_, err = d.Refund(t.Context(), refundOf("tx-second", "r2", 41))
		require.ErrorAs(t, err, &field)
		require.Equal(t, "Refund.Fen", field.Field)
		_, err = d.Refund(t.Context(), refundOf("tx-second", "r2", 40))
		require.NoError(t, err)
		_, err = d.Refund(t.Context(), refund("r3", 100))
		require.NoError(t, err, "the first payment has its own rest")
		<-time.After(10 * time.Minute)
		require.Equal(t, map[string]pay.State{"r1": pay.Success, "r2": pay.Success, "r3": pay.Success}, d.shop.refunded())
		require.Equal(t, "tx-order-1", d.bank.allRefunds()["r3"].TransactionID)

		require.Empty(t, d.refused(t))
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, second), "WeChat repeats it, since it was answered 403")
		require.Empty(t, d.refused(t))
		require.Error(t, d.Accept(t.Context(), "tx-second"))
		require.Equal(t, calls, d.shop.calls())
	})
}

func TestARefundOfASecondPaymentThatFailsListsItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		second := d.placePaidTwice(t)
		stop := d.run()
		defer stop()
		_, err := d.Refund(t.Context(), refund("r1", 10))
		require.NoError(t, err)
		_, err = d.Refund(t.Context(), refundOf("tx-second", "r2", 70)) // waits for its minute
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, second))
		require.Empty(t, d.refused(t))
		d.bank.set(func(b *bank) { b.fail["refund"] = refuse("refund", pay.ErrClosed) })
		<-time.After(time.Hour)
		require.Equal(t, pay.Closed, d.shop.refunded()["r2"])
		list := d.refused(t)
		require.Len(t, list, 1)
		require.Zero(t, list[0].RefundedFen)
		require.NoError(t, d.Accept(t.Context(), "tx-second"))
		require.Empty(t, d.refused(t))
	})
}

func TestAPaymentOfAWrongAmountLeavesTheListWhenRefunded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		wrong := d.bank.payOrder("order-1")
		wrong.Fen = 1
		require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, wrong))
		right := wrong
		right.TransactionID, right.Fen = "tx-right", 100
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, right))
		require.Equal(t, 1, d.shop.count())
		require.Len(t, d.refused(t), 1)

		_, err := d.Refund(t.Context(), refundOf("tx-right", "r1", 100))
		require.NoError(t, err)
		require.Len(t, d.refused(t), 1, "that was the other one")
		<-time.After(61 * time.Second)
		_, err = d.Refund(t.Context(), refundOf(wrong.TransactionID, "r2", 1))
		require.NoError(t, err)
		require.Empty(t, d.refused(t))
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, wrong))
		require.Empty(t, d.refused(t))
	})
}

func TestAPaymentOfAnotherOrderOrAppIsNotRefundedByItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := new(store.Memory)
		b := newBank("v3/1900000001")
		shop, thief := deskOn(b, newShop(), records, records), deskOn(b, newShop(), records, records)
		shop.App, thief.App = "shop", "thief"
		shop.placePaidTwice(t)
		thief.placePaid(t, "order-2")
		for _, d := range []*desk{shop, thief} {
			if d == shop {
				d.placePaid(t, "order-3")
			}
			f := refundOf("tx-second", "r1", 70)
			f.OutTradeNo = map[*desk]string{shop: "order-3", thief: "order-2"}[d]
			_, err := d.Refund(t.Context(), f)
			field := (*pay.FieldError)(nil)
			require.ErrorAs(t, err, &field)
			require.Equal(t, "Refund.TransactionID", field.Field)
		}
		_, err := thief.Refund(t.Context(), refundOf("tx-second", "r1", 70))
		require.Error(t, err, "order-1 is the shop's")
		require.Zero(t, b.count("refund"))
		require.Len(t, shop.refused(t), 1)
	})
}

func TestASecondPaymentIsRefundedOverHTTP(t *testing.T) {
	c := newCounter(t)
	c.placePaidTwice(t)
	_, got := ask(t, "GET", c.private+"/pay/refused", "pay", "")
	listed := got["refused"].([]any)[0].(map[string]any)
	require.Equal(t, "tx-second", listed["transaction_id"])
	require.Equal(t, float64(70), listed["fen"])
	require.NotContains(t, listed, "refunded_fen")
	status, got := ask(t, "POST", c.private+"/pay/refunds", "refund", `{"out_trade_no":"order-1","transaction_id":"tx-second","out_refund_no":"r1","fen":30}`)
	require.Equal(t, http.StatusOK, status, got)
	_, got = ask(t, "GET", c.private+"/pay/refused", "pay", "")
	require.Equal(t, float64(30), got["refused"].([]any)[0].(map[string]any)["refunded_fen"])
	status, got = ask(t, "POST", c.private+"/pay/refused/tx-second/accept", "refund", "")
	require.Equal(t, http.StatusConflict, status)
	require.Contains(t, got["errmsg"], "30 fen of it are refunded")
}
