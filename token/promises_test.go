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

// slow is a store that does at once what it is asked, and is late to say so.
type slow struct {
	store.Store
	by time.Duration
}

func (s slow) Get(ctx context.Context, key string) ([]byte, bool, error) {
	value, ok, err := s.Store.Get(ctx, key)
	pass(s.by)
	return value, ok, err
}

func (s slow) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	swapped, err := s.Store.Swap(ctx, key, old, new, ttl)
	pass(s.by)
	return swapped, err
}

// counting notes how many calls are under way at once, at most.
type counting struct {
	http.RoundTripper
	now, most atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if n := c.now.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	defer c.now.Add(-1)
	return c.RoundTripper.RoundTrip(r)
}

func TestTwoProcessesNeverAskWeChatAtOnceHoweverSlowTheStore(t *testing.T) {
	eachMode(t, func(t *testing.T, w *world) {
		first := get(t, w.manager())
		w.wx.Revoke(first.Value)
		w.wx.Fail(wechattest.Fault{Hang: true})
		calls := &counting{RoundTripper: w.wx.Client().Transport}
		var wg sync.WaitGroup
		for i := range 8 {
			m := w.manager()
			m.Store = slow{w.store, time.Duration(i%2) * 1500 * time.Millisecond}
			m.Client = &wechat.Client{HTTP: &http.Client{Transport: calls}}
			wg.Go(func() {
				for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); pass(time.Second) {
					m.Renew(t.Context(), first.Value)
				}
			})
		}
		wg.Wait()
		require.Greater(t, w.wx.Calls(oldPath)+w.wx.Calls(stablePath)+w.wx.Calls(workPath), 8)
		require.EqualValues(t, 1, calls.most.Load(), "calls under way at once: the lease ended before the call did")
	})
}

// holding is a store whose leases cannot be given back.
type holding struct{ store.Store }

func (h holding) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if new == nil {
		return false, errInjected
	}
	return h.Store.Swap(ctx, key, old, new, ttl)
}

func TestWaitersLeaveAsSoonAsAnotherProcessHasTheToken(t *testing.T) {
	eachMode(t, func(t *testing.T, w *world) {
		w.store = holding{w.store} // so that what they see is the token, and not the lease
		w.wx.Fail(wechattest.Fault{Path: w.path(), Delay: 4 * time.Second})
		start := time.Now()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { w.live(t, get(t, w.manager())) })
		}
		wg.Wait()
		require.Less(t, time.Since(start), 4*time.Second+250*time.Millisecond)
		require.Equal(t, 1, w.wx.Calls(w.path()))
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
					w.live(t, first)
					pass(window / 100)
				}
				left := time.Until(first.Expires)
				require.Greater(t, left, window*4/5-window/50-2500*time.Millisecond, "a copy is looked at every 2.5 s")
				require.Less(t, left, window)
				require.Equal(t, 2, w.wx.Calls(stablePath))
			})
		})
	}
}

func TestEightProcessesFetchOncePerExpiryOfWeCom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(work)
		all, got := w.cluster(15*time.Millisecond, 0), &tally{seen: map[string]bool{}}
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
		pass(116 * time.Minute)
		w.wx.Fail(wechattest.Fault{Path: oldPath, Code: -1, Times: 1})
		for range 10 {
			w.live(t, get(t, m))
			pass(time.Second)
		}
		require.NotEqual(t, first.Value, get(t, m).Value, "WeChat made nothing, so there was nothing to wait for")
		require.Equal(t, 3, w.wx.Calls(oldPath))
	})
}

// breaking has the store break as soon as WeChat is asked.
type breaking struct {
	http.RoundTripper
	down *atomic.Bool
}

func (b breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	b.down.Store(true)
	return b.RoundTripper.RoundTrip(r)
}

func TestAClassicTokenThatOthersCannotSeeIsGivenUpBeforeTheyEndIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, down := newWorld(classic), new(atomic.Bool)
		cutOff := w.manager()
		cutOff.Store = &machine{Store: w.store, down: down}
		cutOff.Client = &wechat.Client{HTTP: &http.Client{Transport: breaking{w.wx.Client().Transport, down}}}
		unseen := get(t, cutOff)
		other := get(t, w.manager())
		require.NotEqual(t, unseen.Value, other.Value)
		for range 20 * 60 {
			w.live(t, get(t, cutOff))
			w.live(t, other)
			pass(time.Second)
		}
		require.Equal(t, 1, w.wx.Calls(oldPath), "the others are stable tokens, which end nobody else's")
	})
}

func TestAClockThatIsFarAheadCostsWeComACallAndNobodyAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(work)
		first := get(t, w.manager())
		ahead := w.manager()
		ahead.Store = &machine{Store: w.store, skew: -5 * time.Minute} // to which stored instants seem sooner
		first.Expires = first.Expires.Add(-time.Minute)                // by the fastest clock that another process may have
		require.Equal(t, first, withoutSkew(get(t, ahead), 5*time.Minute))
		pass(2*time.Hour - 3*time.Minute)
		w.live(t, get(t, ahead))
		require.Equal(t, 2, w.wx.Calls(workPath))
	})
}

func withoutSkew(c wechat.Credential, d time.Duration) wechat.Credential {
	c.Expires = c.Expires.Add(d)
	return c
}

func TestEachRefusalThatAPersonMendsIsRememberedForAMinute(t *testing.T) {
	for mode, codes := range map[way][]int{
		stable:  {40001, 40013, 40125, 40164, 40243, 45009, 61024, 89503},
		classic: {40001, 40013, 40125, 40164, 40243, 45009, 61024, 89503},
		work:    {40001, 40013, 40091, 45009, 50003, 60020},
	} {
		for _, code := range codes {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(mode)
				w.wx.Fail(wechattest.Fault{Path: w.path(), Code: code})
				m := w.manager()
				for range 440 {
					_, err := m.Token(t.Context())
					require.ErrorIs(t, err, wechat.Code(code))
					pass(100 * time.Millisecond)
				}
				require.Equal(t, 1, w.wx.Calls(w.path()), "%d: asked again within three quarters of a minute", code)
				w.wx.Heal()
				pass(16 * time.Second)
				w.live(t, get(t, m))
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
			pass(31 * time.Second)
			return err
		}
		for range 10 {
			require.NoError(t, renew("greedy"))
		}
		require.ErrorIs(t, renew("greedy"), token.ErrRationed)
		require.NoError(t, renew("modest"))
	})
}
