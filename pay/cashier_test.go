package pay_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

// desk is a Cashier with its stores, bank and shop.
type desk struct {
	*pay.Cashier
	bank    *bank
	shop    *shop
	claims  *flaky
	records *flaky
}

func newDesk() *desk {
	return deskOn(newBank("v3/1900000001"), newShop(), new(store.Memory), new(store.Memory))
}

// deskOn returns the desk of another process with the same stores, bank and shop.
func deskOn(b *bank, s *shop, claims, records store.Store) *desk {
	d := &desk{bank: b, shop: s, claims: &flaky{Store: claims}, records: &flaky{Store: records}}
	d.Cashier = &pay.Cashier{
		Merchants: []pay.Merchant{b}, URL: "https://shop.example.com/wx", Store: d.claims, Records: d.records,
		OnPaid: s.onPaid, OnRefund: s.onRefund, OnTransfer: s.onTransfer, OnError: s.onError,
	}
	return d
}

// run runs the Cashier until stop is called.
func (d *desk) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func order(no string) pay.Order {
	return pay.Order{Trade: pay.Native, OutTradeNo: no, Fen: 100, Description: "socks"}
}

func (d *desk) place(t *testing.T, no string) {
	_, err := d.Prepay(t.Context(), order(no))
	require.NoError(t, err)
}

// placed places and pays an order, and notifies the Cashier.
func (d *desk) placePaid(t *testing.T, no string) {
	d.place(t, no)
	require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, d.bank.payOrder(no)))
	require.NotZero(t, d.shop.transaction("tx-"+no))
}

func TestPrepayStoresTheOrderFirst(t *testing.T) {
	d := newDesk()
	d.records.set(func(f *flaky) { f.readOnly = true })
	_, err := d.Prepay(t.Context(), order("order-1"))
	require.ErrorIs(t, err, errStore)
	require.Zero(t, d.bank.count("prepay"))

	d.records.set(func(f *flaky) { f.readOnly = false })
	p, err := d.Prepay(t.Context(), order("order-1"))
	require.NoError(t, err)
	require.Equal(t, "weixin://order-1", p.CodeURL)
	require.Equal(t, "https://shop.example.com/wx/pay/notify", d.bank.asked["order-1"].NotifyURL)
}

func TestAnotherOrderWithTheSameNumberIsRefused(t *testing.T) {
	o := order("order-1")
	o.Trade, o.OpenID, o.Attach, o.ExpiresAt = pay.JSAPI, "o1", "a", time.Now().Add(time.Hour)
	o.Extra = map[string]any{"goods_tag": "x", "n": 12345678901234567}
	for field, change := range map[string]func(*pay.Order){
		"Order.Trade":       func(o *pay.Order) { o.Trade = pay.Native },
		"Order.Fen":         func(o *pay.Order) { o.Fen++ },
		"Order.Description": func(o *pay.Order) { o.Description += "x" },
		"Order.OpenID":      func(o *pay.Order) { o.OpenID += "x" },
		"Order.AuthCode":    func(o *pay.Order) { o.AuthCode += "x" },
		"Order.ClientIP":    func(o *pay.Order) { o.ClientIP = "1.2.3.4" },
		"Order.AppID":       func(o *pay.Order) { o.AppID = "wx2" },
		"Order.Attach":      func(o *pay.Order) { o.Attach += "x" },
		"Order.ExpiresAt":   func(o *pay.Order) { o.ExpiresAt = o.ExpiresAt.Add(time.Second) },
		"Order.NotifyURL":   func(o *pay.Order) { o.NotifyURL = "https://other.example.com" },
		"Order.Extra":       func(o *pay.Order) { o.Extra = map[string]any{"goods_tag": "y"} },
	} {
		d := newDesk()
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		other := o
		change(&other)
		_, err = d.Prepay(t.Context(), other)
		require.ErrorIs(t, err, pay.ErrChanged, field)
		require.ErrorContains(t, err, field)
		require.Equal(t, 1, d.bank.count("prepay"), field)

		_, err = d.Prepay(t.Context(), o)
		require.NoError(t, err, "the same order may be placed again")
	}
}

