package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// unsureStore makes writes of apps that are closing, and loses the answers while lose is set. While slow is set, it takes 2 seconds for
// each read of the changes, which is more than their reader waits. While late is set, it takes a second for each write of payments.
type unsureStore struct {
	store.Store
	lose, slow, late atomic.Bool
}

func (s *unsureStore) Sealed() bool { return true }

func (s *unsureStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if s.slow.Load() && key == "registry/changes" {
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	return s.Store.Get(ctx, key)
}

func (s *unsureStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if s.late.Load() && strings.HasPrefix(key, "pay/") {
		<-time.After(time.Second)
	}
	swapped, err := s.Store.Swap(ctx, key, old, new, ttl)
	if s.lose.Load() && strings.HasPrefix(key, "registry/app/") && bytes.Contains(new, []byte(`"closing_until"`)) {
		return false, errors.New("the answer is lost")
	}
	return swapped, err
}

// placeLate has a gateway, whose records are s, place an order of the app later. The order is written after it was checked, and until then
// an app may be closed. It returns a function that waits for the order.
func (s *unsureStore) placeLate(t *testing.T, g *gateway.Gateway, no string) (wait func()) {
	t.Helper()
	s.late.Store(true)
	placed := make(chan struct{})
	var status int
	var got map[string]any
	go func() {
		defer close(placed)
		status, got = call(t, g, wideKey, "POST /app/later/pay/orders", orderOf(no))
	}()
	synctest.Wait()
	return func() {
		t.Helper()
		s.late.Store(false)
		<-placed
		require.Equal(t, http.StatusOK, status, got)
	}
}

// changesThatClose are changes of the app later that close its payments.
var changesThatClose = map[string]func(context.Context, *gateway.Gateway) error{
	"put": func(ctx context.Context, g *gateway.Gateway) error {
		next := laterApp("m2")
		next.Pay = nil
		_, err := g.Apps().Put(ctx, "later", next, "")
		return err
	},
	"delete": func(ctx context.Context, g *gateway.Gateway) error { return g.Apps().Delete(ctx, "later", "") },
}

// The change fails, so the app stays as it is, and takes orders.
func TestAnAppIsNotLeftClosedWhenTheAnswerToClosingItIsLost(t *testing.T) {
	for name, change := range changesThatClose {
		t.Run(name, func(t *testing.T) {
			s := new(unsureStore)
			runTills(t, func(t *testing.T, d *tills) {
				d.register(t)
				advance(2 * time.Second)
				s.lose.Store(true)
				require.ErrorContains(t, change(t.Context(), d.second), "the answer is lost")
				s.lose.Store(false)
				advance(time.Minute)
				status, got := call(t, d.first, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
				require.Equal(t, http.StatusOK, status, got)
			}, func(o *gateway.Options) { s.Store = o.Records; o.Records = s })
		})
	}
}

// A process that cannot follow the changes, because the records answer it slowly, takes no order for an app that is gone.
func TestAProcessThatIsBehindTakesNoOrderOfAChangedApp(t *testing.T) {
	for name, change := range changesThatClose {
		t.Run(name, func(t *testing.T) {
			s := new(unsureStore)
			runTills(t, func(t *testing.T, d *tills) {
				d.register(t)
				status, _ := call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
				require.Equal(t, http.StatusOK, status)
				s.slow.Store(true)
				advance(5 * time.Second)
				status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-0"))
				require.Equal(t, http.StatusOK, status, got)
				status, got = call(t, d.second, wideKey, "POST /app/later/pay/orders/order-0/close", "")
				require.Equal(t, http.StatusOK, status, got)
				require.NoError(t, change(t.Context(), d.first))
				status, got = call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
				require.Equal(t, http.StatusTooManyRequests, status, got)
				_, err := d.wx.Order(mchID, "order-1")
				require.Error(t, err)
			}, func(o *gateway.Options) { s.Store = o.Records; o.Records = s })
		})
	}
}
