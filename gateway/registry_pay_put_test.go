package gateway_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

// withoutMerchant are changes after which an app no longer takes payments with m2.
var withoutMerchant = map[string]func(*gateway.App){
	"no pay":           func(a *gateway.App) { a.Pay = nil },
	"another merchant": func(a *gateway.App) { a.Pay.Merchant = "m1" },
	"an ended app":     func(a *gateway.App) { a.Pay, a.ExpiresAt = nil, time.Now().Add(-time.Minute) },
}

func TestAPutThatRemovesAMerchantWaitsForOtherProcesses(t *testing.T) {
	for name, change := range withoutMerchant {
		t.Run(name, func(t *testing.T) {
			runTills(t, func(t *testing.T, d *tills) {
				d.register(t)
				status, _ := call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
				require.Equal(t, http.StatusOK, status)
				next := laterApp("m2")
				change(&next)
				_, err := d.first.Apps().Put(t.Context(), "later", next, "")
				require.NoError(t, err)
				orderPaidLate(t, d)
			})
		})
	}
}

// While a PUT waits, another process takes an order: the app stays as it is, and takes orders again.
func TestAnOrderDuringAPutKeepsTheMerchant(t *testing.T) {
	for name, change := range withoutMerchant {
		t.Run(name, func(t *testing.T) {
			s := new(unsureStore)
			runTills(t, func(t *testing.T, d *tills) {
				d.register(t)
				status, _ := call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
				require.Equal(t, http.StatusOK, status)
				next := laterApp("m2")
				change(&next)
				placed := s.placeLate(t, d.second, "order-1")
				put := make(chan error, 1)
				go func() {
					_, err := d.first.Apps().Put(t.Context(), "later", next, "")
					put <- err
				}()
				synctest.Wait()
				placed()
				status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-2"))
				require.Equal(t, http.StatusServiceUnavailable, status, got)
				status, _ = call(t, d.second, wideKey, "GET /app/later/token", "")
				require.NotEqual(t, http.StatusNotFound, status, "only payments are closed")
				_, err := d.wx.Pay(mchID, "order-1", "o1")
				require.NoError(t, err)
				d.refuseReports(true)
				require.ErrorAs(t, <-put, new(*gateway.UnfinishedError))
				d.refuseReports(false)
				r, err := d.first.Apps().Get(t.Context(), "later")
				require.NoError(t, err)
				require.Equal(t, "m2", r.App.Pay.Merchant)
				advance(time.Minute)
				require.Len(t, d.reports(), 1)
				status, got = call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-3"))
				require.Equal(t, http.StatusOK, status, got)
			}, func(o *gateway.Options) { s.Store = o.Records; o.Records = s })
		})
	}
}

// Another change of the app comes in between.
func TestAChangeWhileAPutWaitsIsNotLost(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		put := make(chan error)
		next := laterApp("m1")
		go func() {
			_, err := d.first.Apps().Put(t.Context(), "later", next, "")
			put <- err
		}()
		synctest.Wait()
		_, err := d.second.Apps().Rename(t.Context(), "later", "renamed", "")
		require.NoError(t, err)
		require.ErrorIs(t, <-put, gateway.ErrStale)
		r, err := d.first.Apps().Get(t.Context(), "renamed")
		require.NoError(t, err)
		require.Equal(t, "m2", r.App.Pay.Merchant)
		advance(2 * time.Second)
		status, got := call(t, d.second, wideKey, "POST /app/renamed/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status, got)
	})
}

// What is refused changes nothing, and does not keep the app from taking orders meanwhile.
func TestAPutThatIsRefusedDoesNotClosePayments(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		next := laterApp("none")
		began := time.Now()
		_, err := d.first.Apps().Put(t.Context(), "later", next, "")
		require.ErrorAs(t, err, new(*gateway.SettingError))
		require.Zero(t, time.Since(began))
		next = laterApp("m2")
		next.SignKey = "another-sign-key"
		_, err = d.first.Apps().Put(t.Context(), "later", next, "")
		require.NoError(t, err)
		require.Zero(t, time.Since(began), "the merchant stays")
	})
}

// slowBody is a body that comes late.
type slowBody struct {
	io.Reader
	begun chan struct{}
	once  sync.Once
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.begun); time.Sleep(10 * time.Second) })
	return b.Reader.Read(p)
}

// The body of an order comes only after its app has lost its payments.
func TestAnOrderThatComesSlowlyIsNotTakenForAFormerMerchant(t *testing.T) {
	for name, change := range map[string]func(*tills) error{
		"put": func(d *tills) error {
			next := laterApp("m2")
			next.Pay = nil
			_, err := d.first.Apps().Put(context.Background(), "later", next, "")
			return err
		},
		"delete": func(d *tills) error { return d.first.Apps().Delete(context.Background(), "later", "") },
		"none":   func(*tills) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			runTills(t, func(t *testing.T, d *tills) {
				d.register(t)
				body := &slowBody{Reader: strings.NewReader(orderOf("order-1")), begun: make(chan struct{})}
				r := httptest.NewRequest("POST", "/app/later/pay/orders", body)
				r.Header.Set("Authorization", "Bearer "+wideKey)
				w := httptest.NewRecorder()
				served := make(chan struct{})
				go func() { defer close(served); d.second.Private().ServeHTTP(w, r) }()
				<-body.begun
				require.NoError(t, change(d))
				<-served
				want := http.StatusTooManyRequests
				if name == "none" {
					want = http.StatusOK
				}
				require.Equal(t, want, w.Code, w.Body)
			})
		})
	}
}