func TestTheNumberOfARefusedOrderCanBeUsedAgain(t *testing.T) {
	for _, refused := range []error{
		&pay.Error{Op: "prepay", Status: 400, Code: "PARAM_ERROR"}, &pay.Error{Op: "prepay", Cause: pay.ErrSettings, Status: 401},
		&pay.FieldError{Field: "Order.Extra", Reason: "is wrong"},
	} {
		d := newDesk()
		d.bank.fail["prepay"] = refused
		_, err := d.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, refused)
		delete(d.bank.fail, "prepay")
		corrected := order("order-1")
		corrected.Fen = 200
		_, err = d.Prepay(t.Context(), corrected)
		require.NoError(t, err)
	}
}

func TestAnOrderOfUnknownOutcomeStaysStored(t *testing.T) {
	for _, cause := range []pay.Cause{pay.ErrUnknown, pay.ErrBusy, pay.ErrPaying, pay.ErrChanged} {
		d := newDesk()
		d.bank.fail["prepay"] = refuse("prepay", cause)
		_, err := d.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, cause)
		delete(d.bank.fail, "prepay")
		other := order("order-1")
		other.Fen = 200
		_, err = d.Prepay(t.Context(), other)
		require.ErrorIs(t, err, pay.ErrChanged)
		_, err = d.Prepay(t.Context(), order("order-1"))
		require.NoError(t, err)
	}
}

func TestPrepayOfAPaidOrClosedOrderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		_, err := d.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, pay.ErrPaid)
		require.Equal(t, 1, d.bank.count("prepay"))

		d.place(t, "order-2")
		require.NoError(t, d.Close(t.Context(), "order-2"))
		_, err = d.Prepay(t.Context(), order("order-2"))
		require.ErrorIs(t, err, pay.ErrClosed)
	})
}

func TestARecordedOrderIsReadWithoutAQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		d.place(t, "order-2")
		d.place(t, "order-3")
		require.NoError(t, d.Close(t.Context(), "order-3"))
		before := d.bank.count("query")
		for no, want := range map[string]pay.State{"order-1": pay.Success, "order-2": pay.NotPaid, "order-3": pay.Closed} {
			got, err := d.Recorded(t.Context(), no)
			require.NoError(t, err)
			require.Equal(t, want, got.State, no)
			require.Equal(t, no, got.OutTradeNo)
		}
		_, err := d.Recorded(t.Context(), "order-4")
		require.ErrorIs(t, err, pay.ErrNotFound)
		_, err = d.Recorded(t.Context(), "/")
		require.ErrorAs(t, err, new(*pay.FieldError))
		require.Equal(t, before, d.bank.count("query"))
	})
}

func TestPrepayLearnsOfAPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.bank.lose["prepay"] = true
		_, err := d.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, pay.ErrUnknown)
		delete(d.bank.lose, "prepay")
		d.bank.payOrder("order-1")
		_, err = d.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, pay.ErrPaid)
		e := (*pay.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Equal(t, "tx-order-1", e.Transaction.TransactionID)
		require.Equal(t, 1, d.shop.count())
	})
}

func TestEachSourceOfAPaymentCallsOnPaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		paid := d.bank.payOrder("order-1")
		got, err := d.Query(t.Context(), "order-1")
		require.NoError(t, err)
		require.True(t, got.Known)
		require.Equal(t, 1, d.shop.calls())
		for range 3 {
			require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
			err := d.Close(t.Context(), "order-1")
			require.ErrorIs(t, err, pay.ErrPaid)
		}
		require.Equal(t, 1, d.shop.calls())
		require.True(t, d.shop.transaction("tx-order-1").Known)
		require.Empty(t, d.shop.transaction("tx-order-1").Late)
	})
}

func TestCloseAfterThePaymentCallsOnPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		d.bank.payOrder("order-1")
		err := d.Close(t.Context(), "order-1")
		e := (*pay.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Equal(t, pay.ErrPaid, e.Cause)
		require.Equal(t, "tx-order-1", e.Transaction.TransactionID)
		require.Empty(t, e.Transaction.Late)
		require.Equal(t, 1, d.shop.count())
	})
}

func TestAnOrderThatNeverArrivedCanBeClosed(t *testing.T) {
	d := newDesk()
	d.bank.fail["prepay"] = refuse("prepay", pay.ErrUnknown)
	_, err := d.Prepay(t.Context(), order("order-1"))
	require.ErrorIs(t, err, pay.ErrUnknown)
	require.NoError(t, d.Close(t.Context(), "order-1"))
	require.NoError(t, d.Close(t.Context(), "order-1"))
	require.Equal(t, 1, d.bank.count("close"))
}

func TestALatePaymentHasLateSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		require.NoError(t, d.Close(t.Context(), "order-1"))
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-1")))
		require.Equal(t, "closed", d.shop.transaction("tx-order-1").Late)

		o := order("order-2")
		o.ExpiresAt = time.Now().Add(time.Minute)
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		<-time.After(time.Minute + time.Second)
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-2")))
		require.Equal(t, "expired", d.shop.transaction("tx-order-2").Late)
	})
}

func TestAReversedPaymentDoesNotCallOnPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		paid := d.bank.payOrder("order-1")
		require.NoError(t, d.Reverse(t.Context(), "order-1"))
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
		require.Zero(t, d.shop.calls())
	})
}

func TestAQueryWithoutARecordDoesNotCallOnPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.bank.payOrder("order-1")
		for range 3 {
			got, err := d.Query(t.Context(), "order-1")
			require.NoError(t, err)
			require.True(t, got.Paid())
			require.False(t, got.Known)
		}
		require.ErrorIs(t, d.Close(t.Context(), "order-1"), pay.ErrPaid)
		require.Zero(t, d.shop.calls())
	})
}

func TestQueriesLongAfterThePaymentCallNoHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		for _, days := range []int{8, 92, 290} { // 8, 100 and 390 days after it
			<-time.After(time.Duration(days) * 24 * time.Hour)
			got, err := d.Query(t.Context(), "order-1")
			require.NoError(t, err)
			require.True(t, got.Paid())
			require.Equal(t, 1, d.shop.calls())
		}
		<-time.After(30 * 24 * time.Hour)
		_, err := d.Query(t.Context(), "order-1")
		require.NoError(t, err)
		require.Equal(t, 1, d.shop.calls(), "not even after the record has expired")
	})
}

func TestPaymentsSurviveAnEmptiedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, records := newBank("v3/1900000001"), newShop(), new(store.Memory)
		before := deskOn(b, s, new(store.Memory), records)
		before.placePaid(t, "order-1")
		before.place(t, "order-2")
		before.place(t, "order-3")
		after := deskOn(b, s, new(store.Memory), records)
		stop := after.run()
		for range 2 {
			require.Equal(t, http.StatusNoContent, b.notifyPaid(after.Cashier, b.payOrder("order-1")))
			require.Equal(t, http.StatusNoContent, b.notifyPaid(after.Cashier, b.payOrder("order-2")))
		}
		b.payOrder("order-3")
		<-time.After(time.Minute)
		stop()
		require.Equal(t, 3, s.calls())
		require.Equal(t, 3, s.count())
	})
}

func TestAnAppSeesNoOrderOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, records := newBank("v3/1900000001"), new(store.Memory)
		one, two := deskOn(b, newShop(), new(store.Memory), records), deskOn(b, newShop(), new(store.Memory), records)
		two.App = "two"
		one.place(t, "order-1")
		_, err := two.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, pay.ErrChanged)
		_, err = two.Query(t.Context(), "order-1")
		require.ErrorIs(t, err, pay.ErrNotFound)
		_, err = two.Recorded(t.Context(), "order-1")
		require.ErrorIs(t, err, pay.ErrNotFound)
		require.ErrorIs(t, two.Close(t.Context(), "order-1"), pay.ErrNotFound)
		paid := b.payOrder("order-1")
		require.Equal(t, http.StatusForbidden, b.notifyPaid(two.Cashier, paid))
		_, err = two.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 1})
		require.ErrorIs(t, err, pay.ErrNotFound)
		require.Equal(t, http.StatusNoContent, b.notifyPaid(one.Cashier, paid))
		_, err = one.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 1})
		require.NoError(t, err)
		_, err = two.QueryRefund(t.Context(), "r1")
		require.ErrorIs(t, err, pay.ErrNotFound)
		require.Zero(t, two.shop.calls())
	})
}

func TestOldOrdersAreServedByTheMerchantThatPlacedThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, now := newBank("v3/1900000001"), newBank("v3/1900000002")
		d := deskOn(old, newShop(), new(store.Memory), new(store.Memory))
		d.place(t, "order-1")
		d.Merchants = []pay.Merchant{now, old}
		d.place(t, "order-1")
		require.Equal(t, 2, old.count("prepay"))
		d.place(t, "order-2")
		require.Equal(t, 1, now.count("prepay"))
		require.Equal(t, http.StatusNoContent, old.notifyPaid(d.Cashier, old.payOrder("order-1")))
		require.Equal(t, http.StatusNoContent, now.notifyPaid(d.Cashier, now.payOrder("order-2")))
		require.Equal(t, 2, d.shop.count())

		d.Merchants = []pay.Merchant{now}
		_, err := d.Query(t.Context(), "order-1")
		require.ErrorIs(t, err, pay.ErrNotFound)
	})
}

