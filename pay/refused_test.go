package pay_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

// underpaid places an order of 100 fen that WeChat says was paid with 1 fen, and notifies it.
func underpaid(t *testing.T, d *desk) pay.Transaction {
	d.place(t, "order-1")
	d.bank.set(func(b *bank) { b.orders["order-1"].Fen = 1 })
	paid := d.bank.payOrder("order-1")
	require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, paid))
	require.Zero(t, d.shop.calls())
	return paid
}

func TestARefusedPaymentDoesNotReadAsPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		paid := underpaid(t, d)
		const reason = "its amount is 1 fen: the order has 100"
		isRefused := func(err error) {
			require.ErrorIs(t, err, pay.ErrChanged)
			e := (*pay.Error)(nil)
			require.ErrorAs(t, err, &e)
			require.Equal(t, reason, e.Transaction.Refused)
		}
		_, err := d.Query(t.Context(), "order-1")
		isRefused(err)
		isRefused(d.Close(t.Context(), "order-1"))
		orders, _, err := d.Orders(t.Context(), pay.Filter{})
		require.NoError(t, err)
		require.Len(t, orders, 1)
		require.Equal(t, reason, orders[0].Refused)

		require.NoError(t, d.Accept(t.Context(), paid.TransactionID))
		got, err := d.Query(t.Context(), "order-1")
		require.NoError(t, err)
		require.Equal(t, pay.Success, got.State)
		require.Empty(t, got.Refused)
		require.ErrorIs(t, d.Close(t.Context(), "order-1"), pay.ErrPaid)
	})
}

// The close that Run sends finds the payment.
func TestRunStopsAtAPaymentThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		d.bank.set(func(b *bank) { b.orders["order-1"].Fen = 1 })
		d.bank.payOrder("order-1")
		stop := d.run()
		defer stop()
		<-time.After(3 * time.Hour) // it expires after two
		require.Zero(t, d.shop.calls())
		asked := d.bank.count("query")
		<-time.After(2 * time.Hour)
		require.Equal(t, asked, d.bank.count("query"))
	})
}

func TestAPaymentInAnotherCurrencyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		d.bank.set(func(b *bank) { b.orders["order-1"].Currency = "VND" })
		require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-1")))
		require.Zero(t, d.shop.calls())
		list, err := d.Refused(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Contains(t, list[0].Reason, "VND")
	})
}

// noDelete is a store whose deletions fail.
type noDelete struct{ store.Store }

func (noDelete) Delete(context.Context, string) error { return errStore }

func TestAnAcceptedPaymentIsNotListedThoughItsRemovalFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := new(store.Memory)
		d := deskOn(newBank("v3/1900000001"), newShop(), new(store.Memory), records)
		paid := underpaid(t, d)
		d.Cashier.Records = noDelete{records}
		err := d.Accept(t.Context(), paid.TransactionID)
		d.Cashier.Records = records // the store is back
		require.Equal(t, 1, d.shop.calls())
		stop := d.run()
		defer stop()
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
		<-time.After(time.Hour)
		list, failed := d.Refused(t.Context())
		require.NoError(t, failed)
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

// onGet runs a function once, before a key is read.
type onGet struct {
	store.Store
	part string
	once sync.Once
	f    func()
}

func (s *onGet) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if strings.Contains(key, s.part) {
		s.once.Do(s.f)
	}
	return s.Store.Get(ctx, key)
}

// WeChat repeats the refused notification while a person accepts it.
func TestANotificationDuringAcceptListsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claims, records := new(store.Memory), new(store.Memory)
		first := deskOn(newBank("v3/1900000001"), newShop(), claims, records)
		paid := underpaid(t, first)
		second := deskOn(first.bank, first.shop, claims, &onGet{Store: records, part: "/refused/", f: func() {
			require.NoError(t, first.Accept(t.Context(), paid.TransactionID))
		}})
		first.bank.notifyPaid(second.Cashier, paid)
		require.Equal(t, 1, first.shop.calls())
		stop := first.run()
		defer stop()
		<-time.After(time.Hour)
		require.Equal(t, http.StatusNoContent, first.bank.notifyPaid(first.Cashier, paid))
		list, err := first.Refused(t.Context())
		require.NoError(t, err)
		require.Empty(t, list, "the payment was accepted, and OnPaid was called")
	})
}
