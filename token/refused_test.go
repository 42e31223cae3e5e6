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

// dead reads all managers once a second, and tells when they last handed out a dead token.
func (w *world) dead(t *testing.T, span time.Duration, all ...*token.Manager) (last time.Duration) {
	for begin := time.Now(); time.Since(begin) < span; pass(time.Second) {
		for _, m := range all {
			if c, err := m.Token(t.Context()); err == nil && w.wx.Check(c.Value) != 0 {
				last = time.Since(begin)
			}
		}
	}
	return last
}

// noticed is how long after another process's fetch a read may still be answered with what it ended.
const noticed = 4 * time.Second

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// through has the replies to m pass after, which is told the number of the call.
func (w *world) through(m *token.Manager, after func(n int, r *http.Request, resp *http.Response, err error) (*http.Response, error)) {
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
				w.through(b, func(n int, r *http.Request, resp *http.Response, err error) (*http.Response, error) {
					if n == 2 { // the forced one
						resp.Body.Close()
						return nil, lose(r)
					}
					return resp, err
				})
				_, err := b.Renew(t.Context(), first.Value)
				require.Error(t, err)
				require.Equal(t, 40001, w.wx.Check(first.Value), "WeChat has ended it")
				require.LessOrEqual(t, w.dead(t, 2*time.Hour, a), noticed, "b is never seen again")
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
		pass(10 * time.Minute)
		get(t, a)
		w.wx.Fail(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true, Times: 1})
		_, err := b.Renew(t.Context(), first.Value)
		require.Error(t, err)
		pass(6 * time.Minute) // in which the store lets go of the record, and nobody reads
		require.Zero(t, w.dead(t, 2*time.Hour, a, b))
	})
}

func TestAnEmptiedStoreHidesNoClassicFetchWhoseReplyIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		a, b := w.manager(), w.manager()
		first := get(t, a)
		get(t, b)
		pass(10 * time.Minute)
		get(t, a)
		get(t, b)
		require.NoError(t, w.store.Delete(t.Context(), w.key()))
		w.wx.Fail(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true, Times: 1})
		_, err := a.Renew(t.Context(), first.Value)
		require.Error(t, err)
		require.Zero(t, w.dead(t, 2*time.Hour, a, b))
	})
}

// tardy loses its first write of a token before its effect, and is late with the others.
type tardy struct {
	*machine
	n atomic.Int64
}

func (s *tardy) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if !strings.HasSuffix(key, "/lease") {
		if s.n.Add(1) == 1 {
			<-ctx.Done()
			return false, ctx.Err()
		}
		pass(1900 * time.Millisecond)
	}
	return s.machine.Swap(ctx, key, old, new, ttl)
}

func TestAnOlderClassicTokenOverwritesNoNewerOneByAnyClock(t *testing.T) {
	for _, skew := range []time.Duration{-29 * time.Second, 0, 29 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(classic)
			a, b := w.manager(), w.manager()
			a.Store = &tardy{machine: &machine{Store: w.store, skew: -skew}}
			b.Store = &machine{Store: w.store, skew: skew}
			w.wx.Fail(wechattest.Fault{Path: oldPath, Delay: 7500 * time.Millisecond, Times: 1})
			var wg sync.WaitGroup
			wg.Go(func() { get(t, a) })
			pass(50 * time.Millisecond)
			wg.Go(func() { get(t, b) })
			wg.Wait()
			require.Zero(t, w.dead(t, 2*time.Hour, a, b), "clocks %s apart", 2*skew)
		})
	}
}

func TestAClassicTokenThatWasNotSeenOverwritesNoNewerOneByAnyClock(t *testing.T) {
	for _, skew := range []time.Duration{-29 * time.Second, 0, 29 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w, down := newWorld(classic), new(atomic.Bool)
			a, b := w.manager(), w.manager()
			a.Store = &machine{Store: w.store, skew: -skew, down: down}
			b.Store = &machine{Store: w.store, skew: skew}
			w.through(a, func(n int, _ *http.Request, resp *http.Response, err error) (*http.Response, error) {
				down.Store(n == 2) // as soon as WeChat has answered
				return resp, err
			})
			first := get(t, a)
			get(t, b)
			pass(10 * time.Minute)
			second, err := a.Renew(t.Context(), first.Value)
			require.NoError(t, err)
			pass(10 * time.Second) // until a's lease has lapsed
			third, err := b.Renew(t.Context(), first.Value)
			require.NoError(t, err)
			require.NotEqual(t, second.Value, third.Value)
			down.Store(false)
			require.LessOrEqual(t, w.dead(t, 2*time.Hour, a, b), noticed, "clocks %s apart", 2*skew)
		})
	}
}

func TestACallerThatGoesOnRefusingLeavesOthersNoDeadClassicToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		a, b := w.manager(), w.manager()
		first := get(t, a)
		get(t, b)
		pass(10 * time.Minute)
		w.wx.Fail(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true})
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
		require.LessOrEqual(t, w.dead(t, 20*time.Minute, a, b), 3*time.Second+noticed, "the second fetch, 3 s later, has ended it")
		close(stop)
	})
}

func TestOneCallerDoesNotUseUpTheClassicTokensOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		m := w.manager()
		var err error
		for err == nil { // as with calls that answer 40001 to any token, such as another app's
			_, err = m.Renew(t.Context(), get(t, m).Value)
			pass(20 * time.Millisecond)
		}
		require.ErrorIs(t, err, token.ErrRationed)
		require.Equal(t, 401, w.wx.Calls(oldPath))
		for range 24 * 60 {
			w.live(t, get(t, m))
			pass(time.Minute)
		}
	})
}

func TestARefusedTokenIsNotAnsweredWithAnOlderOne(t *testing.T) {
	eachMode(t, func(t *testing.T, w *world) {
		a, b := w.manager(), w.manager()
		first := get(t, a)
		get(t, b)
		w.wx.Revoke(first.Value)
		second, err := b.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		pass(31 * time.Second) // for the ration of forced refreshes
		get(t, a)
		pass(time.Second)
		w.wx.Revoke(second.Value)
		third, err := a.Renew(t.Context(), second.Value)
		require.NoError(t, err)
		w.live(t, third)
	})
}

// dilatory is late to write a token.
type dilatory struct {
	*machine
	by time.Duration
}

func (s dilatory) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if !strings.HasSuffix(key, "/lease") {
		pass(s.by)
	}
	return s.machine.Swap(ctx, key, old, new, ttl)
}

func TestARecordThatLapsesUnderTheLeaseFailsNoReader(t *testing.T) {
	for _, by := range []time.Duration{100 * time.Millisecond, 1500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(classic)
			first, m := get(t, w.manager()), w.manager()
			m.Store = dilatory{&machine{Store: w.store}, by}
			pass(time.Until(first.Expires) - 4*time.Second - by/2)
			w.live(t, get(t, m))
		})
	}
}
