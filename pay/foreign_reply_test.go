package pay_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

// foreignRefunds are refunds of another system under a number of ours, by the field in which they differ.
var foreignRefunds = map[string]func(*pay.Refund){
	"Refund.OutTradeNo":    func(f *pay.Refund) { f.OutTradeNo = "order-9" },
	"Refund.TransactionID": func(f *pay.Refund) { f.TransactionID = "tx-other" },
	"Refund.Fen":           func(f *pay.Refund) { f.Fen = 5 },
	"Refund.TotalFen":      func(f *pay.Refund) { f.TotalFen = 70 },
}

func TestAReplyAboutAnotherRefundIsChanged(t *testing.T) {
	for field, change := range foreignRefunds {
		for _, by := range []string{"refund", "query", "run"} {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk()
				d.placePaid(t, "order-1")
				ours := refundOf("tx-order-1", "r1", 60)
				if by != "refund" {
					d.bank.set(func(b *bank) { b.fail["refund"] = refuse("refund", pay.ErrUnknown) }) // did not arrive
					_, err := d.Refund(t.Context(), ours)
					require.ErrorIs(t, err, pay.ErrUnknown)
				}
				foreign := ours
				foreign.TotalFen, foreign.State = 100, pay.Success
				change(&foreign)
				d.bank.set(func(b *bank) { delete(b.fail, "refund"); b.refunds["r1"] = &foreign })
				var err error
				switch by {
				case "refund":
					_, err = d.Refund(t.Context(), ours)
				case "query":
					var f pay.Refund
					f, err = d.QueryRefund(t.Context(), "r1")
					require.NotEqual(t, pay.Success, f.State)
				case "run":
					stop := d.run()
					<-time.After(time.Hour)
					stop()
					require.Equal(t, map[string]pay.State{"r1": pay.Closed}, d.shop.refunded())
					require.Contains(t, d.shop.errors(), field)
					return
				}
				require.ErrorIs(t, err, pay.ErrChanged)
				require.ErrorContains(t, err, field)
				status := http.StatusForbidden
				if by == "refund" { // its record is gone: the refund is somebody's, of an order of ours
					status = http.StatusNoContent
				}
				if field != "Refund.OutTradeNo" {
					require.Equal(t, status, d.bank.notify(d.Cashier, pay.Notification{ID: "n", Type: "REFUND.SUCCESS", Refund: &foreign, Raw: json.RawMessage(`{}`)}))
				}
			})
		}
	}
}

func TestAReplyAboutAnotherTransferIsChanged(t *testing.T) {
	for field, change := range map[string]func(*pay.Transfer){
		"Transfer.OpenID": func(f *pay.Transfer) { f.OpenID = "somebody-else" },
		"Transfer.Fen":    func(f *pay.Transfer) { f.Fen = 10 },
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.bank.set(func(b *bank) { b.fail["transfer"] = refuse("transfer", pay.ErrUnknown) }) // did not arrive
			_, err := d.Transfer(t.Context(), transfer("t1"))
			require.ErrorIs(t, err, pay.ErrUnknown)
			foreign := transfer("t1")
			foreign.State = pay.WaitConfirm
			change(&foreign)
			d.bank.set(func(b *bank) { delete(b.fail, "transfer"); b.transfers["t1"] = &foreign })
			for _, call := range []func() (pay.Transfer, error){
				func() (pay.Transfer, error) { return d.Transfer(t.Context(), transfer("t1")) },
				func() (pay.Transfer, error) { return d.QueryTransfer(t.Context(), "t1") },
				func() (pay.Transfer, error) { return d.CancelTransfer(t.Context(), "t1") },
			} {
				got, err := call()
				require.ErrorIs(t, err, pay.ErrChanged)
				require.ErrorContains(t, err, field)
				require.Equal(t, pay.Processing, got.State)
			}
			require.Zero(t, d.bank.count("cancel transfer"), "it is not ours to cancel")
			d.bank.set(func(b *bank) { b.transfers["t1"].State = pay.Success })
			require.Equal(t, http.StatusForbidden, d.bank.notify(d.Cashier, pay.Notification{
				ID: "n", Type: "MCHTRANSFER.BILL.FINISHED", Raw: json.RawMessage(`{"out_bill_no":"t1"}`),
			}))
			require.Empty(t, d.shop.toldTransfers())

			foreign.OutBillNo = "t2"
			d.bank.set(func(b *bank) {
				b.transfers["t2"] = &foreign
				b.fail["transfer"] = refuse("transfer", pay.ErrChanged)
			})
			_, err = d.Transfer(t.Context(), transfer("t2"))
			require.ErrorIs(t, err, pay.ErrChanged)
			_, err = d.QueryTransfer(t.Context(), "t2")
			require.ErrorIs(t, err, pay.ErrNotFound, "nothing is stored")
		})
	}
}

func TestAForeignRefundIsNotOursOverTheWire(t *testing.T) {
	for name, merchants := range map[string]func(bothVersions) []pay.Merchant{
		"v3": func(b bothVersions) []pay.Merchant { return []pay.Merchant{b.v3} }, "v2": onlyV2,
	} {
		t.Run(name, func(t *testing.T) {
			inWorldOfBoth(t, payv2.HMACSHA256, merchants, func(t *testing.T, w *world, both bothVersions) {
				for _, no := range []string{"order-9", "order-1"} {
					_, err := w.Prepay(t.Context(), order(no))
					require.NoError(t, err)
					_, err = w.Pay(testMchID, no, "o1")
					require.NoError(t, err)
				}
				synctest.Wait()
				_, err := merchants(both)[0].Refund(t.Context(), pay.Refund{
					OutTradeNo: "order-9", OutRefundNo: "r2", Fen: 5, TotalFen: 100, NotifyURL: "https://old.example.com/x",
				})
				require.NoError(t, err)
				require.NoError(t, w.FinishRefund(testMchID, "r2", "SUCCESS"))
				<-time.After(2 * time.Minute)
				for _, f := range []pay.Refund{refund("r1", 10), refund("r2", 60)} {
					_, err = w.Refund(t.Context(), f)
					require.NoError(t, err, "the second waits for its minute")
				}
				_, err = w.QueryRefund(t.Context(), "r2")
				require.ErrorIs(t, err, pay.ErrChanged)
				require.ErrorContains(t, err, "Refund.OutTradeNo")
				<-time.After(2 * time.Hour)
				require.Equal(t, pay.Closed, w.shop.refunded()["r2"])
			})
		})
	}
}
