package pay_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
)

// slowTransfers is a bank that refuses transfers after 10 s.
type slowTransfers struct{ *bank }

func (b slowTransfers) Transfer(ctx context.Context, t pay.Transfer) (pay.Transfer, error) {
	<-time.After(10 * time.Second)
	return b.bank.Transfer(ctx, t)
}

// A refund that waits for its turn is accepted; its repeat is refused.
func TestAQueuedRefundIsKeptWhenItsRepeatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		_, err := d.Refund(t.Context(), refund("r1", 10))
		require.NoError(t, err)
		queued, err := d.Refund(t.Context(), refund("r2", 60))
		require.NoError(t, err)
		require.Equal(t, pay.Processing, queued.State)
		d.bank.set(func(b *bank) { b.balance = 10 })
		<-time.After(2 * time.Minute)
		_, err = d.Refund(t.Context(), refund("r2", 60))
		require.ErrorIs(t, err, pay.ErrUnknown)
		d.bank.set(func(b *bank) { b.balance = 1000 })
		stop := d.run()
		<-time.After(24 * time.Hour)
		stop()
		require.Equal(t, pay.Success, d.shop.refunded()["r2"])
	})
}

// The repeat of a transfer is told that it is stored. The first call is refused then.
func TestARepeatedTransferThatIsStoredIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.Merchants = []pay.Merchant{slowTransfers{d.bank}}
		d.bank.set(func(b *bank) { b.balance = 10 })
		first := make(chan error)
		go func() {
			_, err := d.Transfer(t.Context(), transfer("t1"))
			first <- err
		}()
		<-time.After(5 * time.Second)
		second := make(chan error)
		go func() {
			_, err := d.Transfer(t.Context(), transfer("t1"))
			second <- err
		}()
		require.ErrorIs(t, <-first, pay.ErrUnknown, "it is stored")
		require.ErrorIs(t, <-second, pay.ErrUnknown)
		has, err := d.HasTransfer(t.Context(), "t1")
		require.NoError(t, err)
		require.True(t, has)
		d.bank.set(func(b *bank) { b.balance = 1000 })
		stop := d.run()
		<-time.After(2 * time.Hour)
		stop()
		require.Contains(t, d.bank.allTransfers(), "t1")
	})
}
