package token_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// lastDeadRead reads all managers once a second, and returns the time of the last dead token.
func (w *world) lastDeadRead(t *testing.T, span time.Duration, all ...*token.Manager) (last time.Duration) {
	for begin := time.Now(); time.Since(begin) < span; waitFor(time.Second) {
		for _, m := range all {
			if c, err := m.Token(t.Context()); err == nil && w.wx.Check(c.Value) != 0 {
				last = time.Since(begin)
			}
		}
	}
	return last
}

// maxNotice is how long after the fetch of another process a read may return the token that it ended.
const noticed = 4 * time.Second

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// clientThrough passes the answers to m through after, which gets the number of the call.
func (w *world) clientThrough(m *token.Manager, after func(n int, r *http.Request, resp *http.Response, err error) (*http.Response, error)) {
	wire, n := w.wx.Client().Transport, 0
	m.Client = &wechat.Client{HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := wire.RoundTrip(r)
		n++
		return after(n, r, resp, err)
	})}}
}

func TestAForcedRefreshWhoseReplyIsLostLeavesNoDeadToken(t *testing.T) {
	for name, lose := range map[string]func(r *http.Request) error{
		"lost":   func(*http.Request) error { return errors.New("connection reset by peer") },
		"killed": func(r *http.Request) error { <-r.Context().Done(); return r.Context().Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(stable)
				a, b := w.manager(), w.manager()
				first := get(t, a)
				get(t, b)
				w.clientThrough(b, func(n int, r *http.Request, resp *http.Response, err error) (*http.Response, error) {
					if n == 2 { // the forced one
						resp.Body.Close()
						return nil, lose(r)
					}
					return resp, err
				})
				_, err := b.Renew(t.Context(), first.Value)
				require.Error(t, err)
				require.Equal(t, 40001, w.wx.Check(first.Value), "WeChat has ended it")
				require.LessOrEqual(t, w.lastDeadRead(t, 2*time.Hour, a), noticed, "b is never seen again")
			})
		})
	}
}

func TestAClassicTokenThatMayHaveEndedIsNotRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		a, b := w.manager(), w.manager()
		first := get(t, a)
		get(t, b)
		waitFor(10 * time.Minute)
		get(t, a)
		w.wx.AddFault(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true, Times: 1})
		_, err := b.Renew(t.Context(), first.Value)
		require.Error(t, err)
		waitFor(6 * time.Minute) // in which the record expires, and nobody reads
		require.Zero(t, w.lastDeadRead(t, 2*time.Hour, a, b))
	})
}

func TestAnEmptiedStoreHidesNoClassicFetchWhoseReplyIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		a, b := w.manager(), w.manager()
		first := get(t, a)
		get(t, b)
		waitFor(10 * time.Minute)
		get(t, a)
		get(t, b)
		require.NoError(t, w.store.Delete(t.Context(), w.storeKey()))
		w.wx.AddFault(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true, Times: 1})
		_, err := a.Renew(t.Context(), first.Value)
		require.Error(t, err)
		require.Zero(t, w.lastDeadRead(t, 2*time.Hour, a, b))
	})
}

// lossyStore loses its first write of a token before its effect, and delays the others.
type lossyStore struct {
	*machineStore
	n atomic.Int64
}

func (s *lossyStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if !strings.HasSuffix(key, "/lease") {
		if s.n.Add(1) == 1 {
			<-ctx.Done()
			return false, ctx.Err()
		}
		waitFor(1900 * time.Millisecond)
	}
	return s.machineStore.Swap(ctx, key, old, new, ttl)
}

func TestAnOlderClassicTokenOverwritesNoNewerOneByAnyClock(t *testing.T) {
	for _, skew := range []time.Duration{-29 * time.Second, 0, 29 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(classic)
			a, b := w.manager(), w.manager()
			a.Store = &lossyStore{machineStore: &machineStore{Store: w.store, skew: -skew}}
			b.Store = &machineStore{Store: w.store, skew: skew}
			w.wx.AddFault(wechattest.Fault{Path: oldPath, Delay: 7500 * time.Millisecond, Times: 1})
			var wg sync.WaitGroup
			wg.Go(func() { get(t, a) })
			waitFor(50 * time.Millisecond)
			wg.Go(func() { get(t, b) })
			wg.Wait()
			require.Zero(t, w.lastDeadRead(t, 2*time.Hour, a, b), "clocks %s apart", 2*skew)
		})
	}
}

