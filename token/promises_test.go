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

// slowStore is a store that acts at once, and answers late.
type slowStore struct {
	store.Store
	by time.Duration
}

func (s slowStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	value, ok, err := s.Store.Get(ctx, key)
	waitFor(s.by)
	return value, ok, err
}

func (s slowStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	swapped, err := s.Store.Swap(ctx, key, old, new, ttl)
	waitFor(s.by)
	return swapped, err
}

// callCounter records the greatest number of concurrent calls.
type callCounter struct {
	http.RoundTripper
	now, most atomic.Int64
}

func (c *callCounter) RoundTrip(r *http.Request) (*http.Response, error) {
	if n := c.now.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	defer c.now.Add(-1)
	return c.RoundTripper.RoundTrip(r)
}

func TestTwoProcessesNeverCallWeChatAtOnceWithASlowStore(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		first := get(t, w.manager())
		w.wx.Revoke(first.Value)
		w.wx.AddFault(wechattest.Fault{Hang: true})
		calls := &callCounter{RoundTripper: w.wx.Client().Transport}
		var wg sync.WaitGroup
		for i := range 8 {
			m := w.manager()
			m.Store = slowStore{w.store, time.Duration(i%2) * 1500 * time.Millisecond}
			m.Client = &wechat.Client{HTTP: &http.Client{Transport: calls}}
			wg.Go(func() {
				for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); waitFor(time.Second) {
					m.Renew(t.Context(), first.Value)
				}
			})
		}
		wg.Wait()
		require.Greater(t, w.wx.Calls(oldPath)+w.wx.Calls(stablePath)+w.wx.Calls(workPath), 8)
		require.EqualValues(t, 1, calls.most.Load(), "calls under way at once: the lease ended before the call did")
	})
}

// keepLeases is a store whose leases cannot be released.
type keepLeases struct{ store.Store }

func (h keepLeases) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if new == nil {
		return false, errInjected
	}
	return h.Store.Swap(ctx, key, old, new, ttl)
}

func TestWaitersLeaveAsSoonAsAnotherProcessHasTheToken(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		w.store = keepLeases{w.store} // so that the others see the token, and not the lease
		w.wx.AddFault(wechattest.Fault{Path: w.fetchPath(), Delay: 4 * time.Second})
		start := time.Now()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { w.requireValid(t, get(t, w.manager())) })
		}
		wg.Wait()
		require.Less(t, time.Since(start), 4*time.Second+250*time.Millisecond)
		require.Equal(t, 1, w.wx.Calls(w.fetchPath()))
	})
}

func TestATokenIsRenewedInTheLastFiveMinutesOrQuarterOfItsLife(t *testing.T) {
	for life, window := range map[time.Duration]time.Duration{
		2 * time.Hour: 5 * time.Minute, 20 * time.Minute: 5 * time.Minute, 4 * time.Minute: time.Minute, 40 * time.Second: 10 * time.Second,
	} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(stable)
				w.wx.Add(wechattest.App{ID: appID, Secret: secret, Life: life})
				m := w.manager()
				first := get(t, m)
				for get(t, m).Value == first.Value {
					w.requireValid(t, first)
					waitFor(window / 100)
				}
				left := time.Until(first.Expires)
				require.Greater(t, left, window*3/10-window/50-2500*time.Millisecond, "a copy is looked at every 2.5 s")
				require.Less(t, left, window)
				require.Equal(t, 2, w.wx.Calls(stablePath))
			})
		})
	}
}

func TestEightProcessesFetchOncePerExpiryOfWeCom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(work)
		all, got := w.cluster(15*time.Millisecond, 0), &readStats{seen: map[string]bool{}}
		w.wx.Add(wechattest.App{ID: appID, Secret: secret, Kind: wechattest.Work, Life: life})
		get(t, all[0])
		for range 50 {
			w.readThrough(t, all, got)
		}
		t.Logf("%d reads, %d of tokens that ended meanwhile; %d calls for %d tokens", got.reads, got.late, w.wx.Calls(workPath), len(got.seen))
		require.Empty(t, got.dead)
		require.Zero(t, got.fails)
		require.Less(t, got.late, got.reads/1000)
		require.Equal(t, w.wx.Calls(workPath), len(got.seen))
	})
}

