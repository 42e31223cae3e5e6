package pay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

func TestARefusedNotificationGetsTheStatusOfItsCause(t *testing.T) {
	for cause, status := range map[pay.Cause]int{
		pay.ErrProbe: 401, pay.ErrClock: 401, pay.ErrSignature: 401, pay.ErrOther: 401, pay.ErrMerchant: 403,
		pay.ErrUnreadable: 403, pay.ErrSerial: 503, pay.ErrTooLarge: 413,
	} {
		d := newDesk()
		require.Equal(t, status, send(d.Cashier, []byte(`{}`), "Refuse", string(cause)), cause)
		require.Equal(t, cause == pay.ErrProbe, d.shop.errs == nil, "a probe is not reported")
	}
	d := newDesk()
	require.Equal(t, http.StatusRequestEntityTooLarge, send(d.Cashier, bytes.Repeat([]byte{'x'}, 256<<10+1)))
	require.Equal(t, http.StatusUnauthorized, send(d.Cashier, bytes.Repeat([]byte{'x'}, 256<<10)))
}

func TestEachMerchantIsTriedOnANotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newBank("v3/1900000001"), newBank("v3/1900000002")
		d := deskOn(one, newShop(), new(store.Memory), new(store.Memory))
		d.Merchants = append(d.Merchants, two)
		require.Equal(t, http.StatusNoContent, two.notifyPaid(d.Cashier, two.payOrder("order-1")))
		n, err := d.Parse(t.Context(), http.Header{"For": {two.name}}, []byte(`{"id":"n1"}`))
		require.NoError(t, err)
		require.Equal(t, "n1", n.ID)
		_, err = d.Parse(t.Context(), http.Header{"For": {"v3/3"}}, nil)
		require.ErrorIs(t, err, pay.ErrOther)
	})
}

func TestAPaymentWithAWrongAmountIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		paid := d.bank.payOrder("order-1")
		paid.Fen = 1
		d.bank.set(func(b *bank) { b.orders["order-1"].Fen = 1 })
		for range 2 {
			require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, paid))
		}
		_, err := d.Query(t.Context(), "order-1")
		require.ErrorIs(t, err, pay.ErrChanged)
		require.Zero(t, d.shop.calls())
		list, err := d.Refused(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "order-1", list[0].OutTradeNo)
		require.Equal(t, "its amount is 1 fen: the order has 100", list[0].Reason)
		_, err = d.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, pay.ErrPaid)
		stop := d.run()
		<-time.After(time.Hour)
		stop()
		require.Zero(t, d.shop.calls())

		require.ErrorIs(t, d.Accept(t.Context(), "tx-other"), pay.ErrNotFound)
		require.ErrorIs(t, d.Accept(t.Context(), "../order/order-1"), pay.ErrNotFound)
		d.shop.set(func(s *shop) { s.takes = func(context.Context, int) error { return errors.New("not now") } })
		require.ErrorContains(t, d.Accept(t.Context(), list[0].ID), "not now")
		d.shop.set(func(s *shop) { s.takes = nil })
		require.NoError(t, d.Accept(t.Context(), list[0].ID))
		require.Equal(t, int64(1), d.shop.transaction("tx-order-1").Fen)
		require.Equal(t, 2, d.shop.calls())
		list, err = d.Refused(t.Context())
		require.NoError(t, err)
		require.Empty(t, list)
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
		require.Equal(t, 2, d.shop.calls())
	})
}

func TestARightPaymentAfterAWrongOneCallsOnPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		wrong := d.bank.payOrder("order-1")
		wrong.Fen, wrong.TransactionID = 1, "tx-wrong"
		require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, wrong))
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-1")))
		require.Equal(t, 1, d.shop.calls())
		second := wrong
		second.Fen, second.TransactionID = 100, "tx-second"
		require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, second))
		list, err := d.Refused(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.NoError(t, d.Accept(t.Context(), "tx-second"))
		require.Equal(t, 2, d.shop.count(), "OnPaid is called for each transaction")
	})
}

func TestAnAcceptedPaymentIsNotListedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		second := d.bank.payOrder("order-1")
		second.TransactionID = "tx-second"
		require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, second))
		d.shop.takes = func(context.Context, int) error { return errors.New("not now") }
		require.ErrorContains(t, d.Accept(t.Context(), "tx-second"), "not now")
		list, err := d.Refused(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1, "it was not handed over")
		d.shop.takes = nil
		require.NoError(t, d.Accept(t.Context(), "tx-second"))
		calls := d.shop.calls()
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, second), "WeChat repeats it, since it was answered 403")
		list, err = d.Refused(t.Context())
		require.NoError(t, err)
		require.Empty(t, list)
		require.ErrorIs(t, d.Accept(t.Context(), "tx-second"), pay.ErrNotFound)
		require.Equal(t, calls, d.shop.calls())
	})
}

func TestAReversedOrderIsNotHandedOver(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			o := order("order-1")
			o.Trade, o.AuthCode = pay.Code, "134"
			_, err := d.Prepay(t.Context(), o)
			require.NoError(t, err)
			d.shop.takes = func(_ context.Context, call int) error {
				if call == 1 {
					return errors.New("down for a moment")
				}
				return nil
			}
			paid := d.bank.payOrder("order-1")
			if wrong {
				paid.Fen = 1
				require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, paid))
			} else {
				got, err := d.Query(t.Context(), "order-1")
				require.NoError(t, err)
				require.Equal(t, pay.Success, got.State)
			}
			require.NoError(t, d.Reverse(t.Context(), "order-1")) // the money is back
			stop := d.run()
			<-time.After(time.Hour)
			stop()
			if !wrong {
				require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid), "a late notification")
			}
			require.Zero(t, d.shop.count())
			refused, err := d.Refused(t.Context())
			require.NoError(t, err)
			require.Empty(t, refused)
			list, _, err := d.Orders(t.Context(), pay.Filter{})
			require.NoError(t, err)
			require.Equal(t, pay.Reversed, list[0].State)
			list, _, err = d.Orders(t.Context(), pay.Filter{State: pay.Reversed})
			require.NoError(t, err)
			require.Len(t, list, 1)
			list, _, err = d.Orders(t.Context(), pay.Filter{State: pay.Success})
			require.NoError(t, err)
			require.Empty(t, list)
			_, err = d.Refund(t.Context(), refund("r1", 30))
			require.Error(t, err)
		})
	}
}

func TestAPaymentToAnotherAppIDOrMerchantIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		o := order("order-1")
		o.AppID = "wx1"
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		paid := d.bank.payOrder("order-1")
		paid.AppID = "wx2"
		require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, paid))
		require.Zero(t, d.shop.calls())

		sub := newBank("v3/1900000001/1900000109")
		d = deskOn(sub, newShop(), new(store.Memory), new(store.Memory))
		d.place(t, "order-1")
		paid = sub.payOrder("order-1")
		paid.MchID, paid.SubMchID = "1900000001", "1900000109"
		require.Equal(t, http.StatusNoContent, sub.notifyPaid(d.Cashier, paid))
		require.True(t, d.shop.transaction("tx-order-1").Known)
	})
}

func TestAPaymentWithoutARecordIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		forged := pay.Transaction{OutTradeNo: "order-1", TransactionID: "tx-order-1", State: pay.Success, Fen: 100, MchID: "1900000001"}
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, forged), "WeChat does not know it")
		d.bank.set(func(b *bank) {
			b.orders["order-1"] = &pay.Transaction{OutTradeNo: "order-1", State: pay.NotPaid, Fen: 100, MchID: "1900000001"}
		})
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, forged), "the query returns another state")
		require.Zero(t, d.shop.calls())
		paid := d.bank.payOrder("order-1")
		for range 3 {
			require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
		}
		require.Equal(t, 1, d.shop.calls())
		require.False(t, d.shop.transaction("tx-order-1").Known)
		_, err := d.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, pay.ErrPaid, "it is stored from then on")
	})
}

func TestPaymentsWithoutOnPaidAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		hook := d.OnPaid
		d.OnPaid = nil
		d.place(t, "order-1")
		known, unknown := d.bank.payOrder("order-1"), d.bank.payOrder("order-2")
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, known))
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, unknown))
		list, err := d.Refused(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Error(t, d.Accept(t.Context(), list[0].ID))

		later := *d
		later.Cashier = &pay.Cashier{Merchants: d.Merchants, Store: d.claims, Records: d.records, OnPaid: hook, OnError: d.OnError}
		stop := later.run()
		<-time.After(time.Minute)
		stop()
		require.Equal(t, 2, d.shop.count(), "Run hands them over when there is one")
		list, err = later.Refused(t.Context())
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

func TestEachPartOfACombinedOrderCallsOnPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		n := pay.Notification{Type: "TRANSACTION.SUCCESS", Raw: json.RawMessage(`{}`), Parts: []pay.Transaction{
			d.bank.payOrder("order-1"), d.bank.payOrder("order-2"),
			{OutTradeNo: "order-1", TransactionID: "tx-other", MchID: "1900000009", State: pay.Success, Fen: 7},
		}}
		d.shop.takes = func(_ context.Context, call int) error {
			if call == 2 {
				return errors.New("not now")
			}
			return nil
		}
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notify(d.Cashier, n))
		require.Equal(t, 2, d.shop.count())
		require.Equal(t, http.StatusNoContent, d.bank.notify(d.Cashier, n))
		require.Equal(t, 4, d.shop.calls())
		require.True(t, d.shop.transaction("tx-order-1").Known)
		require.False(t, d.shop.transaction("tx-order-2").Known)
		require.False(t, d.shop.transaction("tx-other").Known)
		require.Zero(t, d.bank.count("query"), "a part cannot be queried")
	})
}

func TestNotificationsOfOtherKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.OnRefund, d.OnTransfer = nil, nil
		for kind, status := range map[string]int{
			"TRANSACTION.INDUSTRY_SUCCESS": 503, "MCHTRANSFER.BILL.FINISHED": 503, "MCHTRANSFER.BATCH.FINISHED": 503,
			"PROFITSHARING": 503, "PROFITSHARING_RETURN": 503, "REFUND.SUCCESS": 503, "COMPLAINT.CREATE": 204, "PAYSCORE.USER_PAID": 204,
		} {
			n := pay.Notification{Type: kind, Raw: json.RawMessage(`{"out_bill_no":"b1"}`)}
			require.Equal(t, status, d.bank.notify(d.Cashier, n), kind)
		}
		require.Contains(t, d.shop.errors(), "COMPLAINT.CREATE")

		calls := 0
		d.OnOther = func(_ context.Context, n pay.Notification) error {
			if calls++; calls == 1 {
				return errors.New("not now")
			}
			return nil
		}
		n := pay.Notification{ID: "1", Type: "COMPLAINT.CREATE", Raw: json.RawMessage(`{"complaint_id":"1"}`)}
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notify(d.Cashier, n))
		for range 3 {
			n.ID += "1"
			require.Equal(t, http.StatusNoContent, d.bank.notify(d.Cashier, n))
		}
		require.Equal(t, 2, calls)
	})
}

func TestAPaymentThatFailedChangesNothing(t *testing.T) {
	d := newDesk()
	d.place(t, "order-1")
	failed := pay.Transaction{OutTradeNo: "order-1", State: pay.PayError, MchID: "1900000001"}
	require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, failed))
	require.Zero(t, d.shop.calls())
	require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, pay.Transaction{OutTradeNo: "a/b", State: pay.Success}))
}
