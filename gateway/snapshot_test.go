package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

const laterKey = "a-key-of-this-test-for-later"

// laterConfig returns a configuration with another app and another key than config.
func laterConfig() gateway.Config {
	return gateway.Config{
		Keys: []gateway.Key{{Name: "later", Key: laterKey, Apps: []string{"*"}, Scopes: []string{"*"}}},
		Apps: map[string]gateway.App{"news": {AppID: "wxaaaaaaaaaaaaaaaa", Secret: secret, Kind: wechat.Mini}},
	}
}

// heldTransport holds calls until let is closed.
type heldTransport struct {
	http.RoundTripper
	arrived, let chan struct{}
}

func (h heldTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	h.arrived <- struct{}{}
	<-h.let
	return h.RoundTripper.RoundTrip(r)
}

func TestARequestUnderWayFinishesOnTheSnapshotItBeganWith(t *testing.T) {
	h := heldTransport{newWeChat().Client().Transport, make(chan struct{}), make(chan struct{})}
	g, err := gateway.New(gateway.Options{Config: config(), HTTP: &http.Client{Transport: h}, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	srv := httptest.NewServer(g.Private())
	defer srv.Close()
	type result struct {
		status int
		answer answer
	}
	results := make(chan result, 1)
	go func() {
		status, a := ask(t, "GET", srv.URL+"/app/shop/token", readKey, "")
		results <- result{status, a}
	}()
	<-h.arrived
	require.NoError(t, gateway.Replace(g, laterConfig()))
	status, _ := ask(t, "GET", srv.URL+"/app/shop/token", readKey, "")
	require.Equal(t, http.StatusUnauthorized, status, "the key is gone")
	status, a := ask(t, "GET", srv.URL+"/app/shop/token", laterKey, "")
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, `no app "shop"`, a.Msg)
	close(h.let)
	under := <-results
	require.Equal(t, http.StatusOK, under.status, under.answer.Msg)
	require.NotEmpty(t, under.answer.Token)
}

// probe is a fallback without routes that is called for each request that is looked up.
type probe func()

func (p probe) Handler(*http.Request) (http.Handler, string) {
	p()
	return http.NotFoundHandler(), ""
}
func (probe) ServeHTTP(http.ResponseWriter, *http.Request) { panic("it has no routes") }

func TestARequestIsServedFromOneSnapshot(t *testing.T) {
	for _, path := range []string{"/app/shop/nothing", "/app/gone/token", "/nothing"} {
		var g *gateway.Gateway
		swap := sync.OnceFunc(func() { require.NoError(t, gateway.Replace(g, laterConfig())) })
		g, err := gateway.New(gateway.Options{
			Config: config(), HTTP: newWeChat().Client(), Log: slog.New(slog.DiscardHandler),
			PrivateFallback: []func(*gateway.Gateway) http.Handler{func(made *gateway.Gateway) http.Handler { g = made; return probe(swap) }},
		})
		require.NoError(t, err)
		status, a := serveDirectly(t, g.Private(), "GET", path, allKey, "")
		require.Equal(t, http.StatusNotFound, status, "its key was known when it came: %s", a.Msg)
		status, _ = serveDirectly(t, g.Private(), "GET", path, allKey, "")
		require.Equal(t, http.StatusUnauthorized, status)
	}
}

// readCounter counts the reads of a store.
type readCounter struct {
	store.Store
	gets atomic.Int32
}

func (c *readCounter) Get(ctx context.Context, key string) ([]byte, bool, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, key)
}

func TestAnAppThatStaysKeepsItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &readCounter{Store: new(store.Memory)}
		g, err := gateway.New(gateway.Options{Config: config(), Store: s, HTTP: newWeChat().Client(), Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		h := g.Private()
		_, first := serveDirectly(t, h, "GET", "/app/shop/token", allKey, "")
		before := s.gets.Load()
		require.NoError(t, gateway.Replace(g, config(), "shop"))
		_, again := serveDirectly(t, h, "GET", "/app/shop/token", allKey, "")
		require.Equal(t, first.Token, again.Token)
		require.Equal(t, before, s.gets.Load(), "the token is in memory")

		require.NoError(t, gateway.Replace(g, config()))
		_, again = serveDirectly(t, h, "GET", "/app/shop/token", allKey, "")
		require.Equal(t, first.Token, again.Token)
		require.Greater(t, s.gets.Load(), before, "an app that is registered anew reads the store")
	})
}

func TestAllThatIsServedIsReplacedTogether(t *testing.T) {
	d := openSides(t, func(c *gateway.Config) {
		set(c, "shop", func(a *gateway.App) { a.VerifyFiles = map[string]string{"MP_verify_abc.txt": "abc"} })
	})
	next := laterConfig()
	set(&next, "news", func(a *gateway.App) { a.VerifyFiles = map[string]string{"MP_verify_def.txt": "def"} })
	require.NoError(t, gateway.Replace(d.gateway, next))
	for path, want := range map[string]int{"/MP_verify_abc.txt": 404, "/MP_verify_def.txt": 200, "/app/news/session": 405, "/app/shop/session": 404} {
		status, _ := fetch(t, "GET", d.public+path)
		require.Equal(t, want, status, path)
	}
	for path, want := range map[string]int{"news": 200, "wxaaaaaaaaaaaaaaaa": 200, "shop": 404, shopID: 404} {
		status, a := ask(t, "GET", d.private+"/app/"+path+"/token", laterKey, "")
		require.Equal(t, want, status, a.Msg)
	}
}

