package token_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechattest"
)

// fullStore is a store that refuses writes while it is full.
type fullStore struct {
	store.Store
	full atomic.Bool
}

var errFull = errors.New("OOM command not allowed")

func (s *fullStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if s.full.Load() {
		return false, errFull
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

// readAll reads managers for a while, often at first, and returns the number of failed reads and of dead tokens.
func (w *world) readAll(t *testing.T, d time.Duration, all ...*token.Manager) (failed, dead int) {
	for start := time.Now(); time.Since(start) < d; {
		for _, m := range all {
			switch c, err := m.Token(t.Context()); {
			case err != nil:
				t.Logf("%s: a read failed: %v", time.Now().Format(time.TimeOnly), err)
				failed++
			case w.wx.Check(c.Value) != 0:
				dead++
			}
		}
		if time.Since(start) < time.Minute {
			waitFor(100 * time.Millisecond)
		} else {
			waitFor(time.Second)
		}
	}
	return failed, dead
}

func TestAFetchThatReachesWeChatLateLeavesNoDeadToken(t *testing.T) {
	late := wechattest.Fault{Path: oldPath, Late: true, Delay: 20 * time.Second, Times: 1}
	for name, begin := range map[string]func(t *testing.T, w *world, a, b *token.Manager){
		"cold": func(t *testing.T, w *world, a, _ *token.Manager) {
			w.wx.AddFault(late)
			_, err := a.Token(t.Context())
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
		"refused": func(t *testing.T, w *world, a, b *token.Manager) {
			first := get(t, a)
			get(t, b)
			w.wx.Revoke(first.Value)
			w.wx.AddFault(late)
			_, err := a.Renew(t.Context(), first.Value)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = b.Renew(t.Context(), first.Value)
			require.NoError(t, err)
		},
		"at its end": func(t *testing.T, w *world, a, b *token.Manager) {
			get(t, a)
			waitFor(2*time.Hour - 5*time.Second)
			w.wx.AddFault(late)
			a.Token(t.Context())
			waitFor(10 * time.Second)
		},
		"ended": func(t *testing.T, w *world, a, b *token.Manager) {
			get(t, a)
			waitFor(3 * time.Hour)
			w.wx.AddFault(late)
			_, err := a.Token(t.Context())
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
		"killed": func(t *testing.T, w *world, a, _ *token.Manager) {
			killed, down := w.manager(), new(atomic.Bool)
			killed.Store = &machineStore{Store: w.store, down: down}
			w.wx.AddFault(late)
			go killed.Token(t.Context())
			waitFor(time.Second)
			down.Store(true)
			waitFor(leaseLife)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(classic)
				a, b := w.manager(), w.manager()
				begin(t, w, a, b)
				w.requireValid(t, get(t, b))
				_, dead := w.readAll(t, 2*time.Hour, a, b)
				require.Zero(t, dead)
			})
		})
	}
}

const leaseLife = 10 * time.Second

func TestReadersAreServedWhileTheStoreRefusesWrites(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		full := &fullStore{Store: w.store}
		w.store = full
		all := []*token.Manager{w.manager(), w.manager(), w.manager()}
		for _, m := range all {
			get(t, m)
		}
		full.full.Store(true)
		waitFor(2*time.Hour - 4*time.Minute)
		failed, dead := w.readAll(t, 3*time.Hour, all...)
		require.Zero(t, failed)
		if w.mode != work { // a token of WeCom may end while it is returned
			require.Zero(t, dead)
		}
		require.LessOrEqual(t, w.wx.Calls(stablePath)+w.wx.Calls(oldPath)+w.wx.Calls(workPath), 1+3*len(all))
	})
}

func TestARefusalSoonAfterAFetchWaitsUntilAllHoldTheNewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		a, b, c := w.manager(), w.manager(), w.manager()
		first := get(t, a)
		get(t, b)
		get(t, c)
		dead := make(chan int)
		go func() {
			_, n := w.readAll(t, 30*time.Second, b, c)
			dead <- n
		}()
		waitFor(time.Second)
		second, err := a.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		start := time.Now()
		third, err := a.Renew(t.Context(), second.Value)
		require.NoError(t, err)
		require.NotEqual(t, second.Value, third.Value)
		require.GreaterOrEqual(t, time.Since(start), 3*time.Second)
		require.Zero(t, <-dead)

		made := w.countTokens(oldPath)
		for start, refused := time.Now(), third.Value; time.Since(start) < time.Minute; {
			next, err := a.Renew(t.Context(), refused)
			require.NoError(t, err)
			refused = next.Value
		}
		require.LessOrEqual(t, w.countTokens(oldPath)-made, 21, "one caller ends a token every three seconds at most")
	})
}

