package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// awayStore fails while away is set, and counts its calls.
type awayStore struct {
	store.Store
	away  atomic.Bool
	calls atomic.Int64
}

func (s *awayStore) Sealed() bool { return true }

func (s *awayStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	s.calls.Add(1)
	if s.away.Load() {
		return nil, false, errors.New("connection refused")
	}
	return s.Store.Get(ctx, key)
}

func TestWithoutRecordsHeldAppsAreServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, records := newWeChat(), &awayStore{Store: new(store.Memory)}
		wx.AddApp(laterID, laterSecret)
		g := openGateway(t, records, wx, func(o *gateway.Options) { o.Store = new(store.Memory) })
		for _, name := range []string{"later", "unread"} {
			_, err := g.Apps().Put(t.Context(), name, gateway.App{AppID: laterID, Secret: laterSecret}, "")
			require.NoError(t, err)
		}
		status, _ := tokenStatus(t, g, "later")
		require.Equal(t, http.StatusOK, status)
		records.away.Store(true)
		advance(time.Minute)
		for name, want := range map[string]int{"later": 200, "shop": 200, "unread": 503, "none": 503} {
			status, a := tokenStatus(t, g, name)
			require.Equal(t, want, status, "%s: %s", name, a.Msg)
			require.NotContains(t, a.Msg, "refused")
		}
		records.away.Store(false)
		for name, want := range map[string]int{"later": 200, "unread": 200, "none": 404} {
			status, a := tokenStatus(t, g, name)
			require.Equal(t, want, status, "%s: %s", name, a.Msg)
		}
	})
}

func TestAnAppIsReadOnceAndAnAbsentNameIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, records := newWeChat(), &awayStore{Store: new(store.Memory)}
		wx.AddApp(laterID, laterSecret)
		g := openGateway(t, records, wx, func(o *gateway.Options) { o.Store, o.Config.ResidentApps = new(store.Memory), 2 })
		require.Zero(t, records.calls.Load(), "nothing is read at the start")
		for i := range 3 {
			_, err := g.Apps().Put(t.Context(), fmt.Sprint("later", i), gateway.App{AppID: laterID, Secret: laterSecret}, "")
			require.NoError(t, err)
		}
		tokenStatus(t, g, "shop")
		cost := func(app string, times int) int64 {
			tokenStatus(t, g, "shop")
			before := records.calls.Load()
			var all sync.WaitGroup
			for range times {
				all.Go(func() { tokenStatus(t, g, app) })
			}
			all.Wait()
			return records.calls.Load() - before
		}
		cost("none", 1) // reads the changes, too
		require.LessOrEqual(t, cost("later0", 50), int64(2), "its name and its record")
		require.Zero(t, cost("later0", 50))
		require.LessOrEqual(t, cost("nobody", 50), int64(1))
		require.Zero(t, cost("nobody", 50))
		cost("later1", 1)
		cost("later2", 1)
		require.NotZero(t, cost("later0", 1)+cost("later1", 1), "only two are held")
		advance(2 * time.Second)
		require.NotZero(t, cost("nobody", 1))
	})
}

func TestVerificationFilesOfRegisteredAppsAreServed(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat())
	file := func() (int, string) {
		w := httptest.NewRecorder()
		g.Public().ServeHTTP(w, httptest.NewRequest("GET", "/MP_verify_abc.txt", nil))
		b, _ := io.ReadAll(w.Body)
		return w.Code, string(b)
	}
	status, _ := file()
	require.Equal(t, http.StatusNotFound, status)
	app := gateway.App{AppID: laterID, Secret: laterSecret, VerifyFiles: map[string]string{"MP_verify_abc.txt": "abc"}}
	_, err := g.Apps().Put(t.Context(), "later", app, "")
	require.NoError(t, err)
	status, body := file()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "abc", body)
	app.VerifyFiles = map[string]string{"MP_verify_abc.txt": "other"}
	_, err = g.Apps().Put(t.Context(), "too-late", app, "")
	require.ErrorContains(t, err, "other content")
	_, err = g.Apps().Put(t.Context(), "later", app, "")
	require.NoError(t, err, "it is its own file")
}

func TestTwoPutsAtOnceLoseNone(t *testing.T) {
	records := newSealed(t, new(store.Memory))
	var all sync.WaitGroup
	for n := range 4 {
		g := openGateway(t, records, newWeChat())
		all.Go(func() {
			for i := range 10 {
				_, err := g.Apps().Put(t.Context(), fmt.Sprint("app", n, "-", i), gateway.App{AppID: laterID, Secret: laterSecret}, "")
				require.NoError(t, err)
			}
		})
	}
	all.Wait()
	g := openGateway(t, records, newWeChat())
	read, after := 0, ""
	for {
		page, next, err := g.Apps().Page(t.Context(), after, 7)
		require.NoError(t, err)
		read += len(page)
		if after = next; next == "" {
			break
		}
	}
	require.Equal(t, 40, read)

	// Of those with the same revision one is taken.
	r, err := g.Apps().Get(t.Context(), "app0-0")
	require.NoError(t, err)
	var taken, stale atomic.Int64
	for range 8 {
		all.Go(func() {
			_, err := g.Apps().Put(t.Context(), "app0-0", gateway.App{AppID: laterID, Secret: laterSecret}, r.Revision)
			switch {
			case err == nil:
				taken.Add(1)
			case errors.Is(err, gateway.ErrStale):
				stale.Add(1)
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(1), taken.Load())
	require.Equal(t, int64(7), stale.Load())
}