func TestTwoCashiersOnOneStoreCallOneHookAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, claims, records := newBank("v3/1900000001"), newShop(), new(store.Memory), new(store.Memory)
		desks := []*desk{deskOn(b, s, claims, records), deskOn(b, s, claims, records)}
		s.takes = func(context.Context, int) error {
			<-time.After(3 * time.Second)
			return nil
		}
		desks[0].place(t, "order-1")
		paid := b.payOrder("order-1")
		codes := make(chan int, 40)
		for i := range 40 {
			go func() { codes <- b.notifyPaid(desks[i%2].Cashier, paid) }()
		}
		count := map[int]int{}
		for range 40 {
			count[<-codes]++
		}
		require.Equal(t, map[int]int{http.StatusNoContent: 1, http.StatusServiceUnavailable: 39}, count)
		require.Equal(t, 1, s.most)
		require.Equal(t, http.StatusNoContent, b.notifyPaid(desks[1].Cashier, paid))
		require.Equal(t, 1, s.calls())
	})
}

func TestAHookThatFailsIsCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.shop.takes = func(_ context.Context, call int) error {
			switch call {
			case 1:
				return pay.ErrPaid // the cause of a hook's error does not change the status
			case 2:
				panic("out of order")
			}
			return nil
		}
		d.place(t, "order-1")
		paid := d.bank.payOrder("order-1")
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, paid))
		stop := d.run()
		<-time.After(time.Minute)
		stop()
		require.Equal(t, 3, d.shop.calls(), "Run does it without a notification")
		require.Equal(t, 1, d.shop.count())
		require.Contains(t, d.shop.errors(), "out of order")
	})
}

func TestAHookCanRunLongerThanWeChatWaits(t *testing.T) {
	for _, test := range []struct {
		takes   time.Duration
		settled bool // by its first call
	}{{5 * time.Second, true}, {70 * time.Second, false}} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.shop.takes = func(ctx context.Context, call int) error {
				if call > 1 {
					return nil
				}
				select {
				case <-time.After(test.takes):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			d.place(t, "order-1")
			paid := d.bank.payOrder("order-1")
			begun := time.Now()
			require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, paid))
			require.Equal(t, 4500*time.Millisecond, time.Since(begun))
			require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, paid))
			require.Equal(t, 1, d.shop.calls(), "it is not called again while it runs")
			<-time.After(time.Minute)
			require.Equal(t, test.settled, d.shop.count() == 1)
			require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
			require.Equal(t, test.settled, d.shop.calls() == 1)
			require.Equal(t, 1, d.shop.count())
		})
	}
}

func TestPaymentsSurviveAnUnavailableStore(t *testing.T) {
	for name, trouble := range map[string]func(*flaky){
		"away": func(f *flaky) { f.away = true }, "read-only": func(f *flaky) { f.readOnly = true },
	} {
		for _, during := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDesk()
					well := func(f *flaky) { f.away, f.readOnly = false, false }
					d.place(t, "order-1")
					paid := d.bank.payOrder("order-1")
					if during { // the hook returned nil, and recording that fails
						d.shop.takes = func(context.Context, int) error {
							d.records.set(trouble)
							return nil
						}
					} else {
						d.records.set(trouble)
					}
					stop := d.run()
					defer stop()
					require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, paid))
					<-time.After(time.Minute)
					d.records.set(well)
					d.shop.set(func(s *shop) { s.takes = nil })
					<-time.After(time.Minute)
					require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
					require.Equal(t, 1, d.shop.calls())
				})
			})
		}
	}
}

func (s *shop) set(change func(*shop)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func TestErrorsOfTheStoreAreReturned(t *testing.T) {
	d := newDesk()
	d.place(t, "order-1")
	d.records.set(func(f *flaky) { f.away = true })
	_, err := d.Query(t.Context(), "order-1")
	require.ErrorIs(t, err, errStore)
	require.ErrorIs(t, d.Close(t.Context(), "order-1"), errStore)
	_, err = d.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 1})
	require.ErrorIs(t, err, errStore)
	_, err = d.Refused(t.Context())
	require.ErrorIs(t, err, errStore)
	require.False(t, errors.Is(err, pay.ErrNotFound))
	require.True(t, strings.HasPrefix(err.Error(), "pay: "))
}
