package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

// keyCounter counts the operations on each key of a store. Those on a key with the prefix fail while it is set.
type keyCounter struct {
	store.Store

	mu    sync.Mutex
	calls map[string]int
	fail  atomic.Pointer[string]
}

func (s *keyCounter) Sealed() bool { return true }

func (s *keyCounter) Get(ctx context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	if s.calls == nil {
		s.calls = make(map[string]int)
	}
	s.calls[key]++
	s.mu.Unlock()
	if prefix := s.fail.Load(); prefix != nil && strings.HasPrefix(key, *prefix) {
		return nil, false, errors.New("connection refused")
	}
	return s.Store.Get(ctx, key)
}

// count returns the reads of keys with a prefix.
func (s *keyCounter) count(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, calls := range s.calls {
		if strings.HasPrefix(key, prefix) {
			n += calls
		}
	}
	return n
}

// runGateway runs a gateway over records. stop ends it.
func runGateway(t *testing.T, records store.Store, wx *wechattest.Server, change ...func(*gateway.Options)) (g *gateway.Gateway, stop func()) {
	g = openGateway(t, records, wx, change...)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	return g, func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

// register registers the app with number i, and returns its appid.
func register(t *testing.T, g *gateway.Gateway, wx *wechattest.Server, i int, change ...func(*gateway.App)) (appID string) {
	t.Helper()
	a := gateway.App{AppID: fmt.Sprintf("wx%016d", i), Secret: secret, Keep: true}
	for _, f := range change {
		f(&a)
	}
	wx.AddApp(a.AppID, secret)
	_, err := g.Apps().Put(t.Context(), fmt.Sprint("app", i), a, "")
	require.NoError(t, err)
	return a.AppID
}

func TestARegisteredAppIsKeptFromTheMomentOnToTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, records, tokens := newWeChat(), new(store.Memory), new(store.Memory)
		shared := func(o *gateway.Options) { o.Store = tokens }
		g, stop := runGateway(t, newSealed(t, records), wx, shared)
		other, stopOther := runGateway(t, newSealed(t, records), wx, shared)
		advance(time.Hour)
		require.Zero(t, wx.Calls(""))

		id := register(t, g, wx, 1, func(a *gateway.App) { a.Tickets = []string{"jsapi", "wx_card"} })
		advance(4 * time.Second)
		require.Equal(t, 1, wx.AppCalls(id, "/cgi-bin/stable_token"))
		require.Equal(t, 2, wx.Calls("/cgi-bin/ticket/getticket"))
		advance(12 * time.Hour)
		require.Equal(t, 7, wx.AppCalls(id, "/cgi-bin/stable_token"))
		require.Equal(t, 14, wx.Calls("/cgi-bin/ticket/getticket"))

		register(t, other, wx, 1, func(a *gateway.App) { a.Keep = false })
		advance(4 * time.Hour)
		require.Equal(t, 7, wx.AppCalls(id, "/cgi-bin/stable_token"), "it is not kept any more")
		register(t, other, wx, 1)
		advance(4 * time.Second)
		require.Equal(t, 8, wx.AppCalls(id, "/cgi-bin/stable_token"))
		require.NoError(t, other.Apps().Delete(t.Context(), "app1", ""))
		advance(4 * time.Hour)
		require.Equal(t, 8, wx.AppCalls(id, "/cgi-bin/stable_token"), "it is gone")

		id = register(t, g, wx, 2, func(a *gateway.App) { a.ExpiresAt = time.Now().Add(3 * time.Hour) })
		advance(5 * time.Hour)
		require.Equal(t, 2, wx.AppCalls(id, "/cgi-bin/stable_token"), "its registration ended")
		stop()
		stopOther()
	})
}

func TestAProcessLearnsOfTheKeptAppsWithoutReadingOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kept, others = 30, 300
		wx, records := newWeChat(), &keyCounter{Store: new(store.Memory)}
		writer := openGateway(t, records, wx)
		for i := range kept {
			register(t, writer, wx, i)
		}
		for i := range others {
			register(t, writer, wx, kept+i, func(a *gateway.App) { a.Keep = false })
		}
		before, entries := records.count("registry/app-list/keep/"), records.count("registry/app/")
		g, stop := runGateway(t, records, wx, func(o *gateway.Options) { o.Store = new(store.Memory) })
		advance(20 * time.Second)
		require.Equal(t, kept, wx.Calls("/cgi-bin/stable_token"))
		require.Equal(t, 256, records.count("registry/app-list/keep/")-before)
		require.Equal(t, kept, records.count("registry/app/")-entries, "no other app is read")

		entries = records.count("registry/app/")
		advance(4 * time.Hour)
		require.Equal(t, 3*kept, wx.Calls("/cgi-bin/stable_token"))
		require.Equal(t, entries, records.count("registry/app/"), "what is held is not read again")

		for i := range others { // more than a process can follow one by one
			_, err := writer.Apps().Put(t.Context(), fmt.Sprint("app", kept+i), gateway.App{AppID: fmt.Sprintf("wx%016d", kept+i), Secret: secret, Keep: true}, "")
			require.NoError(t, err)
		}
		advance(30 * time.Second)
		require.Equal(t, 3*kept+others, wx.Calls("/cgi-bin/stable_token"), "all are found again")
		status, _ := tokenStatus(t, g, "app7")
		require.Equal(t, http.StatusOK, status)
		stop()
	})
}

func TestAListOfKeptAppsThatIsWrongIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, records := newWeChat(), &keyCounter{Store: new(store.Memory)}
		g := openGateway(t, records, wx)
		kept, other := register(t, g, wx, 1), register(t, g, wx, 2, func(a *gateway.App) { a.Keep = false })
		var list string
		for key, err := range records.Keys(t.Context(), "registry/app-list/keep/") {
			require.NoError(t, err)
			list = key
		}
		require.NoError(t, records.Set(t.Context(), list, []byte(`{"ids":{"app1":1,"app2":1,"none":1,"shop":1,"a/b":1}}`), 0))
		require.NoError(t, records.Set(t.Context(), "registry/app-list/keep/00", []byte(`{"ids":`), 0))
		advance(2 * time.Minute)
		_, stop := runGateway(t, records, wx, func(o *gateway.Options) { o.Store = new(store.Memory) })
		advance(12 * time.Hour)
		require.Equal(t, 7, wx.AppCalls(kept, "/cgi-bin/stable_token"))
		require.Zero(t, wx.AppCalls(other, ""))
		require.Zero(t, wx.AppCalls(shopID, ""), "the app of the configuration decides")
		stop()
	})
}

func TestKeptAppsAreFoundOnceTheRecordsAreBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kept = 40
		wx, records := newWeChat(), &keyCounter{Store: new(store.Memory)}
		writer := openGateway(t, records, wx)
		for i := range kept {
			register(t, writer, wx, i)
		}
		all, entries := "", "registry/app/"
		records.fail.Store(&all)
		_, stop := runGateway(t, records, wx, func(o *gateway.Options) { o.Store = new(store.Memory) })
		advance(time.Hour)
		require.Zero(t, wx.Calls(""))
		require.Less(t, records.count("registry/app-list/keep/"), 400, "a store that is away is not asked again and again")
		records.fail.Store(&entries)
		advance(time.Hour)
		require.Zero(t, wx.Calls(""))
		records.fail.Store(nil)
		advance(2 * time.Minute)
		require.Equal(t, kept, wx.Calls("/cgi-bin/stable_token"))
		stop()
	})
}

func TestAppsAreRenewedWithoutEvictingThoseInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kept, used = 60, 10
		wx, records := newWeChat(), &keyCounter{Store: new(store.Memory)}
		writer := openGateway(t, records, wx)
		for i := range kept {
			register(t, writer, wx, i)
		}
		g, stop := runGateway(t, records, wx, func(o *gateway.Options) { o.Store, o.Config.ResidentApps = new(store.Memory), used })
		advance(time.Second) // the first apps are held, although nobody uses them
		for i := range used {
			status, _ := tokenStatus(t, g, fmt.Sprint("app", i))
			require.Equal(t, http.StatusOK, status)
		}
		advance(time.Minute)
		require.Equal(t, kept, wx.Calls("/cgi-bin/stable_token"))
		for range 4 * 60 {
			advance(time.Minute)
			before := records.count("registry/app")
			for i := range used {
				status, _ := tokenStatus(t, g, fmt.Sprint("app", i))
				require.Equal(t, http.StatusOK, status)
			}
			require.Equal(t, before, records.count("registry/app"), "apps in use are held")
		}
		require.Equal(t, 3*kept, wx.Calls("/cgi-bin/stable_token"))
		for i := used; i < 2*used; i++ { // others come into use
			for range 2 {
				tokenStatus(t, g, fmt.Sprint("app", i))
			}
		}
		before := records.count("registry/app")
		for i := used; i < 2*used; i++ {
			tokenStatus(t, g, fmt.Sprint("app", i))
		}
		require.Equal(t, before, records.count("registry/app"))
		stop()
	})
}

func TestManyAppsThatFailDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, good := 200, 10
		if testform.Full() {
			broken, good = 600, 30
		}
		c, wx := manyKeptApps(broken + good)
		c.KeepRate = 2
		for i := range broken {
			wx.AddFault(wechattest.Fault{App: fmt.Sprintf("wx%016d", i), Code: -1, Delay: 3 * time.Second})
		}
		m := &member{cluster: &cluster{t: t, wx: wx, fetches: make(map[string][]time.Time)}}
		stop := startRun(t, c, new(store.Memory), &http.Client{Transport: m})
		advance(5 * time.Hour)
		stop()
		advance(time.Minute)
		for i := range good {
			at := m.cluster.fetches[fmt.Sprintf("wx%016d", broken+i)]
			require.GreaterOrEqual(t, len(at), 3)
			for n := range at[1:] {
				require.Less(t, at[n+1].Sub(at[n]), 2*time.Hour, "it expired, though only others fail")
			}
		}
		require.LessOrEqual(t, mostWithin(m.fetches, time.Second), 2)
	})
}

func TestKeepRateIsChecked(t *testing.T) {
	for _, rate := range []int{-1, 100001} {
		c := config()
		c.KeepRate = rate
		require.ErrorContains(t, c.Check(), "gateway: config: keep_rate: want 1 to 100000, or 0 for the default")
	}
	_, err := gateway.New(gateway.Options{Config: config(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
}
