package pay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

func TestARefundOfAnotherSystemWithTheSameNumberIsNotOurs(t *testing.T) {
	for _, queued := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.placePaid(t, "order-9")
			d.placePaid(t, "order-1")
			_, err := d.bank.Refund(t.Context(), pay.Refund{OutTradeNo: "order-9", OutRefundNo: "r2", Fen: 5, TotalFen: 100}) // not by this Cashier
			require.NoError(t, err)
			<-time.After(2 * time.Minute)
			if queued {
				_, err = d.Refund(t.Context(), refund("r1", 10))
				require.NoError(t, err)
			} else {
				d.bank.set(func(b *bank) { b.fail["refund"] = refuse("refund", pay.ErrUnknown) }) // did not arrive
			}
			_, err = d.Refund(t.Context(), refund("r2", 60))
			require.Equal(t, queued, err == nil, err)
			d.bank.set(func(b *bank) { b.fail["refund"] = refuse("refund", pay.ErrChanged) })
			stop := d.run()
			<-time.After(2 * time.Hour)
			stop()
			f, err := d.QueryRefund(t.Context(), "r2")
			require.NoError(t, err)
			require.Equal(t, pay.Closed, f.State)
			require.Equal(t, pay.Closed, d.shop.refunded()["r2"])
			d.bank.set(func(b *bank) { delete(b.fail, "refund") })
			_, err = d.Refund(t.Context(), refund("r3", 60))
			require.NoError(t, err, "its amount is free again")
		})
	}
}

func TestATransferOfAnotherSystemWithTheSameNumberIsNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		foreign := transfer("t1")
		foreign.OpenID, foreign.Fen = "somebody-else", 10
		_, err := d.bank.Transfer(t.Context(), foreign)
		require.NoError(t, err)
		d.bank.set(func(b *bank) {
			b.transfers["t1"].State = pay.Success
			b.fail["transfer"] = refuse("transfer", pay.ErrUnknown)
		})
		_, err = d.Transfer(t.Context(), transfer("t1"))
		require.ErrorIs(t, err, pay.ErrUnknown)
		stop := d.run()
		<-time.After(2 * time.Hour)
		stop()
		f, err := d.QueryTransfer(t.Context(), "t1")
		require.NoError(t, err)
		require.Equal(t, pay.Failed, f.State)
		require.Len(t, d.shop.toldTransfers(), 1)
		require.Equal(t, pay.Failed, d.shop.toldTransfers()[0].State)
		require.Contains(t, d.shop.errors(), "Transfer.OpenID")
	})
}

// keeping is a store that removes no record with text in its key.
type keeping struct {
	store.Store
	text         string
	refuseLedger string // writes no order with this text
}

func (k *keeping) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if new == nil && k.text != "" && strings.Contains(key, k.text) {
		return false, errors.New("the store is away")
	}
	if k.refuseLedger != "" && strings.Contains(key, "/order/") && strings.Contains(string(new), k.refuseLedger) {
		return false, errors.New("the store is away")
	}
	return k.Store.Swap(ctx, key, old, new, ttl)
}

func TestARefusedCallWhoseRecordStaysIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeping{Store: new(store.Memory)}
		d := deskOn(newBank("v3/1900000001"), newShop(), k, k)
		d.placePaid(t, "order-1")
		d.bank.set(func(b *bank) { b.balance = 0 })
		k.text = "/refund/"
		_, err := d.Refund(t.Context(), refund("r1", 50))
		require.ErrorIs(t, err, pay.ErrUnknown)
		require.ErrorContains(t, err, "is stored and will be sent again")
		k.text = "/transfer/"
		_, err = d.Transfer(t.Context(), transfer("t1"))
		require.ErrorIs(t, err, pay.ErrUnknown)
		k.text = ""
		<-time.After(2 * time.Minute)
		_, err = d.Refund(t.Context(), refund("r2", 60))
		require.ErrorContains(t, err, "Refund.Fen", "the amount of r1 is still in the sum")
		asked := d.bank.count("refund")
		_, err = d.Refund(t.Context(), refund("r3", 50))
		require.ErrorIs(t, err, pay.ErrUnknown, "it is r1 under another number")
		require.Equal(t, asked, d.bank.count("refund"))
		d.bank.set(func(b *bank) { b.balance = 1000 })
		stop := d.run()
		<-time.After(2 * time.Hour)
		stop()
		require.Equal(t, map[string]pay.State{"r1": pay.Success}, d.shop.refunded())
	})
	synctest.Test(t, func(t *testing.T) { // its first attempt may still arrive
		d := newDesk()
		d.placePaid(t, "order-1")
		d.bank.set(func(b *bank) { b.fail["refund"] = refuse("refund", pay.ErrUnknown) })
		_, err := d.Refund(t.Context(), refund("r1", 50))
		require.ErrorIs(t, err, pay.ErrUnknown)
		<-time.After(2 * time.Minute)
		d.bank.set(func(b *bank) { delete(b.fail, "refund"); b.balance = 0 })
		_, err = d.Refund(t.Context(), refund("r1", 50))
		require.ErrorIs(t, err, pay.ErrUnknown)
		require.NotErrorIs(t, err, pay.ErrNotEnough, "which says that nothing is stored")
	})
	synctest.Test(t, func(t *testing.T) { // so may that of a transfer
		d := newDesk()
		d.bank.set(func(b *bank) { b.fail["transfer"] = refuse("transfer", pay.ErrUnknown) })
		_, err := d.Transfer(t.Context(), transfer("t1"))
		require.ErrorIs(t, err, pay.ErrUnknown)
		d.bank.set(func(b *bank) { delete(b.fail, "transfer"); b.balance = 0 })
		_, err = d.Transfer(t.Context(), transfer("t1"))
		require.ErrorIs(t, err, pay.ErrUnknown)
		require.NotErrorIs(t, err, pay.ErrNotEnough)
	})
}

// changing is a bank whose call is followed by another call for the same refund, before its reply arrives.
type changing struct {
	*bank
	then func()
}

func (c *changing) Refund(ctx context.Context, f pay.Refund) (pay.Refund, error) {
	f, err := c.bank.Refund(ctx, f)
	if then := c.then; then != nil {
		c.then = nil
		then()
	}
	return f, err
}

func TestARefusedRefundThatAnotherCallSentIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		d.bank.set(func(b *bank) { b.balance = 0 })
		by := &changing{bank: d.bank}
		d.Merchants = []pay.Merchant{by}
		by.then = func() {
			<-time.After(2 * time.Minute)
			d.bank.set(func(b *bank) { b.fail["refund"] = refuse("refund", pay.ErrUnknown) })
			_, err := d.Refund(t.Context(), refund("r1", 50))
			require.ErrorIs(t, err, pay.ErrUnknown)
		}
		_, err := d.Refund(t.Context(), refund("r1", 50))
		require.ErrorIs(t, err, pay.ErrUnknown, "the other call may have been done")
		d.bank.set(func(b *bank) { delete(b.fail, "refund"); b.balance = 1000 })
		<-time.After(2 * time.Minute)
		_, err = d.Refund(t.Context(), refund("r2", 50))
		require.ErrorIs(t, err, pay.ErrUnknown, "it is r1 under another number")
		_, err = d.Refund(t.Context(), refund("r3", 60))
		require.ErrorContains(t, err, "Refund.Fen", "the amount of r1 is still in the sum")
	})
}

func TestARefundThatIsTooMuchAndStaysIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeping{Store: new(store.Memory)}
		d := deskOn(newBank("v3/1900000001"), newShop(), k, k)
		d.placePaid(t, "order-1")
		_, err := d.Refund(t.Context(), refund("r1", 60))
		require.NoError(t, err)
		k.refuseLedger = "r2"
		_, err = d.Refund(t.Context(), refund("r2", 30)) // is stored, and not yet in the sum
		require.ErrorContains(t, err, "the store is away")
		k.refuseLedger = ""
		<-time.After(2 * time.Minute)
		_, err = d.Refund(t.Context(), refund("r3", 40))
		require.NoError(t, err)
		k.text = "/refund/"
		_, err = d.Refund(t.Context(), refund("r2", 30))
		require.ErrorIs(t, err, pay.ErrUnknown)
		require.NotErrorAs(t, err, new(*pay.FieldError))
		k.text = ""
		stop := d.run()
		<-time.After(2 * time.Hour)
		stop()
		require.Equal(t, pay.Closed, d.shop.refunded()["r2"])
		require.Equal(t, 2, d.bank.count("refund"))
	})
}