func TestAppsThatCannotBeServedTogetherAreRefusedAndTheOthersStay(t *testing.T) {
	g, err := gateway.New(gateway.Options{Config: config(), HTTP: newWeChat().Client(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	for says, change := range map[string]func(*gateway.Config){
		`and "`: func(c *gateway.Config) { set(c, "corp", func(a *gateway.App) { a.ID = "shop" }) },
		"verify_files: another app has a.txt with other": func(c *gateway.Config) {
			set(c, "corp", func(a *gateway.App) { a.VerifyFiles = map[string]string{"a.txt": "1"} })
			set(c, "shop", func(a *gateway.App) { a.VerifyFiles = map[string]string{"a.txt": "2"} })
		},
	} {
		c := config()
		c.Keys = laterConfig().Keys
		change(&c)
		require.ErrorContains(t, gateway.Replace(g, c), says)
		status, a := serveDirectly(t, g.Private(), "GET", "/app/shop/token", allKey, "")
		require.Equal(t, http.StatusOK, status, a.Msg)
	}
}

func TestBackgroundWorkFollowsTheSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const apps = 500
		wx := newWeChat()
		g, err := gateway.New(gateway.Options{Config: config(), HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		advance(time.Hour)
		require.Zero(t, wx.Calls(""), "no app is kept")

		many, all := manyKeptApps(apps)
		for _, a := range many.Apps {
			wx.AddApp(a.AppID, secret)
			all.AddApp(a.AppID, secret)
		}
		wx.AddFault(wechattest.Fault{Delay: time.Second})
		require.NoError(t, gateway.Replace(g, many))
		advance(10 * time.Second)
		require.Less(t, runtime.NumGoroutine()-before, 100, "goroutines for %d apps", apps)
		wx.ClearFaults()
		advance(10 * time.Second)
		require.Equal(t, apps, wx.Calls("/cgi-bin/stable_token"), "each app was visited at once")

		one := config()
		set(&one, "shop", func(a *gateway.App) { a.Keep = true })
		one.Apps["app0"] = many.Apps["app0"]
		require.NoError(t, gateway.Replace(g, one, "app0"))
		advance(12 * time.Hour)
		require.InDelta(t, 7, len(wx.Tokens(shopID)), 1, "an app that came")
		require.InDelta(t, 7, len(wx.Tokens("wx0000000000000000")), 1, "one that stayed")
		require.Equal(t, apps+len(wx.Tokens(shopID))+len(wx.Tokens("wx0000000000000000"))-1, wx.Calls("/cgi-bin/stable_token"), "those that went are renewed no more")

		require.NoError(t, gateway.Replace(g, config()))
		calls := wx.Calls("")
		advance(12 * time.Hour)
		require.Equal(t, calls, wx.Calls(""))
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestARenewalUnderWayOfAnAppThatGoesIsItsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, c := newWeChat(), config()
		set(&c, "shop", func(a *gateway.App) { a.Keep = true })
		h := heldTransport{wx.Client().Transport, make(chan struct{}, 100), make(chan struct{})}
		g, err := gateway.New(gateway.Options{Config: c, HTTP: &http.Client{Transport: h}, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		<-h.arrived
		require.NoError(t, gateway.Replace(g, laterConfig()))
		synctest.Wait()
		close(h.let)
		advance(12 * time.Hour)
		require.Len(t, wx.Tokens(shopID), 1)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestCopiesOfAnAppThatComesAreDelivered(t *testing.T) {
	arrived := make(chan string, 1)
	crm := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		arrived <- fmt.Sprint(r.URL.Path, string(b))
	}))
	defer crm.Close()
	s := &scanCounter{Store: new(store.Memory)}
	g, err := gateway.New(gateway.Options{Config: config(), Store: s, HTTP: newWeChat().Client(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	require.Eventually(t, func() bool { return s.scans.Load() > 0 }, 30*time.Second, time.Millisecond, "Keep has found nothing to deliver")
	c := config()
	c.Apps["shop"] = appWithCopies(crm.URL+"/shop", "the-key-of-shop")
	require.NoError(t, gateway.Replace(g, c))
	public := httptest.NewServer(g.Public())
	defer public.Close()
	wx := push.Callback{AppID: shopID, URL: public.URL + "/app/shop/message", Token: tokenOf, EncodingAESKey: aesKeyOf}
	_, err = wx.Push(t.Context(), push.Message{Content: "hello"})
	require.NoError(t, err)
	require.Contains(t, <-arrived, "hello")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