func TestAClassicRenewalThatWeChatRefusedIsTriedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		m := w.manager()
		first := get(t, m)
		waitFor(2*time.Hour - 90*time.Second)
		w.wx.AddFault(wechattest.Fault{Path: oldPath, Code: -1, Times: 1})
		for range 10 {
			w.requireValid(t, get(t, m))
			waitFor(time.Second)
		}
		require.NotEqual(t, first.Value, get(t, m).Value, "WeChat made nothing, so there was nothing to wait for")
		require.Equal(t, 3, w.wx.Calls(oldPath))
	})
}

// breakOnCall makes the store fail as soon as WeChat is called.
type breakOnCall struct {
	http.RoundTripper
	down *atomic.Bool
}

func (b breakOnCall) RoundTrip(r *http.Request) (*http.Response, error) {
	b.down.Store(true)
	return b.RoundTripper.RoundTrip(r)
}

func TestAClassicTokenThatCouldNotBeStoredIsServedBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, down := newWorld(classic), new(atomic.Bool)
		cutOff := w.manager()
		cutOff.Store = &machineStore{Store: w.store, down: down}
		cutOff.Client = &wechat.Client{HTTP: &http.Client{Transport: breakOnCall{w.wx.Client().Transport, down}}}
		unseen := get(t, cutOff)
		other := get(t, w.manager())
		require.NotEqual(t, unseen.Value, other.Value)
		for range 20 * 60 {
			w.requireValid(t, get(t, cutOff))
			w.requireValid(t, other)
			waitFor(time.Second)
		}
		require.Equal(t, 1, w.wx.Calls(oldPath), "the others are stable tokens, which end no other token")
	})
}

func TestAClockFarAheadCausesOneCallOfWeComAndNoDeadToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(work)
		first := get(t, w.manager())
		ahead := w.manager()
		ahead.Store = &machineStore{Store: w.store, skew: -5 * time.Minute} // for which stored instants seem sooner
		first.Expires = first.Expires.Add(-time.Minute)                     // by the fastest clock of another process
		require.Equal(t, first, withoutSkew(get(t, ahead), 5*time.Minute))
		waitFor(2*time.Hour - 3*time.Minute)
		w.requireValid(t, get(t, ahead))
		require.Equal(t, 2, w.wx.Calls(workPath))
	})
}

func withoutSkew(c wechat.Credential, d time.Duration) wechat.Credential {
	c.Expires = c.Expires.Add(d)
	return c
}

func TestEachLastingRefusalIsRememberedForAMinute(t *testing.T) {
	for mode, codes := range map[method][]int{
		stable:  {40001, 40013, 40125, 40164, 40243, 45009, 61024, 89503},
		classic: {40001, 40013, 40125, 40164, 40243, 45009, 61024, 89503},
		work:    {40001, 40013, 40091, 45009, 50003, 60020},
	} {
		for _, code := range codes {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(mode)
				w.wx.AddFault(wechattest.Fault{Path: w.fetchPath(), Code: code})
				m := w.manager()
				for range 440 {
					_, err := m.Token(t.Context())
					require.ErrorIs(t, err, wechat.Code(code))
					waitFor(100 * time.Millisecond)
				}
				require.Equal(t, 1, w.wx.Calls(w.fetchPath()), "%d: asked again within three quarters of a minute", code)
				w.wx.ClearFaults()
				waitFor(16 * time.Second)
				w.requireValid(t, get(t, m))
			})
		}
	}
}

func TestOneCallerDoesNotUseUpTheForcedRefreshesOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		m := w.manager()
		renew := func(caller string) error {
			refused := get(t, m).Value
			w.wx.Refuse(refused)
			_, err := m.Renew(token.WithCaller(t.Context(), caller), refused)
			waitFor(31 * time.Second)
			return err
		}
		for range 10 {
			require.NoError(t, renew("greedy"))
		}
		require.ErrorIs(t, renew("greedy"), token.ErrRationed)
		require.NoError(t, renew("modest"))
	})
}
