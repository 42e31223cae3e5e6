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

// waitFor waits in a bubble, where time is free.
func waitFor(d time.Duration) { <-time.After(d) }

const (
	appID      = "wx0123456789abcdef"
	secret     = "a-secret-of-this-test"
	stablePath = "/cgi-bin/stable_token"
	oldPath    = "/cgi-bin/token"
	workPath   = "/cgi-bin/gettoken"
)

// method is the way to fetch an app's token.
type method int

const (
	stable method = iota
	classic
	work
)

// kind returns the kind of app whose token is fetched this way.
func (w method) kind() wechat.Kind {
	if w == work {
		return wechat.Work
	}
	return wechat.Official
}

// world is WeChat with one app, and a store that its managers share.
type world struct {
	wx    *wechattest.Server
	store store.Store
	mode  method
}

func newWorld(mode method) *world {
	w := &world{wx: new(wechattest.Server), store: new(store.Memory), mode: mode}
	kind := wechattest.Official
	if mode == work {
		kind = wechattest.Work
	}
	w.wx.Add(wechattest.App{ID: appID, Secret: secret, Kind: kind})
	return w
}

func (w *world) fetchPath() string {
	return map[method]string{stable: stablePath, classic: oldPath, work: workPath}[w.mode]
}

// storeKey returns the key of the token in the store.
func (w *world) storeKey() string {
	var found string
	for key := range w.store.Keys(context.Background(), "token/"+appID+"/") {
		found = key
	}
	return found
}

// manager returns the manager of one process.
func (w *world) manager() *token.Manager {
	return &token.Manager{AppID: appID, Secret: secret, Kind: w.mode.kind(), Classic: w.mode == classic, Store: w.store, OnError: ignoreError,
		Client: &wechat.Client{HTTP: w.wx.Client()}}
}

func ignoreError(context.Context, error) {}

// requireValid requires that WeChat accepts the token now.
func (w *world) requireValid(t *testing.T, c wechat.Credential) {
	t.Helper()
	require.Zero(t, w.wx.Check(c.Value), "a dead token was handed out")
}

func get(t *testing.T, s wechat.TokenSource) wechat.Credential {
	t.Helper()
	c, err := s.Token(t.Context())
	require.NoError(t, err)
	return c
}

// testEachMethod runs a test in a bubble for each way to fetch tokens.
func testEachMethod(t *testing.T, test func(t *testing.T, w *world)) {
	for name, mode := range map[string]method{"stable": stable, "classic": classic, "work": work} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, newWorld(mode)) })
		})
	}
}

func TestTenThousandColdReadersMakeOneFetch(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		w.wx.AddFault(wechattest.Fault{Delay: 50 * time.Millisecond})
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
		require.Equal(t, 1, w.wx.Calls(w.fetchPath()))
	})
}

func TestFiftyRefusedTogetherCauseOneRenewal(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		m := w.manager()
		first := get(t, m)
		w.wx.Revoke(first.Value)
		before := w.wx.Calls(w.fetchPath())
		var wg sync.WaitGroup
		got := make([]wechat.Credential, 50)
		for i := range got {
			wg.Go(func() { got[i], _ = m.Renew(t.Context(), first.Value) })
		}
		wg.Wait()
		for _, c := range got {
			require.NotEqual(t, first.Value, c.Value)
			require.Equal(t, got[0].Value, c.Value)
			w.requireValid(t, c)
		}
		require.Equal(t, 1, w.wx.Calls(w.fetchPath())-before)
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
		w.requireValid(t, c)
		require.Equal(t, 3, w.wx.Calls(stablePath), "the first fetch, an ordinary one and a forced one")
	})
}

func TestARefusalOfAnotherTokenNeverReachesWeChat(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		m := w.manager()
		first := get(t, m)
		for range 100 {
			c, err := m.Renew(t.Context(), "somebody-elses-token")
			require.NoError(t, err)
			require.Equal(t, first, c)
		}
		require.Equal(t, 1, w.wx.Calls(w.fetchPath()))
	})
}

func TestClassicIsNotRepeatedByNetHTTP(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp(appID, secret)
	srv := newServer(t, wx)
	m := &token.Manager{AppID: appID, Secret: secret, Classic: true, OnError: ignoreError,
		Client: &wechat.Client{BaseURL: srv, HTTP: &http.Client{}}}
	first := get(t, m)
	wx.AddFault(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true, Times: 1})
	_, err := m.Renew(t.Context(), first.Value)
	require.Error(t, err)
	require.Equal(t, 2, wx.Calls(oldPath))
}
