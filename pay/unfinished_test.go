package pay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
)

func TestUnfinishedNamesWhatIsLeftToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		unfinished := func() pay.Unfinished {
			u, err := d.Unfinished(t.Context())
			require.NoError(t, err)
			return u
		}
		before := d.records.ops
		require.False(t, unfinished().Any())
		require.Equal(t, 64+1, d.records.ops-before, "the lists, however many apps there are, and the refused payments")
		d.place(t, "order-1")
		_, err := d.Transfer(t.Context(), transfer("t1"))
		require.NoError(t, err)
		require.Equal(t, pay.Unfinished{Orders: 1, Transfers: 1, Numbers: []string{"out_trade_no order-1", "out_bill_no t1"}}, unfinished())
		other := *d.Cashier
		other.App = "other"
		u, err := other.Unfinished(t.Context())
		require.NoError(t, err)
		require.False(t, u.Any())

		d.placePaid(t, "order-2")
		_, err = d.Refund(t.Context(), pay.Refund{OutTradeNo: "order-2", OutRefundNo: "r1", Fen: 30, TotalFen: 100})
		require.NoError(t, err)
		require.Equal(t, 1, unfinished().Refunds)
		require.Equal(t, 1, unfinished().Orders, "order-2 was handed over")
		require.NoError(t, d.Close(t.Context(), "order-1"))
		d.bank.set(func(b *bank) { b.transfers["t1"].State = pay.Success })
		_, err = d.QueryTransfer(t.Context(), "t1")
		require.NoError(t, err)
		require.Equal(t, pay.Unfinished{Refunds: 1, Numbers: []string{"out_refund_no r1"}}, unfinished())

		// A payment that OnPaid has not accepted.
		d.shop.takes = func(context.Context, int) error { return errors.New("not now") }
		d.place(t, "order-3")
		d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-3"))
		require.Equal(t, 1, unfinished().Orders)

		// Of very many, some are counted without being read.
		for i := range 600 {
			d.place(t, fmt.Sprint("many-", i))
		}
		u = unfinished()
		require.Equal(t, 603, u.Orders, "with two that are finished, which Run drops")
		require.Len(t, u.Numbers, 10)

		d.records.set(func(f *flaky) { f.away = true })
		_, err = d.Unfinished(t.Context())
		require.ErrorIs(t, err, errStore)
	})
}

// An order that was refused leaves an entry in the list of what Run checks, and no record.
func TestARefusedOrderIsNotUnfinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.bank.set(func(b *bank) { b.fail["prepay"] = &pay.FieldError{Field: "Order.Extra", Reason: "is wrong"} })
		_, err := d.Prepay(t.Context(), order("order-1"))
		require.Error(t, err)
		u, err := d.Unfinished(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, u.Orders, "another process may be about to write the record")
		<-time.After(31 * time.Second)
		u, err = d.Unfinished(t.Context())
		require.NoError(t, err)
		require.False(t, u.Any())
	})
}
