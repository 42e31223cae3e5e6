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

// slowSwap is a store that delays the first Swap of a key with a prefix, and ignores its context.
type slowSwap struct {
	store.Store
	prefix string
	takes  time.Duration
}

func (s *slowSwap) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if s.prefix != "" && strings.HasPrefix(key, s.prefix) {
		s.prefix = ""
		<-time.After(s.takes)
		ctx = context.WithoutCancel(ctx)
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

func TestALateClaimFindsThatTheHookWasCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, shared := newBank("v3/1900000001"), newShop(), new(store.Memory)
		first, second := deskOn(b, s, shared, shared), deskOn(b, s, shared, shared)
		second.Store = &slowSwap{Store: shared, prefix: "pay/hand/", takes: 500 * time.Millisecond}
		s.takes = func(context.Context, int) error {
			<-time.After(100 * time.Millisecond)
			return nil
		}
		first.place(t, "order-1")
		paid := b.payOrder("order-1")
		code := make(chan int)
		go func() { code <- b.notifyPaid(second.Cashier, paid) }()
		require.Equal(t, http.StatusNoContent, b.notifyPaid(first.Cashier, paid))
		require.Equal(t, http.StatusNoContent, <-code)
		require.Equal(t, 1, s.calls())
	})
}

func TestRunKeepsNewEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		slow := &slowQuery{bank: d.bank, no: "order-2"}
		d.Merchants = []pay.Merchant{slow}
		d.place(t, "order-1")
		d.place(t, "order-2")
		require.NoError(t, d.Close(t.Context(), "order-1"))
		<-time.After(30 * time.Second)
		d.shop.takes = func(_ context.Context, call int) error {
			if call == 1 {
				return errors.New("not now")
			}
			return nil
		}
		stop := d.run()
		defer stop()
		<-time.After(2 * time.Second) // order-1 was checked, and the query of order-2 is slow
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-1")))
		<-time.After(time.Minute)
		require.Equal(t, 1, d.shop.count())
	})
}

// slowQuery is a bank with a slow query of one order.
type slowQuery struct {
	*bank
	no string
}

func (s *slowQuery) Query(ctx context.Context, no string) (pay.Transaction, error) {
	if no == s.no {
		<-time.After(5 * time.Second)
	}
	return s.bank.Query(ctx, no)
}

func TestRunChecksAnOrderThatIsWrittenSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		stop := d.run()
		defer stop()
		other := deskOn(d.bank, d.shop, d.claims.Store, d.records.Store)
		other.Records = &slowSwap{Store: d.records.Store, prefix: "pay/1900000001/order/", takes: 25 * time.Second}
		other.place(t, "order-1")
		d.bank.payOrder("order-1")
		<-time.After(time.Minute)
		require.Equal(t, 1, d.shop.count())
	})
}

func TestAPaidOrderStaysPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		require.NoError(t, d.Reverse(t.Context(), "order-1"))
		_, err := d.Query(t.Context(), "order-1")
		require.NoError(t, err)
		_, err = d.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, pay.ErrPaid)
	})
}

func TestAHookThatFailedIsCalledAgainSoon(t *testing.T) {
	for _, age := range []time.Duration{6 * time.Minute, 3 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			stop := d.run()
			defer stop()
			d.place(t, "order-1")
			<-time.After(age)
			var calls []time.Time
			d.shop.takes = func(context.Context, int) error {
				calls = append(calls, time.Now())
				if len(calls) < 12 {
					return errors.New("not now")
				}
				return nil
			}
			require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-1")))
			<-time.After(80 * time.Minute)
			require.Len(t, calls, 12)
			require.Less(t, calls[1].Sub(calls[0]), 30*time.Second)
			require.InDelta(t, 600, calls[11].Sub(calls[10]).Seconds(), 15, "10 minutes in the end")
		})
	}
}

func TestALostClaimDoesNotRepeatAHookAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.shop.takes = func(context.Context, int) error {
			for key := range d.claims.Store.Keys(context.Background(), "") { // as when the store is emptied
				_ = d.claims.Store.Delete(context.Background(), key)
			}
			<-time.After(4 * time.Second)
			return nil
		}
		d.place(t, "order-1")
		paid := d.bank.payOrder("order-1")
		go d.bank.notifyPaid(d.Cashier, paid)
		<-time.After(1500 * time.Millisecond)
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, paid), "the claim is written again within a second")
		<-time.After(4 * time.Second)
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
		require.Equal(t, 1, d.shop.calls())
	})
}

func TestConcurrentOrdersWithOneNumberPlaceOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, shared := newBank("v3/1900000001"), newShop(), new(store.Memory)
		errs := make(chan error, 40)
		for i := range 40 {
			d := deskOn(b, s, shared, &slowSwap{Store: shared, prefix: "pay/1900000001/order/", takes: time.Second})
			go func() {
				o := order("order-1")
				o.Fen += int64(i % 4)
				_, err := d.Prepay(t.Context(), o)
				errs <- err
			}()
		}
		placed := 0
		for range 40 {
			if err := <-errs; err == nil {
				placed++
			} else {
				require.ErrorIs(t, err, pay.ErrChanged)
				require.ErrorContains(t, err, "Order.Fen")
			}
		}
		require.Equal(t, 10, placed)
		require.Equal(t, 10, b.count("prepay"))
	})
}
