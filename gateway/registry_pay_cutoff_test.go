package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// A process ends while a PUT or a DELETE waits: the app takes no orders until another change is made, or two minutes have passed.
func TestAnAppWhoseChangeWasCutOffTakesOrdersAgain(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-0"))
		require.Equal(t, http.StatusOK, status, got)
		status, got = call(t, d.second, wideKey, "POST /app/later/pay/orders/order-0/close", "")
		require.Equal(t, http.StatusOK, status, got)
		require.NoError(t, gateway.CloseForChange(t.Context(), d.first, "later"))
		advance(2 * time.Second)
		status, got = call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusServiceUnavailable, status, got)
		require.Contains(t, got["errmsg"], "are being changed")
		_, err := d.first.Apps().Put(t.Context(), "later", laterApp("m2"), "")
		require.NoError(t, err)
		advance(2 * time.Second)
		status, got = call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status, got)

		require.NoError(t, gateway.CloseForChange(t.Context(), d.first, "later"))
		advance(100 * time.Second)
		status, got = call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-2"))
		require.Equal(t, http.StatusServiceUnavailable, status, got)
		advance(40 * time.Second)
		status, got = call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-2"))
		require.Equal(t, http.StatusOK, status, got)
	})
}

// A caller uses pay/api alone: the app is read again for it, too.
func TestCallsOfTheAPIAreServedAfterAChangeWasCutOff(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-0"))
		require.Equal(t, http.StatusOK, status, got)
		query := "GET /app/later/pay/api/v3/pay/transactions/out-trade-no/order-0?mchid=" + mchID
		require.NoError(t, gateway.CloseForChange(t.Context(), d.second, "later"))
		advance(2 * time.Second)
		status, got = call(t, d.first, wideKey, query, "")
		require.Equal(t, http.StatusServiceUnavailable, status, got)
		advance(2 * time.Minute)
		status, got = call(t, d.first, wideKey, query, "")
		require.Equal(t, http.StatusOK, status, got)
	})
}

// Orders are refused while an app is closed, and the next one comes an hour later.
func TestTheFirstOrderLongAfterAChangeWasCutOffIsTaken(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		require.NoError(t, gateway.CloseForChange(t.Context(), d.first, "later"))
		for _, pause := range []time.Duration{30 * time.Second, time.Second} {
			advance(pause)
			status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
			require.Equal(t, http.StatusServiceUnavailable, status, got)
		}
		advance(time.Hour)
		status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status, got)
	})
}

// sleepingStore delays the removal of an app, as a machine does that is suspended before it: its clock stops, so no context ends.
type sleepingStore struct {
	store.Store
	asleep, wake chan struct{}
}

func (s *sleepingStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if strings.HasPrefix(key, "registry/app/") && new == nil {
		close(s.asleep)
		<-s.wake
		ctx = context.WithoutCancel(ctx)
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

func (s *sleepingStore) Sealed() bool { return true }

func TestADeletionAfterASleepRemovesNoAppWithAnOpenOrder(t *testing.T) {
	s := new(sleepingStore)
	runTills(t, func(t *testing.T, d *tills) {
		s.asleep, s.wake = make(chan struct{}), make(chan struct{})
		d.register(t)
		deleted := make(chan error, 1)
		go func() { deleted <- d.second.Apps().Delete(t.Context(), "later", "") }()
		<-s.asleep
		advance(130 * time.Second)
		status, got := call(t, d.first, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status, got)
		close(s.wake)
		require.Error(t, <-deleted)
		_, err := d.first.Apps().Get(t.Context(), "later")
		require.NoError(t, err)
		status, got = call(t, d.first, wideKey, "POST /app/later/pay/orders/order-1/close", "")
		require.Equal(t, http.StatusOK, status, got)
	}, func(o *gateway.Options) { s.Store = o.Records; o.Records = s })
}
