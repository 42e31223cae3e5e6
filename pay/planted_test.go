package pay_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
)

// TestAPaymentOfAnotherShopOfTheProviderIsNotListed: the order names shop 108 in Extra, and shop 109 was paid.
func TestAPaymentOfAnotherShopOfTheProviderIsNotListed(t *testing.T) {
	for _, name := range []string{"sub_mch_id", "sub_mchid"} {
		d := newDesk()
		o := order("order-1")
		o.Extra = map[string]any{name: "1900000108"}
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		paid := d.bank.payOrder("order-1")
		paid.SubMchID, paid.TransactionID, paid.Raw = "1900000109", "tx-of-another-shop", json.RawMessage(`{}`)
		require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, paid))
		require.Zero(t, d.shop.calls())
		refused, err := d.Refused(t.Context())
		require.NoError(t, err)
		require.Empty(t, refused, "it is not ours to refund")
		paid.SubMchID, paid.TransactionID = "1900000108", "tx-order-1"
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
		require.Equal(t, 1, d.shop.calls())
	}
}

// An app places an order under the number of another app's order, but the reply of WeChat, a refusal, is lost: the record stays.
func TestAnOrderOfAnotherAppIsNeitherShownNorEnded(t *testing.T) {
	for name, change := range map[string]func(*pay.Transaction){
		"another app": func(o *pay.Transaction) { o.AppID = "wx-of-another" },
		"amount":      func(o *pay.Transaction) { o.Fen = 10_000 },
	} {
		for _, paid := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk()
				d.AppID = "wx1"
				d.bank.set(func(b *bank) { b.fail["prepay"] = refuse("prepay", pay.ErrUnknown) })
				o := order("order-1")
				o.Trade, o.AuthCode = pay.Code, "134"
				_, err := d.Prepay(t.Context(), o)
				require.ErrorIs(t, err, pay.ErrUnknown)
				theirs := &pay.Transaction{OutTradeNo: "order-1", AppID: "wx1", MchID: d.bank.mchID(), State: pay.NotPaid, Fen: 100, Trade: pay.Code}
				change(theirs)
				d.bank.set(func(b *bank) { b.orders["order-1"] = theirs })
				if paid {
					d.bank.payOrder("order-1")
				}
				require.ErrorIs(t, d.Close(t.Context(), "order-1"), pay.ErrChanged)
				require.ErrorIs(t, d.Reverse(t.Context(), "order-1"), pay.ErrChanged)
				if name != "amount" {
					_, err = d.Query(t.Context(), "order-1")
					require.ErrorIs(t, err, pay.ErrChanged)
					_, err = d.Refund(t.Context(), refund("r1", 30))
					require.ErrorIs(t, err, pay.ErrChanged)
				}
				stop := d.run()
				<-time.After(48 * time.Hour)
				stop()
				require.ErrorIs(t, d.Reverse(t.Context(), "order-1"), pay.ErrChanged, "Run has closed our record alone")
				require.Zero(t, d.bank.count("close")+d.bank.count("reverse")+d.bank.count("refund"))
				require.Zero(t, d.shop.calls())
				refused, err := d.Refused(t.Context())
				require.NoError(t, err)
				require.Equal(t, paid && name == "amount", len(refused) > 0, "a payment of another app is not listed, with its payer")
			})
		}
	}
}

// dropping is a bank that refuses to place an order of trade code although it has, as if the first reply was lost.
type dropping struct {
	*bank
	cause pay.Cause
}

func (b dropping) Prepay(ctx context.Context, o pay.Order) (pay.Prepaid, error) {
	if _, err := b.bank.Prepay(ctx, o); err != nil {
		return pay.Prepaid{}, err
	}
	b.payOrder(o.OutTradeNo)
	return pay.Prepaid{}, refuse("prepay", b.cause)
}

func TestAPaidCodeWhoseFirstReplyWasLostIsOurs(t *testing.T) {
	o := order("order-1")
	o.Trade, o.AuthCode = pay.Code, "134"
	for _, cause := range []pay.Cause{pay.ErrPaid, pay.ErrChanged} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.Merchants = []pay.Merchant{dropping{d.bank, cause}}
			stop := d.run()
			defer stop()
			_, err := d.Prepay(t.Context(), o)
			require.ErrorIs(t, err, cause)
			<-time.After(time.Hour)
			require.Equal(t, 1, d.shop.calls())
			require.True(t, d.shop.transaction("tx-order-1").Known)
		})
	}
	synctest.Test(t, func(t *testing.T) { // one of another system, which was paid before
		d := newDesk()
		_, err := d.bank.Prepay(t.Context(), o)
		require.NoError(t, err)
		d.bank.payOrder("order-1")
		<-time.After(time.Hour)
		stop := d.run()
		defer stop()
		_, err = d.Prepay(t.Context(), o)
		require.ErrorIs(t, err, pay.ErrPaid)
		<-time.After(time.Hour)
		require.Zero(t, d.shop.calls())
	})
}
