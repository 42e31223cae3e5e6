package pay_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

// clock is a bank that records the times of its queries.
type clock struct {
	*bank
	mu    sync.Mutex
	begun time.Time
	asked []time.Duration
}

func (c *clock) Query(ctx context.Context, no string) (pay.Transaction, error) {
	c.mu.Lock()
	c.asked = append(c.asked, time.Since(c.begun).Truncate(10*time.Second))
	c.mu.Unlock()
	return c.bank.Query(ctx, no)
}

func TestRunQueriesAnUnpaidOrderAndClosesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		c := &clock{bank: d.bank, begun: time.Now()}
		d.Merchants = []pay.Merchant{c}
		stop := d.run()
		defer stop()
		o := order("order-1")
		o.ExpiresAt = time.Now().Add(4 * time.Hour)
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		<-time.After(5 * time.Hour)
		minutes := func(m float64) time.Duration { return time.Duration(m * float64(time.Minute)) }
		want := []time.Duration{
			10 * time.Second, 30 * time.Second, minutes(1), minutes(3), minutes(5), minutes(10), minutes(30),
			minutes(90), minutes(150), minutes(210), minutes(240),
		}
		require.Len(t, c.asked, len(want))
		for i := range want {
			require.InDelta(t, want[i].Seconds(), c.asked[i].Seconds(), 10)
		}
		require.Equal(t, 1, d.bank.count("close"))
		require.Equal(t, pay.Closed, d.bank.allOrders()["order-1"].State)
		_, err = d.Prepay(t.Context(), o)
		require.ErrorIs(t, err, pay.ErrClosed)
		require.Empty(t, keysWith(t, d, "pay/due/"), "no record is due")

		<-time.After(time.Minute)
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-1")))
		require.Equal(t, "closed", d.shop.transaction("tx-order-1").Late)
	})
}

func keysWith(t *testing.T, d *desk, prefix string) (keys []string) {
	for key, err := range d.records.Store.Keys(t.Context(), prefix) {
		require.NoError(t, err)
		raw, _, err := d.records.Store.Get(t.Context(), key)
		require.NoError(t, err)
		if string(raw) != `{"v":1,"due":{}}` {
			keys = append(keys, key+" "+string(raw))
		}
	}
	return keys
}

func TestRunFindsAPaymentWithoutANotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		stop := d.run()
		defer stop()
		d.place(t, "order-1")
		<-time.After(5 * time.Second)
		d.bank.payOrder("order-1")
		<-time.After(15 * time.Second)
		require.Equal(t, 1, d.shop.count())
		<-time.After(time.Hour)
		require.Equal(t, 1, d.shop.calls())
		require.Less(t, d.bank.count("query"), 3)
	})
}

func TestRunFindsAPaymentJustBeforeTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		stop := d.run()
		defer stop()
		o := order("order-1")
		o.ExpiresAt = time.Now().Add(time.Hour)
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		<-time.After(time.Hour)
		d.bank.payOrder("order-1")
		<-time.After(time.Minute)
		require.Equal(t, 1, d.shop.count())
		require.Empty(t, d.shop.transaction("tx-order-1").Late)
	})
}

func TestRunReversesAnExpiredOrderOfAPaymentCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		stop := d.run()
		defer stop()
		o := order("order-1")
		o.Trade, o.AuthCode = pay.Code, "130000000000000000"
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		<-time.After(61 * time.Minute)
		require.Equal(t, pay.Reversed, d.bank.allOrders()["order-1"].State)
		require.Empty(t, keysWith(t, d, "pay/due/"))
	})
}

func TestAnOrderThatWeChatClosedIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		stop := d.run()
		defer stop()
		d.place(t, "order-1")
		d.bank.set(func(b *bank) { b.orders["order-1"].State = pay.Closed })
		<-time.After(time.Minute)
		_, err := d.Prepay(t.Context(), order("order-1"))
		require.ErrorIs(t, err, pay.ErrClosed)
		require.Empty(t, keysWith(t, d, "pay/due/"))
	})
}

func TestRunContinuesWhileWeChatIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.place(t, "order-1")
		d.bank.payOrder("order-1")
		d.bank.set(func(b *bank) {
			for _, op := range []string{"query", "close"} {
				b.fail[op] = refuse(op, pay.ErrUnknown)
			}
		})
		stop := d.run()
		defer stop()
		<-time.After(40 * time.Minute)
		require.Zero(t, d.shop.calls())
		d.bank.set(func(b *bank) { clear(b.fail) })
		<-time.After(time.Hour)
		require.Equal(t, 1, d.shop.count())
	})
}

func TestOneRunWorksAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, claims, records := newBank("v3/1900000001"), newShop(), new(store.Memory), new(store.Memory)
		var desks []*desk
		for range 4 {
			d := deskOn(b, s, claims, records)
			desks = append(desks, d)
			defer d.run()()
		}
		for i := range 20 {
			desks[0].place(t, fmt.Sprint("order-", i))
		}
		<-time.After(65 * time.Second)
		require.Equal(t, 60, b.count("query"), "after 10 s, 30 s and 1 minute")
		reads := 0
		for _, d := range desks {
			d.records.set(func(f *flaky) { reads += f.ops })
		}
		require.Less(t, reads, 1000)
	})
}

func TestAnotherRunTakesOverFromOneThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, claims, records := newBank("v3/1900000001"), newShop(), new(store.Memory), new(store.Memory)
		first, second := deskOn(b, s, claims, records), deskOn(b, s, claims, records)
		stopFirst := first.run()
		synctest.Wait()
		defer second.run()()
		first.place(t, "order-1")
		first.claims.set(func(f *flaky) { f.away = true }) // it cannot release its lease
		first.records.set(func(f *flaky) { f.away = true })
		stopFirst()
		b.payOrder("order-1")
		<-time.After(time.Minute)
		require.Equal(t, 1, s.count())
	})
}

func TestOneWatchServesManyApps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claims, records := new(store.Memory), new(store.Memory)
		apps := map[string]*desk{}
		for i := range 30 {
			d := deskOn(newBank(fmt.Sprintf("v3/19000000%02d", i)), newShop(), claims, records)
			d.App = fmt.Sprint("app-", i)
			apps[d.App] = d
			d.place(t, "order-1")
			d.bank.payOrder("order-1")
		}
		var mu sync.Mutex
		known := 29
		watch := &pay.Watch{Store: claims, Records: records, Cashier: func(app string) *pay.Cashier {
			mu.Lock()
			defer mu.Unlock()
			if app == "app-29" && known < 30 {
				return nil
			}
			return apps[app].Cashier
		}}
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() { done <- watch.Run(ctx) }()
		<-time.After(time.Minute)
		for app, d := range apps {
			require.Equal(t, app != "app-29", d.shop.count() == 1, app)
		}
		mu.Lock()
		known = 30
		mu.Unlock()
		<-time.After(time.Minute)
		require.Equal(t, 1, apps["app-29"].shop.count(), "it waited for a process that has the app")
		cause := errors.New("shutdown")
		cancel(cause)
		require.ErrorIs(t, <-done, cause)
	})
}

func TestRunIgnoresOtherApps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, claims, records := newBank("v3/1900000001"), new(store.Memory), new(store.Memory)
		one, two := deskOn(b, newShop(), claims, records), deskOn(b, newShop(), claims, records)
		one.App, two.App = "one", "two"
		one.place(t, "order-1")
		two.place(t, "order-2")
		b.payOrder("order-1")
		b.payOrder("order-2")
		stop := one.run()
		<-time.After(5 * time.Minute)
		require.Equal(t, 1, one.shop.count())
		require.Zero(t, two.shop.count())
		defer two.run()()
		<-time.After(time.Minute)
		stop()
		require.Equal(t, 1, two.shop.count())
	})
}

func TestAHangingHookDoesNotDelayOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		release := make(chan struct{})
		d.OnPaid = func(ctx context.Context, paid pay.Transaction) error {
			if paid.OutTradeNo == "order-0" {
				<-release
			}
			return d.shop.onPaid(ctx, paid)
		}
		for i := range 40 {
			d.place(t, fmt.Sprint("order-", i))
			d.bank.payOrder(fmt.Sprint("order-", i))
		}
		stop := d.run()
		<-time.After(10 * time.Minute)
		require.Equal(t, 39, d.shop.count())
		close(release)
		<-time.After(time.Minute)
		stop()
		require.Equal(t, 40, d.shop.count())
		require.Equal(t, 40, d.shop.calls())
	})
}

func TestManyOpenOrdersNeedFewReadsAndNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		const orders = 1000
		for i := range orders {
			d.place(t, fmt.Sprint("order-", i))
		}
		stop := d.run()
		defer stop()
		<-time.After(31 * time.Minute)
		require.Less(t, runtime.NumGoroutine(), 30)
		queries, ops := d.bank.count("query"), 0
		d.records.set(func(f *flaky) { f.ops = 0 })
		<-time.After(10 * time.Minute)
		d.records.set(func(f *flaky) { ops = f.ops })
		require.Equal(t, 7*orders, queries)
		require.Equal(t, queries, d.bank.count("query"), "none is due")
		require.LessOrEqual(t, ops, 64*61, "64 lists in 10 s")
	})
}
