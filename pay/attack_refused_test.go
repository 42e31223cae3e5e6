package pay_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

func open(next http.Handler) http.Handler { return next }

func attackCall(t *testing.T, c *pay.Cashier, method, path, body string) (int, map[string]any) {
	w := httptest.NewRecorder()
	h := wetoken.Handler(&pay.Handler{Cashier: c, Guard: open, RefundGuard: open, TransferGuard: open})
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	var out map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &out)
	t.Logf("%s %s: %d %s", method, path, w.Code, w.Body)
	return w.Code, out
}

// underpaid places an order of 100 fen that WeChat says was paid with 1 fen, and notifies it.
func underpaid(t *testing.T, d *desk) pay.Transaction {
	d.place(t, "order-1")
	d.bank.set(func(b *bank) { b.orders["order-1"].Fen = 1 })
	paid := d.bank.payOrder("order-1")
	require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, paid))
	require.Zero(t, d.shop.calls())
	return paid
}

// TestAttackAQueryOfAPaymentRefusedOverItsAmountSaysPaid: docs/http.md calls such a payment "not reported"; the GET reports it.
func TestAttackAQueryOfAPaymentRefusedOverItsAmountSaysPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		underpaid(t, d)
		status, got := attackCall(t, d.Cashier, "GET", "/pay/orders/order-1", "")
		said := status == http.StatusOK && got["state"] == "SUCCESS" && got["refused"] == nil
		require.False(t, said, "an order of 100 fen for which 1 fen was paid is SUCCESS, known")
	})
}

func TestAttackAListOfOrdersSaysPaidOfARefusedPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		underpaid(t, d)
		_, got := attackCall(t, d.Cashier, "GET", "/pay/orders", "")
		for _, o := range got["orders"].([]any) {
			o := o.(map[string]any)
			require.False(t, o["state"] == "SUCCESS" && o["refused"] == nil, "%v", o)
		}
	})
}

// TestAttackClosingAnOrderWithARefusedPaymentSaysPaid: docs say of paid "the order is paid".
func TestAttackClosingAnOrderWithARefusedPaymentSaysPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		underpaid(t, d)
		_, got := attackCall(t, d.Cashier, "POST", "/pay/orders/order-1/close", "")
		require.NotEqual(t, "paid", got["cause"])
	})
}

// noDelete is a store whose deletions fail.
type noDelete struct{ store.Store }

func (noDelete) Delete(context.Context, string) error { return errStore }

// TestAttackAcceptIsNilThoughTheRemovalFailed: Accept returns nil, and nothing ever removes the payment from the list.
func TestAttackAcceptIsNilThoughTheRemovalFailed(t *testing.T) {
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
		<-time.After(48 * time.Hour)
		list, failed := d.Refused(t.Context())
		require.NoError(t, failed)
		require.False(t, err == nil && len(list) > 0, "Accept returned nil, OnPaid was called, and two days later the list still has %d", len(list))
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

// TestAttackANotificationDuringAcceptListsThePaymentAgain: WeChat repeats the refused notification while a person accepts it.
func TestAttackANotificationDuringAcceptListsThePaymentAgain(t *testing.T) {
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

// elsewhere places an order of another system of the merchant, with the same number and amount as ours, and other goods.
func elsewhere(t *testing.T, d *desk) {
	o := order("order-1")
	o.Description = "a car"
	_, err := d.bank.Prepay(t.Context(), o)
	require.NoError(t, err)
	o = order("order-1")
	o.ExpiresAt = time.Now().Add(5 * time.Minute)
	_, err = d.Prepay(t.Context(), o)
	require.ErrorIs(t, err, pay.ErrChanged)
}

// TestAttackAnOrderOfAnotherSystemIsSettledAsOurs: WeChat refused our order, since the number is that of another order.
func TestAttackAnOrderOfAnotherSystemIsSettledAsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		stop := d.run()
		defer stop()
		elsewhere(t, d)
		d.bank.payOrder("order-1")
		<-time.After(time.Hour)
		require.False(t, d.shop.calls() > 0 && d.shop.transaction("tx-order-1").Known, "OnPaid was called with Known for an order that WeChat refused to place")
	})
}

// TestAttackRunClosesAnOrderOfAnotherSystem: as above, but it is not paid yet when our order expires.
func TestAttackRunClosesAnOrderOfAnotherSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		stop := d.run()
		defer stop()
		elsewhere(t, d)
		<-time.After(10 * time.Minute)
		require.Zero(t, d.bank.count("close"), "Run has closed the order of another system")
	})
}
