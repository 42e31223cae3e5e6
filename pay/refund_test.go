package pay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

func refund(no string, fen int64) pay.Refund {
	return pay.Refund{OutTradeNo: "order-1", OutRefundNo: no, Fen: fen, TotalFen: 100}
}

func (s *shop) refunded() map[string]pay.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]pay.State{}
	for _, f := range s.refunds {
		if out[f.OutRefundNo] == f.State {
			panic("refund " + f.OutRefundNo + " was handed over twice")
		}
		out[f.OutRefundNo] = f.State
	}
	return out
}

func TestRunQueriesARefundUntilItIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		d.bank.slow = 9 * time.Hour
		stop := d.run()
		defer stop()
		f, err := d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
		require.Equal(t, pay.Processing, f.State)
		require.Equal(t, "https://shop.example.com/wx/pay/notify", d.bank.allRefunds()["r1"].NotifyURL)
		<-time.After(8 * time.Hour)
		require.Empty(t, d.shop.refunded())
		<-time.After(3 * time.Hour)
		require.Equal(t, map[string]pay.State{"r1": pay.Success}, d.shop.refunded())
		asked := d.bank.count("query refund")
		require.Less(t, asked, 30)
		<-time.After(10 * time.Hour)
		require.Equal(t, asked, d.bank.count("query refund"))
		f, err = d.QueryRefund(t.Context(), "r1")
		require.NoError(t, err)
		require.Equal(t, pay.Success, f.State)
		require.Len(t, d.shop.toldRefunds(), 1)
	})
}

func TestRefundsOfOneOrderAreSentAMinuteApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		stop := d.run()
		defer stop()
		errs := make(chan error, 12)
		for i := range 12 {
			go func() {
				_, err := d.Refund(t.Context(), refund(fmt.Sprint("r", i), 8))
				errs <- err
			}()
		}
		for range 12 {
			require.NoError(t, <-errs)
		}
		require.Equal(t, 1, d.bank.count("refund"))
		<-time.After(20 * time.Minute)
		require.Len(t, d.shop.refunded(), 12)
		require.Equal(t, 12, d.bank.count("refund"), "none was sent too early")
		_, err := d.Refund(t.Context(), refund("r13", 8))
		f := (*pay.FieldError)(nil)
		require.ErrorAs(t, err, &f)
		require.Equal(t, "Refund.Fen", f.Field)
		_, err = d.Refund(t.Context(), refund("r13", 4))
		require.NoError(t, err)
	})
}

func TestRefundsThatCannotSucceedAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for field, wrong := range map[string]pay.Refund{
			"Refund.OutRefundNo":   {OutTradeNo: "order-1", OutRefundNo: "a/b", Fen: 1},
			"Refund.OutTradeNo":    {OutRefundNo: "r1", TransactionID: "tx-order-1", Fen: 1},
			"Refund.TotalFen":      {OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 1, TotalFen: 99},
			"Refund.Fen":           {OutTradeNo: "order-1", OutRefundNo: "r1", Fen: -1},
			"Refund.TransactionID": {OutTradeNo: "order-1", OutRefundNo: "r1", TransactionID: "tx-other", Fen: 1},
		} {
			d := newDesk()
			d.placePaid(t, "order-1")
			_, err := d.Refund(t.Context(), wrong)
			f := (*pay.FieldError)(nil)
			require.ErrorAs(t, err, &f, field)
			require.Equal(t, field, f.Field)
			require.Zero(t, d.bank.count("refund"))
		}
		d := newDesk()
		d.place(t, "order-1")
		_, err := d.Refund(t.Context(), refund("r1", 1))
		require.ErrorContains(t, err, "not paid")
		paid := d.bank.payOrder("order-1")
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
		for i := range 50 {
			_, err := d.Refund(t.Context(), refund(fmt.Sprint("r", i), 1))
			require.NoError(t, err)
		}
		_, err = d.Refund(t.Context(), refund("r50", 1))
		require.ErrorContains(t, err, "50 refunds")

		d.placePaid(t, "order-2")
		<-time.After(366 * 24 * time.Hour)
		_, err = d.Refund(t.Context(), pay.Refund{OutTradeNo: "order-2", OutRefundNo: "s1", Fen: 1})
		require.ErrorContains(t, err, "365 days")
	})
}

func TestAnotherRefundWithTheSameNumberIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		_, err := d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
		_, err = d.Refund(t.Context(), refund("r1", 31))
		require.ErrorIs(t, err, pay.ErrChanged)
		require.ErrorContains(t, err, "Refund.Fen")
		f, err := d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
		require.Equal(t, pay.Success, f.State)
		require.Equal(t, 1, d.bank.count("refund"))
	})
}

