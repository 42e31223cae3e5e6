package pay_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/pay"
)

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

// WeChat refused our order, since the number is that of another order.
func TestAnOrderOfAnotherSystemIsNotSettledAsOurs(t *testing.T) {
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

func TestRunClosesNoOrderOfAnotherSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		stop := d.run()
		defer stop()
		elsewhere(t, d)
		<-time.After(10 * time.Minute)
		require.Zero(t, d.bank.count("close"), "Run has closed the order of another system")
	})
}

// slowRefund is a bank whose refunds take 10 s to be refused.
type slowRefund struct{ *bank }

func (b slowRefund) Refund(ctx context.Context, f pay.Refund) (pay.Refund, error) {
	<-time.After(10 * time.Second)
	return b.bank.Refund(ctx, f)
}

// The client repeats a refund after 5 s. The first call is then refused.
func TestARepeatedRefundThatIsAcceptedIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.Merchants = []pay.Merchant{slowRefund{d.bank}}
		stop := d.run()
		defer stop()
		d.placePaid(t, "order-1")
		d.bank.set(func(b *bank) { b.balance = 10 })
		first := make(chan error)
		go func() {
			_, err := d.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 60})
			first <- err
		}()
		<-time.After(5 * time.Second)
		second, err := d.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 60})
		require.NoError(t, err)
		require.Equal(t, pay.Processing, second.State)
		require.ErrorIs(t, <-first, pay.ErrUnknown)
		d.bank.set(func(b *bank) { b.balance = 1000 })
		<-time.After(2 * time.Hour)
		got, err := d.QueryRefund(t.Context(), "r1")
		require.NoError(t, err)
		require.Equal(t, pay.Success, got.State)
	})
}

// The order names shop 108 in Extra, and shop 109 was paid.
func TestAPaymentOfAnotherShopOfTheProviderIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		o := order("order-1")
		o.Extra = map[string]any{"sub_mch_id": "1900000108"}
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		paid := d.bank.payOrder("order-1")
		paid.SubMchID, paid.TransactionID, paid.Raw = "1900000109", "tx-of-another-shop", json.RawMessage(`{}`)
		status := d.bank.notifyPaid(d.Cashier, paid)
		require.Zero(t, d.shop.calls(), "status %d", status)
	})
}
