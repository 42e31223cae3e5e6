package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// gauge counts the calls in progress.
type gauge struct {
	http.RoundTripper

	mu   sync.Mutex
	now  int
	most int
}

func (g *gauge) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	g.now++
	g.most = max(g.most, g.now)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.now--
		g.mu.Unlock()
	}()
	return g.RoundTripper.RoundTrip(r)
}

// manyKeptApps returns a configuration of n apps with keep, and a WeChat that knows them.
func manyKeptApps(n int) (gateway.Config, *wechattest.Server) {
	wx := new(wechattest.Server)
	c := gateway.Config{Keys: []gateway.Key{{Name: "all", Key: allKey, Apps: []string{"*"}, Scopes: []string{"*"}}}, Apps: map[string]gateway.App{}}
	for i := range n {
		a := gateway.App{AppID: fmt.Sprintf("wx%016d", i), Secret: secret, Keep: true}
		wx.AddApp(a.AppID, secret)
		c.Apps[fmt.Sprint("app", i)] = a
	}
	return c, wx
}

// startRun calls a gateway's Run. stop ends it and waits for its end.
func startRun(t *testing.T, c gateway.Config, s store.Store, hc *http.Client) (stop func()) {
	t.Helper()
	g, err := gateway.New(gateway.Options{Config: c, Store: s, HTTP: hc, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	return func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

func TestManyKeptAppsAreRenewedSixteenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const apps = 500
		c, wx := manyKeptApps(apps)
		wx.AddFault(wechattest.Fault{Delay: time.Second})
		s := new(store.Memory)
		g := &gauge{RoundTripper: wx.Client().Transport}
		before := runtime.NumGoroutine()
		stop := startRun(t, c, s, &http.Client{Transport: g})
		advance(10 * time.Second)
		require.Less(t, runtime.NumGoroutine()-before, 100, "goroutines for %d apps", apps)
		advance(apps/16*time.Second + 5*time.Second)
		require.Equal(t, apps, wx.Calls("/cgi-bin/stable_token"))
		require.Equal(t, 16, g.most)

		second := startRun(t, c, s, wx.Client())
		advance(time.Minute)
		require.Equal(t, apps, wx.Calls("/cgi-bin/stable_token"), "a valid value in the store is no fetch")
		advance(7 * time.Hour)
		require.InDelta(t, 4*apps, wx.Calls("/cgi-bin/stable_token"), apps/10)
		require.Equal(t, 16, g.most)
		stop()
		second()
	})
}

func TestKeptAppsAreRenewedInRandomOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wx := manyKeptApps(40)
		for name, a := range c.Apps {
			a.Kind = wechat.Work
			wx.Add(wechattest.App{ID: a.AppID, Secret: secret, Kind: wechattest.Work})
			c.Apps[name] = a
		}
		order := func() (ids []string) {
			recorded := &corpRecorder{RoundTripper: wx.Client().Transport}
			stop := startRun(t, c, new(store.Memory), &http.Client{Transport: recorded})
			advance(time.Minute)
			stop()
			return recorded.ids
		}
		first, second := order(), order()
		require.Len(t, first, 40)
		require.NotEqual(t, first, second)
		require.False(t, slices.IsSorted(first))
	})
}

// corpRecorder records the corps whose tokens are fetched.
type corpRecorder struct {
	http.RoundTripper

	mu  sync.Mutex
	ids []string
}

func (r *corpRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.ids = append(r.ids, req.URL.Query().Get("corpid"))
	r.mu.Unlock()
	return r.RoundTripper.RoundTrip(req)
}

func TestAFailingAppKeepsNoOtherFromBeingRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wx := manyKeptApps(100)
		for i := range 50 {
			wx.AddFault(wechattest.Fault{App: fmt.Sprintf("wx%016d", i), Hang: true})
		}
		stop := startRun(t, c, new(store.Memory), wx.Client())
		advance(10 * time.Minute)
		fetched := 0
		for i := range 100 {
			if tokens := wx.Tokens(fmt.Sprintf("wx%016d", i)); len(tokens) > 0 {
				fetched++
			}
		}
		require.Equal(t, 50, fetched)
		wx.ClearFaults()
		advance(2 * time.Minute)
		for i := range 100 {
			require.Len(t, wx.Tokens(fmt.Sprintf("wx%016d", i)), 1)
		}
		stop()
	})
}

func TestTicketsThatAreKeptAreRenewedUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, c := newWeChat(), config()
		set(&c, "shop", func(a *gateway.App) { a.Keep, a.Tickets = true, []string{"jsapi"} })
		set(&c, "corp", func(a *gateway.App) { a.Keep, a.Tickets = true, []string{"jsapi", "agent_config"} })
		s := new(store.Memory)
		stop, second := startRun(t, c, s, wx.Client()), startRun(t, c, s, wx.Client())
		advance(time.Minute)
		require.Equal(t, 1, wx.Calls("/cgi-bin/ticket/getticket"))
		require.Equal(t, 1, wx.Calls("/cgi-bin/get_jsapi_ticket"))
		require.Equal(t, 1, wx.Calls("/cgi-bin/ticket/get"))
		advance(12 * time.Hour)
		require.InDelta(t, 7, wx.Calls("/cgi-bin/ticket/getticket"), 1)
		require.InDelta(t, 7, wx.Calls("/cgi-bin/get_jsapi_ticket"), 1)
		require.InDelta(t, 7, wx.Calls("/cgi-bin/ticket/get"), 1)
		stop()
		second()
	})
}

func TestATicketThatWeChatRefusesKeepsNoOtherFromBeingKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, c := newWeChat(), config()
		set(&c, "corp", func(a *gateway.App) { a.Keep, a.Tickets = true, []string{"jsapi", "agent_config"} })
		wx.AddFault(wechattest.Fault{Path: "/cgi-bin/get_jsapi_ticket", Code: 48001})
		stop := startRun(t, c, new(store.Memory), wx.Client())
		advance(12 * time.Hour)
		require.InDelta(t, 7, wx.Calls("/cgi-bin/ticket/get"), 1)
		require.InDelta(t, 7, wx.Calls("/cgi-bin/gettoken"), 1)
		require.Less(t, wx.Calls("/cgi-bin/get_jsapi_ticket"), 120, "asked again every ten minutes at last")
		stop()
	})
}

func TestTicketsThatCannotBeKeptAreRefused(t *testing.T) {
	for says, change := range map[string]func(a *gateway.App){
		`apps.shop.tickets: invalid type "agent_config": want jsapi or wx_card`: func(a *gateway.App) { a.Tickets = []string{"agent_config"} },
		`apps.shop.tickets: invalid type "wx_card": want jsapi or agent_config`: func(a *gateway.App) { a.Kind, a.Tickets = wechat.Work, []string{"wx_card"} },
		`apps.shop.agent_id: must be set for tickets of type agent_config`:      func(a *gateway.App) { a.Kind, a.Tickets = wechat.Work, []string{"agent_config"} },
		`apps.shop.tickets: must be unset for kind mini`:                        func(a *gateway.App) { a.Kind, a.Tickets = wechat.Mini, []string{"jsapi"} },
		`apps.shop.tickets: must be unset for kind website`:                     func(a *gateway.App) { a.Kind, a.Keep, a.Tickets = wechat.Website, false, []string{"jsapi"} },
		`apps.shop.tickets: needs keep: true`:                                   func(a *gateway.App) { a.Keep, a.Tickets = false, []string{"jsapi"} },
	} {
		c := config()
		set(&c, "shop", func(a *gateway.App) { a.Keep = true; change(a) })
		require.ErrorContains(t, c.Check(), says)
	}
}