func TestARefundOfUnknownOutcomeIsQueried(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.placePaid(t, "order-1")
			if arrives {
				d.bank.lose["refund"] = true
			} else {
				d.bank.fail["refund"] = refuse("refund", pay.ErrUnknown)
			}
			_, err := d.Refund(t.Context(), refund("r1", 30))
			require.ErrorIs(t, err, pay.ErrUnknown)
			_, err = d.Refund(t.Context(), refund("r2", 30))
			require.ErrorIs(t, err, pay.ErrUnknown)
			require.ErrorContains(t, err, "out_refund_no r1")
			_, err = d.Refund(t.Context(), refund("r3", 31))
			require.NoError(t, err, "another amount is another refund")
			again := refund("r2", 30)
			again.Repeat = true
			_, err = d.Refund(t.Context(), again)
			require.NoError(t, err)

			d.bank.set(func(b *bank) { clear(b.lose); clear(b.fail) })
			stop := d.run()
			<-time.After(10 * time.Minute)
			stop()
			require.Equal(t, map[string]pay.State{"r1": pay.Success, "r2": pay.Success, "r3": pay.Success}, d.shop.refunded())
			require.Len(t, d.bank.allRefunds(), 3)
		})
	}
}

func TestARefundAfterErrBusyIsSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		d.bank.fail["refund"] = refuse("refund", pay.ErrBusy)
		f, err := d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
		require.Equal(t, pay.Processing, f.State)
		stop := d.run()
		defer stop()
		<-time.After(12 * time.Hour)
		require.Less(t, d.bank.count("refund"), 40, "with a back-off")
		f, err = d.QueryRefund(t.Context(), "r1")
		require.NoError(t, err)
		require.Equal(t, pay.Processing, f.State)
		d.bank.set(func(b *bank) { clear(b.fail) })
		<-time.After(3 * time.Hour)
		require.Equal(t, map[string]pay.State{"r1": pay.Success}, d.shop.refunded())
	})
}

func TestARefundWithoutBalance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		d.bank.balance = 0
		_, err := d.Refund(t.Context(), refund("r1", 60))
		require.ErrorIs(t, err, pay.ErrNotEnough)
		f, err := d.Refund(t.Context(), refund("r1", 60))
		require.NoError(t, err, "its turn has not come")
		require.Equal(t, pay.Processing, f.State)
		stop := d.run()
		defer stop()
		<-time.After(5 * time.Hour)
		require.Contains(t, d.shop.errors(), "balance is too low")
		require.Less(t, d.bank.count("refund"), 9)
		d.bank.set(func(b *bank) { b.balance = 100 })
		<-time.After(2 * time.Hour)
		require.Equal(t, map[string]pay.State{"r1": pay.Success}, d.shop.refunded())
		_, err = d.Refund(t.Context(), refund("r2", 40))
		require.NoError(t, err, "the refused refund is not in the sum")
	})
}

func TestARefundThatWeChatRefusesAfterItWasAcceptedEndsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		_, err := d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
		_, err = d.Refund(t.Context(), refund("r2", 70))
		require.NoError(t, err)
		d.bank.set(func(b *bank) { b.fail["refund"] = &pay.Error{Op: "refund", Status: 400, Code: "INVALID_REQUEST"} })
		stop := d.run()
		<-time.After(10 * time.Minute)
		stop()
		require.Equal(t, map[string]pay.State{"r1": pay.Success, "r2": pay.Closed}, d.shop.refunded())
		closed, err := d.QueryRefund(t.Context(), "r2")
		require.NoError(t, err, "WeChat does not have it")
		require.Equal(t, pay.Closed, closed.State)
		require.Equal(t, int64(70), closed.Fen)
		closed, err = d.Refund(t.Context(), refund("r2", 70))
		require.NoError(t, err)
		require.Equal(t, pay.Closed, closed.State)
		d.bank.set(func(b *bank) { clear(b.fail) })
		_, err = d.Refund(t.Context(), refund("r3", 70))
		require.NoError(t, err, "the amount can be refunded again")
	})
}

func TestTheNumberOfARefusedRefundCanBeUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		d.bank.fail["refund"] = &pay.Error{Op: "refund", Status: 400, Code: "PARAM_ERROR"}
		_, err := d.Refund(t.Context(), refund("r1", 100))
		require.ErrorContains(t, err, "PARAM_ERROR")
		clear(d.bank.fail)
		<-time.After(2 * time.Minute)
		_, err = d.Refund(t.Context(), refund("r1", 99))
		require.NoError(t, err)
		require.Len(t, d.bank.allRefunds(), 1)
	})
}