func TestAClassicTokenThatWasNotSeenOverwritesNoNewerOneByAnyClock(t *testing.T) {
	for _, skew := range []time.Duration{-29 * time.Second, 0, 29 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w, down := newWorld(classic), new(atomic.Bool)
			a, b := w.manager(), w.manager()
			a.Store = &machineStore{Store: w.store, skew: -skew, down: down}
			b.Store = &machineStore{Store: w.store, skew: skew}
			w.clientThrough(a, func(n int, _ *http.Request, resp *http.Response, err error) (*http.Response, error) {
				down.Store(n == 2) // as soon as WeChat has answered
				return resp, err
			})
			first := get(t, a)
			get(t, b)
			waitFor(10 * time.Minute)
			second, err := a.Renew(t.Context(), first.Value)
			require.NoError(t, err)
			waitFor(10 * time.Second) // until a's lease has expired
			third, err := b.Renew(t.Context(), first.Value)
			require.NoError(t, err)
			require.NotEqual(t, second.Value, third.Value)
			down.Store(false)
			require.LessOrEqual(t, w.lastDeadRead(t, 2*time.Hour, a, b), noticed, "clocks %s apart", 2*skew)
		})
	}
}

func TestACallerThatKeepsRefusingLeavesOthersNoDeadClassicToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		a, b := w.manager(), w.manager()
		first := get(t, a)
		get(t, b)
		waitFor(10 * time.Minute)
		w.wx.AddFault(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true})
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
					_, _ = a.Renew(t.Context(), first.Value) // all fail
				}
			}
		}()
		require.LessOrEqual(t, w.lastDeadRead(t, 20*time.Minute, a, b), 3*time.Second+noticed, "the second fetch, 3 s later, has ended it")
		close(stop)
	})
}

func TestOneCallerDoesNotUseUpTheClassicTokensOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		m := w.manager()
		var err error
		for err == nil { // as with calls that answer 40001 to any token, such as those of another app
			_, err = m.Renew(t.Context(), get(t, m).Value)
			waitFor(20 * time.Millisecond)
		}
		require.ErrorIs(t, err, token.ErrRationed)
		require.Equal(t, 401, w.wx.Calls(oldPath))
		for range 24 * 60 {
			w.requireValid(t, get(t, m))
			waitFor(time.Minute)
		}
	})
}

func TestARefusedTokenIsNotAnsweredWithAnOlderOne(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		a, b := w.manager(), w.manager()
		first := get(t, a)
		get(t, b)
		w.wx.Revoke(first.Value)
		second, err := b.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		waitFor(31 * time.Second) // for the ration of forced refreshes
		get(t, a)
		waitFor(time.Second)
		w.wx.Revoke(second.Value)
		third, err := a.Renew(t.Context(), second.Value)
		require.NoError(t, err)
		w.requireValid(t, third)
	})
}

// slowWrites is a store whose writes of a token are late.
type slowWrites struct {
	*machineStore
	by time.Duration
}

func (s slowWrites) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if !strings.HasSuffix(key, "/lease") {
		waitFor(s.by)
	}
	return s.machineStore.Swap(ctx, key, old, new, ttl)
}

func TestARecordThatExpiresUnderTheLeaseFailsNoReader(t *testing.T) {
	for _, by := range []time.Duration{100 * time.Millisecond, 1500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(classic)
			first, m := get(t, w.manager()), w.manager()
			m.Store = slowWrites{&machineStore{Store: w.store}, by}
			waitFor(time.Until(first.Expires) - 4*time.Second - by/2)
			w.requireValid(t, get(t, m))
		})
	}
}
