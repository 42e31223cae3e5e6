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
)

func transfer(no string) pay.Transfer {
	return pay.Transfer{
		OutBillNo: no, OpenID: "o1", Fen: 100, SceneID: "1000", Remark: "a prize", UserName: "Li Lei",
		ReportInfos: []pay.ReportInfo{{Type: "活动名称", Content: "lottery"}},
	}
}

func TestATransferIsStoredAndQueriedUntilOnTransferIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		stop := d.run()
		defer stop()
		for range 3 { // its package is returned again
			got, err := d.Transfer(t.Context(), transfer("t1"))
			require.NoError(t, err)
			require.Equal(t, pay.WaitConfirm, got.State)
			require.Equal(t, "package-of-t1", got.Package)
			got, err = d.QueryTransfer(t.Context(), "t1")
			require.NoError(t, err)
			require.Equal(t, "package-of-t1", got.Package)
		}
		require.Equal(t, 1, d.bank.count("transfer"))
		other := transfer("t1")
		other.OpenID = "o2"
		_, err := d.Transfer(t.Context(), other)
		require.ErrorIs(t, err, pay.ErrChanged)
		require.ErrorContains(t, err, "Transfer.OpenID")

		<-time.After(2 * time.Hour)
		require.Empty(t, d.shop.toldTransfers())
		d.bank.set(func(b *bank) { b.transfers["t1"].State = pay.Success })
		<-time.After(2 * time.Hour)
		require.Len(t, d.shop.toldTransfers(), 1)
		require.Empty(t, d.shop.toldTransfers()[0].Package)
		got, err := d.QueryTransfer(t.Context(), "t1")
		require.NoError(t, err)
		require.Equal(t, pay.Success, got.State)
		_, err = d.QueryTransfer(t.Context(), "t2")
		require.ErrorIs(t, err, pay.ErrNotFound)
	})
}

func TestATransferOfUnknownOutcomeIsRepeatedWithItsNumber(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			if arrives {
				d.bank.lose["transfer"] = true
			} else {
				d.bank.fail["transfer"] = refuse("transfer", pay.ErrUnknown)
			}
			_, err := d.Transfer(t.Context(), transfer("t1"))
			require.ErrorIs(t, err, pay.ErrUnknown)
			stop := d.run()
			defer stop()
			<-time.After(time.Minute)
			d.bank.set(func(b *bank) { clear(b.lose); clear(b.fail) })
			<-time.After(time.Hour)
			got, err := d.QueryTransfer(t.Context(), "t1")
			require.NoError(t, err)
			require.Equal(t, pay.WaitConfirm, got.State)
			require.Equal(t, int64(1<<40-100), d.bank.balance)
		})
	}
}

func TestTheNumberOfARefusedTransferCanBeUsedAgain(t *testing.T) {
	d := newDesk()
	d.bank.balance = 0
	_, err := d.Transfer(t.Context(), transfer("t1"))
	require.ErrorIs(t, err, pay.ErrNotEnough)
	d.bank.fail["query transfer"] = refuse("query transfer", pay.ErrBusy)
	_, err = d.Transfer(t.Context(), transfer("t1"))
	require.ErrorIs(t, err, pay.ErrUnknown, "its record stays")
	require.NotErrorIs(t, err, pay.ErrNotEnough)
	corrected := transfer("t1")
	corrected.Fen = 50
	_, err = d.Transfer(t.Context(), corrected)
	require.ErrorIs(t, err, pay.ErrChanged, "while WeChat may have it the number is not free")
}

func TestATransferMayBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		_, err := d.Transfer(t.Context(), transfer("t1"))
		require.NoError(t, err)
		got, err := d.CancelTransfer(t.Context(), "t1")
		require.NoError(t, err)
		require.Equal(t, pay.Canceling, got.State)
		require.Empty(t, got.Package)
		d.bank.set(func(b *bank) { b.transfers["t1"].State = pay.Cancelled })
		stop := d.run()
		<-time.After(time.Minute)
		stop()
		require.Len(t, d.shop.toldTransfers(), 1)
		require.Equal(t, pay.Cancelled, d.shop.toldTransfers()[0].State)
	})
}

func TestANotifiedTransferIsQueriedAndCallsOnTransferOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		_, err := d.Transfer(t.Context(), transfer("t1"))
		require.NoError(t, err)
		n := pay.Notification{Type: "MCHTRANSFER.BILL.FINISHED", Raw: json.RawMessage(`{"out_bill_no":"t1","state":"SUCCESS"}`)}
		require.Equal(t, http.StatusNoContent, d.bank.notify(d.Cashier, n))
		require.Empty(t, d.shop.toldTransfers(), "the query returns another state")
		d.bank.set(func(b *bank) { b.transfers["t1"].State = pay.Success })
		for range 3 {
			require.Equal(t, http.StatusNoContent, d.bank.notify(d.Cashier, n))
		}
		require.Len(t, d.shop.toldTransfers(), 1)
		n.Raw = json.RawMessage(`{"out_bill_no":"t2"}`)
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notify(d.Cashier, n))
		n.Raw = json.RawMessage(`{}`)
		require.Equal(t, http.StatusForbidden, d.bank.notify(d.Cashier, n))
	})
}

func TestRunQueriesATransferForThirtyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		_, err := d.Transfer(t.Context(), transfer("t1"))
		require.NoError(t, err)
		<-time.After(30*24*time.Hour + time.Hour)
		stop := d.run()
		<-time.After(time.Hour)
		stop()
		require.Contains(t, d.shop.errors(), "a person must look")
		require.Len(t, d.shop.errs, 1)
		require.Zero(t, d.bank.count("query transfer"))
		d.bank.set(func(b *bank) { clear(b.transfers) })
		_, err = d.Transfer(t.Context(), transfer("t1"))
		require.ErrorIs(t, err, pay.ErrUnknown)
		_, err = d.QueryTransfer(t.Context(), "t1")
		require.ErrorIs(t, err, pay.ErrUnknown)
		require.Equal(t, 1, d.bank.count("transfer"), "it is never sent again")
	})
}

func TestATransferIsChecked(t *testing.T) {
	for field, change := range map[string]func(*pay.Transfer){
		"Transfer.OutBillNo": func(t *pay.Transfer) { t.OutBillNo = "t-1" },
		"Transfer.OpenID":    func(t *pay.Transfer) { t.OpenID = "" },
		"Transfer.SceneID":   func(t *pay.Transfer) { t.SceneID = "" },
		"Transfer.Remark":    func(t *pay.Transfer) { t.Remark = "123456789012345678901234567890123" },
		"Transfer.Fen":       func(t *pay.Transfer) { t.Fen = 9 },
		"Transfer.UserName":  func(t *pay.Transfer) { t.Fen, t.UserName = 200_000, "" },
		"Transfer.NotifyURL": func(t *pay.Transfer) { t.NotifyURL = "http://shop.example.com" },
	} {
		d := newDesk()
		wrong := transfer("t1")
		change(&wrong)
		_, err := d.Transfer(t.Context(), wrong)
		f := (*pay.FieldError)(nil)
		require.ErrorAs(t, err, &f, field)
		require.Equal(t, field, f.Field)
	}
}

func TestATransferPrintsWithoutTheUsersName(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, transfer("t1")), "Li Lei")
	}
}
