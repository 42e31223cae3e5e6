package pay_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

// killAtEach runs scenario with a first process that ends at the n-th operation of its store, for each n: before the
// operation is done, and after. The second process has the same store, and lives.
func killAtEach(t *testing.T, scenario func(t *testing.T, first, second *desk)) {
	for _, lands := range []bool{false, true} {
		for n, died := 1, true; died; n++ {
			require.Less(t, n, 500)
			t.Run(fmt.Sprint(n, lands), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, s, shared := newBank("v3/1900000001"), newShop(), new(store.Memory)
					first, second := deskOn(b, s, shared, shared), deskOn(b, s, shared, shared)
					first.Records, first.Store = first.records, first.records
					first.records.set(func(f *flaky) { f.mortal, f.left, f.lands = true, n, lands })
					scenario(t, first, second)
					<-time.After(2 * time.Hour) // the first process gives up what it cannot record
					first.records.set(func(f *flaky) { died = f.left <= 0 })
				})
			})
		}
	}
}

// immortal runs a step of the first process without faults.
func (d *desk) immortal(do func()) {
	d.records.set(func(f *flaky) { f.mortal = false })
	do()
	d.records.set(func(f *flaky) { f.mortal = true })
}

// goOn runs a Cashier until its work is done: failed work is retried within the hour.
func (d *desk) goOn() {
	for range 2 {
		stop := d.run()
		<-time.After(2 * time.Minute)
		stop()
		<-time.After(70 * time.Minute)
	}
}

// settledOnce runs the second process, and checks that the order was settled once.
func settledOnce(t *testing.T, second *desk, paid pay.Transaction) {
	second.goOn()
	require.Equal(t, 1, second.shop.count(), "it is settled once by its transaction id")
	require.LessOrEqual(t, second.shop.calls(), 2)
	require.True(t, second.shop.transaction(paid.TransactionID).Known)
	hooks := second.shop.calls()
	require.Equal(t, http.StatusNoContent, second.bank.notifyPaid(second.Cashier, paid))
	require.Equal(t, hooks, second.shop.calls(), "and not again")
}

func TestAProcessMayEndWhileItPlacesAnOrder(t *testing.T) {
	killAtEach(t, func(t *testing.T, first, second *desk) {
		if _, err := first.Prepay(t.Context(), order("order-1")); err != nil {
			<-time.After(10 * time.Second)
			_, err = second.Prepay(t.Context(), order("order-1"))
			require.NoError(t, err)
		}
		settledOnce(t, second, first.bank.payOrder("order-1"))
	})
}

func TestAPaymentIsFoundAfterTheProcessEnded(t *testing.T) {
	killAtEach(t, func(t *testing.T, first, second *desk) {
		_, _ = first.Prepay(t.Context(), order("order-1"))
		if first.bank.count("prepay") == 0 {
			return // nothing that could be paid
		}
		settledOnce(t, second, first.bank.payOrder("order-1"))
	})
}

func TestAProcessMayEndWhileItProcessesANotification(t *testing.T) {
	for _, again := range []bool{true, false} { // else Run must find it
		killAtEach(t, func(t *testing.T, first, second *desk) {
			first.immortal(func() { first.place(t, "order-1") })
			paid := first.bank.payOrder("order-1")
			code := first.bank.notifyPaid(first.Cashier, paid)
			if code != http.StatusNoContent && again {
				<-time.After(15 * time.Second)
				require.Equal(t, http.StatusNoContent, first.bank.notifyPaid(second.Cashier, paid))
			}
			if code == http.StatusNoContent {
				require.Equal(t, 1, first.shop.count(), "an acknowledged payment was settled")
			}
			settledOnce(t, second, paid)
		})
	}
}

func TestAProcessMayEndWhileItProcessesALateNotification(t *testing.T) {
	for _, again := range []bool{true, false} { // else Run must find a payment that was written
		killAtEach(t, func(t *testing.T, first, second *desk) {
			first.immortal(func() {
				first.place(t, "order-1")
				require.NoError(t, first.Close(t.Context(), "order-1"))
				stop := first.run() // which removes the order
				<-time.After(time.Minute)
				stop()
			})
			paid := first.bank.payOrder("order-1")
			code := first.bank.notifyPaid(first.Cashier, paid)
			raw, _, err := second.records.Store.Get(t.Context(), "pay/1900000001/order/order-1")
			require.NoError(t, err)
			switch {
			case code == http.StatusNoContent:
			case again:
				<-time.After(15 * time.Second)
				require.Equal(t, http.StatusNoContent, first.bank.notifyPaid(second.Cashier, paid))
			case !strings.Contains(string(raw), `"state":"paid"`):
				return
			}
			settledOnce(t, second, paid)
			require.Equal(t, "closed", first.shop.transaction(paid.TransactionID).Late)
		})
	}
}