func TestAFlushDuringARenewalCausesNoFurtherFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		all := []*token.Manager{w.manager(), w.manager(), w.manager()}
		for _, m := range all {
			m.Store = &machineStore{Store: w.store, delay: 200 * time.Millisecond}
			get(t, m)
		}
		waitFor(2*time.Hour - 5*time.Minute)
		w.wx.AddFault(wechattest.Fault{Path: oldPath, Code: -1})
		w.readAll(t, 2*time.Minute, all...) // until each of them renews the token
		waitFor(20 * time.Second)           // and none waits after a failure
		w.wx.ClearFaults()
		w.wx.AddFault(wechattest.Fault{Path: oldPath, Delay: 5 * time.Second, Times: 1})
		for asked := w.wx.Calls(oldPath); w.wx.Calls(oldPath) == asked; {
			w.readAll(t, 100*time.Millisecond, all...)
		}
		for key := range w.store.Keys(t.Context(), "") {
			require.NoError(t, w.store.Delete(t.Context(), key))
		}
		failed, dead := w.readAll(t, 10*time.Minute, all...)
		require.Zero(t, failed)
		require.Zero(t, dead)
		require.Equal(t, 2, w.countTokens(oldPath))
		require.Zero(t, w.countTokens(stablePath))
	})
}

func TestALifeIsNotOverstatedByAnotherProcesssClock(t *testing.T) {
	for _, skew := range []time.Duration{-29 * time.Second, 29 * time.Second} {
		testEachMethod(t, func(t *testing.T, w *world) {
			w.wx.Add(wechattest.App{ID: appID, Secret: secret, Kind: kindOf(w.mode), Life: 310 * time.Second})
			get(t, w.manager())
			m := w.manager()
			m.Store = &machineStore{Store: w.store, skew: skew}
			require.LessOrEqual(t, time.Until(get(t, m).Expires), 310*time.Second)
			waitFor(100 * time.Second)
			require.LessOrEqual(t, time.Until(get(t, m).Expires), 210*time.Second)

			r := &token.Remote{URL: w.serve(t), Key: key, OnError: ignoreError}
			require.LessOrEqual(t, time.Until(get(t, r).Expires), 210*time.Second, "a Remote counts by its own clock")
		})
	}
}

func kindOf(mode method) wechattest.Kind {
	if mode == work {
		return wechattest.Work
	}
	return wechattest.Official
}

func TestARecordOutOfBoundsIsNotServed(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() // the start of bubbles
	hour := time.Hour.Milliseconds()
	for name, record := range map[string]string{
		"gen":      fmt.Sprintf(`{"value":"planted","expires":%d,"life":7200000,"gen":%d}`, now+hour, math.MaxInt64-1),
		"negative": fmt.Sprintf(`{"value":"planted","expires":%d,"life":7200000,"gen":-1}`, now+hour),
		"expires":  fmt.Sprintf(`{"value":"planted","expires":%d,"life":7200000,"gen":1}`, now+1000*24*hour),
		"overflow": fmt.Sprintf(`{"value":"planted","expires":%d,"life":7200000,"gen":1}`, math.MaxInt64),
		"life":     fmt.Sprintf(`{"value":"planted","expires":%d,"life":%d,"gen":1}`, now+hour, math.MaxInt64),
		"no life":  fmt.Sprintf(`{"value":"planted","expires":%d,"life":0,"gen":1}`, now+hour),
		"no value": fmt.Sprintf(`{"value":"","expires":%d,"life":7200000,"gen":%d}`, now+hour, now+hour/10),
		"long":     fmt.Sprintf(`{"value":"planted%099999d","expires":%d,"life":7200000,"gen":1}`, 0, now+hour),
	} {
		t.Run(name, func(t *testing.T) {
			testEachMethod(t, func(t *testing.T, w *world) {
				m := w.manager()
				first := get(t, m)
				at := w.storeKey()
				require.NoError(t, w.store.Set(t.Context(), at, []byte(record), 0))
				w.requireValid(t, get(t, w.manager()))
				waitFor(3 * time.Second)
				w.requireValid(t, get(t, m))
				require.NoError(t, w.store.Delete(t.Context(), at))
				waitFor(3 * time.Second)
				w.requireValid(t, get(t, m))
				w.wx.Revoke(first.Value)
				second, err := m.Renew(t.Context(), get(t, m).Value)
				require.NoError(t, err)
				w.requireValid(t, second)
				waitFor(3 * time.Second)
				w.requireValid(t, get(t, w.manager()))
			})
		})
	}
}

func TestAnInvalidRationIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		m := w.manager()
		current := get(t, m)
		require.NoError(t, w.store.Set(t.Context(), "token/"+appID+"/classic/renewed", []byte(`{"day":"2000-01-01","count":-9000000000000000000}`), 0))
		renewed := 0
		for range 1000 {
			next, err := m.Renew(t.Context(), current.Value)
			if errors.Is(err, token.ErrRationed) {
				break
			}
			require.NoError(t, err)
			current, renewed = next, renewed+1
			waitFor(4 * time.Second)
		}
		require.Equal(t, 400, renewed)
	})
}

func TestACallThatDidNotReachWeChatEndsNoClassicToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		m := w.manager()
		first := get(t, m)
		waitFor(2*time.Hour - 5*time.Minute)
		away := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		m.Client.HTTP.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, away })
		for time.Until(first.Expires) > 5*time.Second {
			require.Equal(t, first.Value, get(t, m).Value, "%s before its end", time.Until(first.Expires))
			waitFor(time.Second)
		}
	})
}
