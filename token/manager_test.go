package token_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// pass lets time go by, of which a bubble has plenty.
func pass(d time.Duration) { <-time.After(d) }

const (
	appID      = "wx0123456789abcdef"
	secret     = "a-secret-of-this-test"
	stablePath = "/cgi-bin/stable_token"
	oldPath    = "/cgi-bin/token"
	workPath   = "/cgi-bin/gettoken"
)

// way is how an app's token is got.
type way int

const (
	stable way = iota
	classic
	work
)

// kind is that of an app whose token is got this way.
func (w way) kind() wechat.Kind {
	if w == work {
		return wechat.Work
	}
	return wechat.Official
}

// world is WeChat with one app, and a store for its managers to share.
type world struct {
	wx    *wechattest.Server
	store store.Store
	mode  way
}

func newWorld(mode way) *world {
	w := &world{wx: new(wechattest.Server), store: new(store.Memory), mode: mode}
	kind := wechattest.Official
	if mode == work {
		kind = wechattest.Work
	}
	w.wx.Add(wechattest.App{ID: appID, Secret: secret, Kind: kind})
	return w
}

func (w *world) path() string {
	return map[way]string{stable: stablePath, classic: oldPath, work: workPath}[w.mode]
}

// key is where the token stands in the store.
func (w *world) key() string {
	var found string
	for key := range w.store.Keys(context.Background(), "token/"+appID+"/") {
		found = key
	}
	return found
}

// manager is one process's.
func (w *world) manager() *token.Manager {
	return &token.Manager{AppID: appID, Secret: secret, Kind: w.mode.kind(), Classic: w.mode == classic, Store: w.store, Report: quiet,
		Client: &wechat.Client{HTTP: w.wx.Client()}}
}

func quiet(context.Context, error) {}

// live fails the test unless WeChat takes the token now.
func (w *world) live(t *testing.T, c wechat.Credential) {
	t.Helper()
	require.Zero(t, w.wx.Check(c.Value), "a dead token was handed out")
}

func get(t *testing.T, s wechat.TokenSource) wechat.Credential {
	t.Helper()
	c, err := s.Token(t.Context())
	require.NoError(t, err)
	return c
}

// eachMode runs a test in a time bubble for each way tokens are got.
func eachMode(t *testing.T, test func(t *testing.T, w *world)) {
	for name, mode := range map[string]way{"stable": stable, "classic": classic, "work": work} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, newWorld(mode)) })
		})
	}
}

func TestTenThousandColdReadersMakeOneFetch(t *testing.T) {
	eachMode(t, func(t *testing.T, w *world) {
		w.wx.Fail(wechattest.Fault{Delay: 50 * time.Millisecond})
		m := w.manager()
		var wg sync.WaitGroup
		var wrong atomic.Int64
		for range 10_000 {
			wg.Go(func() {
				c, err := m.Token(t.Context())
				if err != nil || w.wx.Check(c.Value) != 0 {
					wrong.Add(1)
				}
			})
		}
		wg.Wait()
		require.Zero(t, wrong.Load())
		require.Equal(t, 1, w.wx.Calls(w.path()))
	})
}

func TestFiftyRefusedTogetherCauseOneRenewal(t *testing.T) {
	eachMode(t, func(t *testing.T, w *world) {
		m := w.manager()
		first := get(t, m)
		w.wx.Revoke(first.Value)
		before := w.wx.Calls(w.path())
		var wg sync.WaitGroup
		got := make([]wechat.Credential, 50)
		for i := range got {
			wg.Go(func() { got[i], _ = m.Renew(t.Context(), first.Value) })
		}
		wg.Wait()
		for _, c := range got {
			require.NotEqual(t, first.Value, c.Value)
			require.Equal(t, got[0].Value, c.Value)
			w.live(t, c)
		}
		require.Equal(t, 1, w.wx.Calls(w.path())-before)
	})
}

func TestARefusedTokenIsForcedOnlyWhenWeChatStillAnswersIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		m := w.manager()
		first := get(t, m)
		w.wx.Refuse(first.Value)
		c, err := m.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		require.NotEqual(t, first.Value, c.Value)
		w.live(t, c)
		require.Equal(t, 3, w.wx.Calls(stablePath), "the first fetch, an ordinary one and a forced one")
	})
}

func TestARefusalOfAnotherTokenNeverReachesWeChat(t *testing.T) {
	eachMode(t, func(t *testing.T, w *world) {
		m := w.manager()
		first := get(t, m)
		for range 100 {
			c, err := m.Renew(t.Context(), "somebody-elses-token")
			require.NoError(t, err)
			require.Equal(t, first, c)
		}
		require.Equal(t, 1, w.wx.Calls(w.path()))
	})
}

func TestClassicIsNotRepeatedByNetHTTP(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp(appID, secret)
	srv := newServer(t, wx)
	m := &token.Manager{AppID: appID, Secret: secret, Classic: true, Report: quiet,
		Client: &wechat.Client{BaseURL: srv, HTTP: &http.Client{}}}
	first := get(t, m)
	wx.Fail(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true, Times: 1})
	_, err := m.Renew(t.Context(), first.Value)
	require.Error(t, err)
	require.Equal(t, 2, wx.Calls(oldPath))
}
