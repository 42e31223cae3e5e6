package pay_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
)

// endCode ends an order of trade code whose call is still under way to WeChat.
func (d *desk) endCode(t *testing.T, end func(*pay.Cashier, context.Context, string) error) {
	o := order("order-1")
	o.Trade, o.AuthCode = pay.Code, "134"
	d.bank.set(func(b *bank) { b.fail["prepay"] = refuse("prepay", pay.ErrUnknown) })
	_, err := d.Prepay(t.Context(), o)
	require.ErrorIs(t, err, pay.ErrUnknown)
	require.NoError(t, end(d.Cashier, t.Context(), "order-1"), "WeChat does not have it")
}

func TestAPaymentCodeThatIsPaidAfterItsEndIsLate(t *testing.T) {
	for name, end := range map[string]func(*pay.Cashier, context.Context, string) error{
		"reverse": (*pay.Cashier).Reverse, "close": (*pay.Cashier).Close,
	} {
		for _, after := range []time.Duration{0, 20 * time.Second, 50 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk()
				d.endCode(t, end)
				stop := d.run()
				defer stop()
				<-time.After(after)
				d.bank.payOrder("order-1") // without a notification
				<-time.After(2 * time.Hour)
				require.Equal(t, 1, d.shop.count(), "%s, paid after %v", name, after)
				require.Equal(t, "closed", d.shop.transaction("tx-order-1").Late)
				asked := d.bank.count("query")
				<-time.After(24 * time.Hour)
				require.Equal(t, asked, d.bank.count("query"))
				require.Equal(t, 1, d.shop.calls())
			})
		}
	}
}

func TestAPaymentCodeThatArrivesAfterItsReverseIsReversed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.endCode(t, (*pay.Cashier).Reverse)
		d.bank.set(func(b *bank) {
			b.orders["order-1"] = &pay.Transaction{OutTradeNo: "order-1", AppID: "wx1", MchID: b.mchID(), State: pay.UserPaying, Fen: 100, Trade: pay.Code}
		})
		stop := d.run()
		defer stop()
		<-time.After(2 * time.Hour)
		require.Equal(t, pay.Reversed, d.bank.allOrders()["order-1"].State, "before the payer confirms")
		require.Equal(t, 2, d.bank.count("reverse"))
		require.Zero(t, d.shop.calls())
	})
}

func TestAnotherReverseReturnsThePaymentThatArrivedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.endCode(t, (*pay.Cashier).Reverse)
		require.NoError(t, d.Reverse(t.Context(), "order-1"))
		d.bank.payOrder("order-1")
		require.NoError(t, d.Reverse(t.Context(), "order-1"))
		require.Equal(t, pay.Reversed, d.bank.allOrders()["order-1"].State)
		stop := d.run()
		defer stop()
		<-time.After(2 * time.Hour)
		require.Zero(t, d.shop.calls())
		require.Equal(t, 3, d.bank.count("reverse"))
	})
}

func TestAPaymentCodeThatNeverArrivesIsQueriedForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.endCode(t, (*pay.Cashier).Reverse)
		stop := d.run()
		defer stop()
		<-time.After(48 * time.Hour)
		require.Equal(t, 9, d.bank.count("query"))
		require.Equal(t, "[]", d.shop.errors())
	})
}

func TestAReversedPaymentCodeIsNotQueriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		o := order("order-1")
		o.Trade, o.AuthCode = pay.Code, "134"
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		require.NoError(t, d.Reverse(t.Context(), "order-1"))
		stop := d.run()
		defer stop()
		<-time.After(48 * time.Hour)
		require.Zero(t, d.bank.count("query"))
		require.Equal(t, 1, d.bank.count("reverse"))
	})
}