func TestAProcessMayEndWhileItProcessesAPaymentWithoutARecord(t *testing.T) {
	killAtEach(t, func(t *testing.T, first, second *desk) {
		paid := first.bank.payOrder("order-1")
		if first.bank.notifyPaid(first.Cashier, paid) != http.StatusNoContent {
			<-time.After(15 * time.Second)
			require.Equal(t, http.StatusNoContent, first.bank.notifyPaid(second.Cashier, paid))
		}
		second.goOn()
		require.Equal(t, 1, first.shop.count())
		require.LessOrEqual(t, first.shop.calls(), 2)
	})
}

func TestAProcessMayEndWhileItQueries(t *testing.T) {
	for _, ask := range []func(*testing.T, *desk){
		func(t *testing.T, d *desk) { _, _ = d.Query(t.Context(), "order-1") },
		func(t *testing.T, d *desk) { _ = d.Close(t.Context(), "order-1") },
		func(t *testing.T, d *desk) { _, _ = d.Prepay(t.Context(), order("order-1")) },
	} {
		killAtEach(t, func(t *testing.T, first, second *desk) {
			first.immortal(func() { first.place(t, "order-1") })
			paid := first.bank.payOrder("order-1")
			ask(t, first)
			settledOnce(t, second, paid)
		})
	}
}

func TestRunMayEndAnywhere(t *testing.T) {
	killAtEach(t, func(t *testing.T, first, second *desk) {
		first.immortal(func() { first.place(t, "order-1") })
		paid := first.bank.payOrder("order-1")
		stop := first.run()
		<-time.After(25 * time.Second)
		stop()
		settledOnce(t, second, paid)
	})
}

func TestAProcessMayEndWhileItRefunds(t *testing.T) {
	for _, again := range []bool{true, false} {
		killAtEach(t, func(t *testing.T, first, second *desk) {
			first.immortal(func() { first.placePaid(t, "order-1") })
			_, err := first.Refund(t.Context(), refund("r1", 60))
			accepted := err == nil || len(first.bank.allRefunds()) > 0
			if err != nil && again {
				<-time.After(10 * time.Second)
				_, err = second.Refund(t.Context(), refund("r1", 60))
				require.NoError(t, err)
				accepted = true
			}
			second.goOn()
			if accepted {
				require.Len(t, first.bank.allRefunds(), 1)
				require.NotEmpty(t, first.shop.refunds)
				require.LessOrEqual(t, len(first.shop.refunds), 2)
			}
			if len(first.bank.allRefunds()) > 0 {
				_, err = second.Refund(t.Context(), refund("r2", 41))
				require.ErrorContains(t, err, "Refund.Fen")
			}
			_, err = second.Refund(t.Context(), refund("r3", 40))
			require.NoError(t, err)
			second.goOn()
			require.Equal(t, pay.Success, first.bank.allRefunds()["r3"].State)
		})
	}
}

func TestAProcessMayEndWhileItLearnsThatARefundWasClosed(t *testing.T) {
	killAtEach(t, func(t *testing.T, first, second *desk) {
		first.immortal(func() {
			first.placePaid(t, "order-1")
			_, err := first.Refund(t.Context(), refund("r1", 60))
			require.NoError(t, err)
		})
		first.bank.set(func(b *bank) { b.refunds["r1"].State = pay.Closed })
		_, _ = first.QueryRefund(t.Context(), "r1")
		second.goOn()
		require.NotEmpty(t, first.shop.refunds)
		require.LessOrEqual(t, len(first.shop.refunds), 2)
		_, err := second.Refund(t.Context(), refund("r2", 100))
		require.NoError(t, err, "its amount can be refunded again")
	})
}

func TestAProcessMayEndWhileItTransfers(t *testing.T) {
	for _, again := range []bool{true, false} {
		killAtEach(t, func(t *testing.T, first, second *desk) {
			_, err := first.Transfer(t.Context(), transfer("t1"))
			accepted := err == nil || len(first.bank.allTransfers()) > 0
			if err != nil && again {
				<-time.After(10 * time.Second)
				got, err := second.Transfer(t.Context(), transfer("t1"))
				require.NoError(t, err)
				require.Equal(t, pay.WaitConfirm, got.State)
				accepted = true
			}
			stop := second.run()
			<-time.After(time.Minute)
			stop()
			if !accepted && len(first.bank.allTransfers()) == 0 {
				return
			}
			first.bank.set(func(b *bank) { b.transfers["t1"].State = pay.Success })
			second.goOn()
			require.Len(t, first.bank.allTransfers(), 1)
			require.Equal(t, int64(1<<40-100), first.bank.balance)
			require.Len(t, first.shop.transfers, 1)
		})
	}
}