func TestAQueuedRefundThatIsRefusedForGoodEnds(t *testing.T) {
	for _, cause := range []pay.Cause{pay.ErrChanged, pay.ErrNotFound, pay.ErrClosed} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.placePaid(t, "order-1")
			_, err := d.Refund(t.Context(), refund("r1", 10))
			require.NoError(t, err)
			f, err := d.Refund(t.Context(), refund("r2", 60)) // second in the minute
			require.NoError(t, err)
			require.Equal(t, pay.Processing, f.State)
			d.bank.set(func(b *bank) { b.fail["refund"] = refuse("refund", cause) })
			stop := d.run()
			<-time.After(2 * time.Hour)
			stop()
			require.Equal(t, pay.Closed, d.shop.refunded()["r2"], "the service hears of the end")
			f, err = d.QueryRefund(t.Context(), "r2")
			require.NoError(t, err)
			require.Equal(t, pay.Closed, f.State)
			require.Equal(t, 2, d.bank.count("refund"))
			d.bank.set(func(b *bank) { delete(b.fail, "refund") })
			_, err = d.Refund(t.Context(), refund("r3", 60))
			require.NoError(t, err, cause)
		})
	}
}

func TestAStoredTransferThatIsRefusedForGoodEnds(t *testing.T) {
	for _, refused := range []error{refuse("transfer", pay.ErrChanged), &pay.Error{Op: "transfer", Status: 400, Code: "PARAM_ERROR"}} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.bank.set(func(b *bank) { b.fail["transfer"] = refuse("transfer", pay.ErrUnknown) })
			_, err := d.Transfer(t.Context(), transfer("t1"))
			require.ErrorIs(t, err, pay.ErrUnknown)
			d.bank.set(func(b *bank) { b.fail["transfer"] = refused })
			stop := d.run()
			defer stop()
			<-time.After(30 * time.Minute)
			require.Empty(t, d.shop.toldTransfers(), "the first attempt may still arrive")
			<-time.After(2 * time.Hour)
			require.Len(t, d.shop.toldTransfers(), 1)
			require.Equal(t, pay.Failed, d.shop.toldTransfers()[0].State)
			calls := d.bank.count("transfer")
			f, err := d.Transfer(t.Context(), transfer("t1"))
			require.NoError(t, err)
			require.Equal(t, pay.Failed, f.State)
			require.NotEmpty(t, f.FailReason)
			<-time.After(2 * time.Hour)
			require.Equal(t, calls, d.bank.count("transfer"))
		})
	}
	for _, cause := range []pay.Cause{pay.ErrNotEnough, pay.ErrSettings, pay.ErrBusy} { // a person can help
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.bank.set(func(b *bank) { b.fail["transfer"] = refuse("transfer", pay.ErrUnknown) })
			_, err := d.Transfer(t.Context(), transfer("t1"))
			require.ErrorIs(t, err, pay.ErrUnknown)
			d.bank.set(func(b *bank) { b.fail["transfer"] = refuse("transfer", cause) })
			stop := d.run()
			defer stop()
			<-time.After(2 * time.Hour)
			require.Empty(t, d.shop.toldTransfers())
			d.bank.set(func(b *bank) { clear(b.fail) })
			<-time.After(2 * time.Hour)
			require.Equal(t, pay.WaitConfirm, d.bank.allTransfers()["t1"].State)
		})
	}
}

func TestAQueuedRefundOfAnOrderThatIsReversedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.shop.takes = func(context.Context, int) error { return errors.New("down") }
		o := order("order-1")
		o.Trade, o.AuthCode = pay.Code, "134"
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		d.bank.payOrder("order-1")
		_, err = d.Query(t.Context(), "order-1")
		require.NoError(t, err)
		for _, no := range []string{"r1", "r2"} {
			_, err = d.Refund(t.Context(), refund(no, 10))
			require.NoError(t, err)
		}
		require.NoError(t, d.Reverse(t.Context(), "order-1")) // returns the rest
		stop := d.run()
		<-time.After(24 * time.Hour)
		stop()
		require.Equal(t, map[string]pay.State{"r1": pay.Success, "r2": pay.Closed}, d.shop.refunded())
		require.Equal(t, 1, d.bank.count("refund"))
	})
}
