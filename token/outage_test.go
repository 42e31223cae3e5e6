package token_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestReadersAreServedWhileWeChatIsDownForTwentyMinutes(t *testing.T) {
	for name, fault := range map[string]wechattest.Fault{
		"busy":     {Code: -1},
		"cut":      {Cut: true},
		"hanging":  {Hang: true},
		"HTTP 502": {Status: 502, Body: "<html>bad gateway</html>"},
		"garbage":  {Body: "\x00\xff not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(stable)
				m := w.manager()
				first := get(t, m)
				waitFor(100 * time.Minute)
				w.wx.AddFault(fault)
				before := w.wx.Calls(stablePath)
				for range 19 * 60 * 10 {
					w.requireValid(t, get(t, m))
					waitFor(100 * time.Millisecond)
				}
				attempts := w.wx.Calls(stablePath) - before
				require.Positive(t, attempts)
				require.LessOrEqual(t, attempts, 5*6, "of 4 to 5 minutes in which the token was due")
				w.wx.ClearFaults()
				for range 40 {
					w.requireValid(t, get(t, m))
					waitFor(time.Second)
				}
				require.NotEqual(t, first.Value, get(t, m).Value)
			})
		})
	}
}

func TestABusyWeChatIsCalledOnceForAllColdReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		w.wx.AddFault(wechattest.Fault{Code: -1, Delay: 50 * time.Millisecond})
		m := w.manager()
		start := time.Now()
		crowds := func(n int, apart time.Duration) {
			for range n {
				var wg sync.WaitGroup
				for range 200 {
					wg.Go(func() {
						_, err := m.Token(t.Context())
						if !errors.Is(err, wechat.ErrBusy) {
							t.Errorf("want WeChat's -1, got %v", err)
						}
					})
				}
				wg.Wait()
				waitFor(apart)
			}
		}
		crowds(10, 100*time.Millisecond)
		require.Less(t, time.Since(start), 1500*time.Millisecond, "callers were kept waiting")
		require.Equal(t, 1, w.wx.Calls(stablePath))
		crowds(60, time.Second)
		require.LessOrEqual(t, w.wx.Calls(stablePath), 8, "after 2, 4, 8, 16, 20 and 20 s, or a quarter less")
		w.wx.ClearFaults()
		waitFor(21 * time.Second)
		w.requireValid(t, get(t, m))
	})
}

func TestAWrongSecretIsRememberedForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		w.wx.Add(wechattest.App{ID: appID, Secret: "another-one"})
		m := w.manager()
		for range 1000 {
			_, err := m.Token(t.Context())
			require.ErrorIs(t, err, wechat.ErrInvalidSecret)
			waitFor(10 * time.Millisecond)
		}
		require.Equal(t, 1, w.wx.Calls(stablePath))

		// A fix in the configuration means a new Manager, which remembers nothing.
		cured := w.manager()
		cured.Secret = "another-one"
		w.requireValid(t, get(t, cured))

		// A fix in WeChat's console is noticed after a minute.
		w.wx.Add(wechattest.App{ID: appID, Secret: secret})
		start := time.Now()
		for {
			if c, err := m.Token(t.Context()); err == nil {
				w.requireValid(t, c)
				break
			}
			waitFor(time.Second)
		}
		require.LessOrEqual(t, time.Since(start), time.Minute)
	})
}

func TestALastingRefusalIsRepeatedWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		w.wx.Add(wechattest.App{ID: appID, Secret: secret, IPs: []string{"203.0.113.9"}})
		m := w.manager()
		for range 60 * 60 {
			_, err := m.Token(t.Context())
			require.ErrorIs(t, err, wechat.ErrInvalidIP)
			waitFor(time.Second)
		}
		require.LessOrEqual(t, w.wx.Calls(stablePath), 12)
		require.GreaterOrEqual(t, w.wx.Calls(stablePath), 8)
	})
}

func TestNoWarmReaderWaitsDuringARenewal(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		if w.mode == work {
			return // WeCom issues the next token only after the last has ended
		}
		m := w.manager()
		first := get(t, m)
		waitFor(114 * time.Minute)
		w.wx.AddFault(wechattest.Fault{Delay: 5 * time.Second, AfterWork: true})
		renewed := false
		for range 4 * 60 * 100 {
			asked := time.Now()
			c := get(t, m)
			require.Zero(t, time.Since(asked), "a reader waited")
			w.requireValid(t, c)
			renewed = renewed || c.Value != first.Value
			waitFor(10 * time.Millisecond)
		}
		require.True(t, renewed)
		require.Equal(t, 2, w.wx.Calls(w.fetchPath()))
	})
}

func TestAWaiterLeavesWithItsOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		w.wx.AddFault(wechattest.Fault{Delay: 3 * time.Second, AfterWork: true})
		m := w.manager()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		waitFor(3 * time.Second)
		w.requireValid(t, get(t, m))
		require.Equal(t, 1, w.wx.Calls(stablePath), "the fetch went on without its first waiter")
	})
}