func TestAnOrderWithoutARecordCanBeRefunded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		_, err := d.Refund(t.Context(), refund("r1", 30))
		require.ErrorIs(t, err, pay.ErrNotFound)
		paid := d.bank.payOrder("order-1")
		_, err = d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
		_, err = d.Refund(t.Context(), refund("r2", 80))
		require.ErrorContains(t, err, "Refund.Fen")
		_, err = d.Query(t.Context(), "order-1")
		require.NoError(t, err)
		require.Zero(t, d.shop.calls(), "a refund does not call OnPaid")
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
		require.Equal(t, 1, d.shop.calls())
		require.False(t, d.shop.transaction("tx-order-1").Known)
		_, err = d.Refund(t.Context(), refund("r2", 80))
		require.ErrorContains(t, err, "Refund.Fen")
	})
}

func TestARefundNamesItsOrderInItsOwnFieldsAlone(t *testing.T) {
	for _, name := range []string{"transaction_id", "out_trade_no", "out_refund_no", "sub_mchid"} {
		f := refund("r1", 30)
		f.Extra = map[string]any{name: "another"}
		require.ErrorContains(t, f.Check(), "Refund.Extra contains "+name)
	}
}

func TestARefundOfAPaymentThatCannotBeRecordedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		d.bank.payOrder("order-1")
		d.records.set(func(f *flaky) { f.readOnly = true })
		_, err := d.Refund(t.Context(), refund("r1", 30))
		require.ErrorIs(t, err, pay.ErrBusy)
		d.records.set(func(f *flaky) { f.readOnly = false })
		_, err = d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
	})
}

func TestANotifiedRefundCallsOnRefundOncePerState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		d.bank.slow = time.Hour
		_, err := d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
		n := pay.Notification{Type: "REFUND.ABNORMAL", Raw: json.RawMessage(`{}`), Refund: &pay.Refund{
			OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 30, MchID: "1900000001", State: pay.Abnormal,
		}}
		for _, state := range []pay.State{pay.Abnormal, pay.Abnormal, pay.Success, pay.Success} {
			n.Refund.State = state
			d.bank.set(func(b *bank) { b.refunds["r1"].State = state })
			require.Equal(t, http.StatusNoContent, d.bank.notify(d.Cashier, n))
		}
		require.Len(t, d.shop.toldRefunds(), 2)
		n.Refund.State = pay.Abnormal // an outdated notification
		require.Equal(t, http.StatusNoContent, d.bank.notify(d.Cashier, n))
		require.Len(t, d.shop.toldRefunds(), 2)
		require.Equal(t, pay.Success, d.shop.toldRefunds()[1].State)
		n.Refund.Fen = 31
		require.Equal(t, http.StatusForbidden, d.bank.notify(d.Cashier, n))

		// One that was made in WeChat's console.
		d.bank.set(func(b *bank) {
			f := refund("console-1", 70)
			f.State = pay.Success
			b.refunds["console-1"] = &f
		})
		n.Refund = &pay.Refund{OutTradeNo: "order-1", OutRefundNo: "console-1", Fen: 70, MchID: "1900000001", State: pay.Success}
		require.Equal(t, http.StatusNoContent, d.bank.notify(d.Cashier, n))
		require.Equal(t, http.StatusNoContent, d.bank.notify(d.Cashier, n))
		require.Len(t, d.shop.toldRefunds(), 3)
		_, err = d.Refund(t.Context(), refund("r2", 1))
		require.ErrorContains(t, err, "Refund.Fen", "it is in the sum")
		n.Refund.OutRefundNo = "forged"
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notify(d.Cashier, n))
	})
}

func TestWaitingRefundsSurviveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, records := newBank("v3/1900000001"), newShop(), new(store.Memory)
		before := deskOn(b, s, new(store.Memory), records)
		before.placePaid(t, "order-1")
		for i := range 3 {
			_, err := before.Refund(t.Context(), refund(fmt.Sprint("r", i), 10))
			require.NoError(t, err)
		}
		<-time.After(time.Hour)
		after := deskOn(b, s, new(store.Memory), records)
		stop := after.run()
		<-time.After(5 * time.Minute)
		stop()
		require.Len(t, s.refunded(), 3)
	})
}

func TestAcceptedRefundsAndTransfersAreNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		d.bank.slow = 24 * time.Hour
		_, err := d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
		_, err = d.Transfer(t.Context(), transfer("t1"))
		require.NoError(t, err)
		d.bank.set(func(b *bank) { clear(b.refunds); clear(b.transfers) })
		stop := d.run()
		defer stop()
		<-time.After(time.Hour)
		_, err = d.Refund(t.Context(), refund("r1", 30))
		require.ErrorIs(t, err, pay.ErrNotFound)
		_, err = d.Transfer(t.Context(), transfer("t1"))
		require.ErrorIs(t, err, pay.ErrNotFound)
		require.Equal(t, 1, d.bank.count("refund"))
		require.Equal(t, 1, d.bank.count("transfer"))
	})
}
