package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// brokenStore is a store whose calls fail.
type brokenStore struct{ store.Store }

var errBroken = errors.New("connection refused")

func (brokenStore) Get(context.Context, string) ([]byte, bool, error) { return nil, false, errBroken }
func (brokenStore) Swap(context.Context, string, []byte, []byte, time.Duration) (bool, error) {
	return false, errBroken
}
func (brokenStore) Keys(context.Context, string) iter.Seq2[string, error] { return nil }

func TestHealthAndReadiness(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	g, err := gateway.New(gateway.Options{Config: config(), Store: brokenStore{}, HTTP: newWeChat().Client(), Log: log})
	require.NoError(t, err)
	srv := httptest.NewServer(g.Private())
	defer srv.Close()
	status, _ := ask(t, "GET", srv.URL+"/healthz", "", "")
	require.Equal(t, http.StatusOK, status)
	status, a := ask(t, "GET", srv.URL+"/readyz", "", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, a.Msg, "store")
	status, _ = ask(t, "GET", srv.URL+"/app/shop/token", allKey, "")
	require.Equal(t, http.StatusOK, status, "a token is served without a store")

	require.Contains(t, a.Msg, "connection refused")

	var printed bytes.Buffer
	g, err = gateway.New(gateway.Options{Config: config(), Store: brokenStore{}, Log: slog.New(slog.NewTextHandler(&printed, nil))})
	require.NoError(t, err)
	both := httptest.NewServer(g.Both())
	defer both.Close()
	status, a = ask(t, "GET", both.URL+"/readyz", "", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "gateway: a store cannot be used: see the log of the server", a.Msg, "strangers ask here, too")
	require.Contains(t, printed.String(), "connection refused")

	g, err = gateway.New(gateway.Options{Config: config(), Log: log})
	require.NoError(t, err)
	whole := httptest.NewServer(g.Private())
	defer whole.Close()
	status, _ = ask(t, "GET", whole.URL+"/readyz", "", "")
	require.Equal(t, http.StatusOK, status)
	g.Drain()
	status, _ = ask(t, "GET", whole.URL+"/readyz", "", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
}

// pingStore is a store with a method Ping.
type pingStore struct {
	store.Memory
	broken atomic.Bool
}

func (f *pingStore) Ping(context.Context) error {
	if f.broken.Load() {
		return errBroken
	}
	return nil
}

func TestAStoreMaySayWhetherItCanBeUsed(t *testing.T) {
	f := new(pingStore)
	f.broken.Store(true)
	base := private(t, gateway.Options{Config: config(), Records: f})
	status, a := ask(t, "GET", base+"/readyz", "", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, a.Msg, "the records cannot be used: connection refused")
	f.broken.Store(false)
	status, _ = ask(t, "GET", base+"/readyz", "", "")
	require.Equal(t, http.StatusOK, status)
}

func TestAPlaintextValueInASealedStoreKeepsNoServerFromBeingReady(t *testing.T) {
	inner, printed := new(store.Memory), new(bytes.Buffer)
	sealed := &store.Sealed{Store: inner, KeyRing: store.KeyRing{bytes.Repeat([]byte("k"), 32)}}
	base := private(t, gateway.Options{Config: config(), Store: sealed, Log: slog.New(slog.NewTextHandler(printed, nil))})
	require.NoError(t, inner.Set(t.Context(), "ready", []byte("ok"), 0))
	status, a := ask(t, "GET", base+"/readyz", "", "")
	require.Equal(t, http.StatusOK, status, a.Msg)
	require.Contains(t, printed.String(), "the store has a value that was written without the master keys")
}

func TestAppsThatAreKeptAreRenewedUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, c := newWeChat(), config()
		set(&c, "shop", func(a *gateway.App) { a.Keep = true })
		set(&c, "corp", func(a *gateway.App) { a.Keep, a.ExpiresAt = true, time.Now().Add(7*time.Hour) })
		ctx, cancel := context.WithCancel(t.Context())
		s := new(store.Memory)
		for range 3 {
			g, err := gateway.New(gateway.Options{Config: c, Store: s, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			go g.Run(ctx)
		}
		advance(12 * time.Hour)
		require.InDelta(t, 6, wx.Calls("/cgi-bin/stable_token"), 1)
		require.InDelta(t, 4, wx.Calls("/cgi-bin/gettoken"), 1, "until its registration ends")
		cancel()
	})
}
