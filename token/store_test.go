package token_test

import (
	"context"
	"errors"
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

func TestReadersAreServedWhileTheStoreIsDown(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		down := new(atomic.Bool)
		m := w.manager()
		m.Store = &machineStore{Store: w.store, down: down}
		var reported atomic.Int64
		m.OnError = func(_ context.Context, err error) {
			if errors.Is(err, errInjected) {
				reported.Add(1)
			}
		}
		first := get(t, m)
		down.Store(true)
		for range 60 * 10 {
			asked := time.Now()
			require.Equal(t, first, get(t, m))
			require.Zero(t, time.Since(asked), "a reader waited for the store")
			waitFor(100 * time.Millisecond)
		}
		require.Equal(t, 1, w.wx.Calls(w.fetchPath()))
		require.Positive(t, reported.Load(), "the failure was swallowed")
		require.LessOrEqual(t, reported.Load(), int64(2), "a repeated failure is reported once a minute")
	})
}

func TestWithoutItsStoreEachProcessFetchesOnceAndFromStable(t *testing.T) {
	for name, mode := range map[string]method{"stable": stable, "classic": classic} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, down := newWorld(mode), new(atomic.Bool)
				down.Store(true)
				all := make([]*token.Manager, 8)
				for i := range all {
					all[i] = w.manager()
					all[i].Store = &machineStore{Store: w.store, down: down}
				}
				for range 60 {
					for _, m := range all {
						w.requireValid(t, get(t, m))
					}
					waitFor(time.Second)
				}
				require.Equal(t, 8, w.wx.Calls(stablePath))
				require.Zero(t, w.wx.Calls(oldPath), "a classic fetch would have ended the others' token")

				down.Store(false)
				for range 4 {
					for _, m := range all {
						w.requireValid(t, get(t, m))
					}
					waitFor(time.Second)
				}
				_, ok, err := w.store.Get(t.Context(), "token/"+appID+"/"+name)
				require.NoError(t, err)
				require.True(t, ok, "the token was not given to the store that came back")
				require.Equal(t, 8, w.wx.Calls(stablePath)+w.wx.Calls(oldPath))
			})
		})
	}
}

func TestAnEmptiedStoreGetsTheTokenBack(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		all := []*token.Manager{w.manager(), w.manager(), w.manager()}
		first := get(t, all[0])
		for _, m := range all {
			require.Equal(t, first.Value, get(t, m).Value)
		}
		require.NoError(t, w.store.Delete(t.Context(), w.storeKey()))
		waitFor(4 * time.Second)
		get(t, all[1])
		waitFor(time.Second)
		newcomer := w.manager()
		require.Equal(t, first.Value, get(t, newcomer).Value)
		require.Equal(t, 1, w.wx.Calls(w.fetchPath()))
	})
}

func TestAnotherProcesssRenewalIsNoticedWithinThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		a, b := w.manager(), w.manager()
		first := get(t, a)
		require.Equal(t, first.Value, get(t, b).Value)
		w.wx.Revoke(first.Value)
		second, err := a.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		start := time.Now()
		for get(t, b).Value != second.Value {
			require.LessOrEqual(t, time.Since(start), 3*time.Second)
			waitFor(50 * time.Millisecond)
		}
	})
}

func TestAnotherProcesssRenewalIsNoticedAtOnceByTheRefusedAndTheRested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		a, b := w.manager(), w.manager()
		first := get(t, a)
		require.Equal(t, first.Value, get(t, b).Value)
		w.wx.Revoke(first.Value)
		second, err := a.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		got, err := b.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		require.Equal(t, second.Value, got.Value)
		require.Equal(t, 2, w.wx.Calls(stablePath))

		w.wx.Revoke(second.Value)
		third, err := a.Renew(t.Context(), second.Value)
		require.NoError(t, err)
		waitFor(time.Minute)
		require.Equal(t, third.Value, get(t, b).Value, "the first read after a rest looks before it serves")
	})
}

func TestADeadHolderOfTheLeaseIsReplaced(t *testing.T) {
	testEachMethod(t, func(t *testing.T, w *world) {
		get(t, w.manager())
		key := w.storeKey()
		require.NoError(t, w.store.Delete(t.Context(), key))
		_, taken, err := store.TryLease(t.Context(), w.store, key+"/lease", 10*time.Second)
		require.NoError(t, err)
		require.True(t, taken)
		start := time.Now()
		w.requireValid(t, get(t, w.manager()))
		require.LessOrEqual(t, time.Since(start), 11*time.Second)
	})
}

// lateStore is a store whose first write of a token arrives late.
type lateStore struct {
	store.Store
	by   time.Duration
	used atomic.Bool
}

func (l *lateStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if key == "token/"+appID+"/stable" && l.used.CompareAndSwap(false, true) {
		waitFor(l.by)
	}
	return l.Store.Swap(context.WithoutCancel(ctx), key, old, new, ttl)
}

func TestALateOlderTokenDoesNotOverwriteANewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		slow := w.manager()
		slow.Store = &lateStore{Store: w.store, by: 20 * time.Second}
		done := make(chan wechat.Credential)
		go func() {
			c, _ := slow.Token(context.Background())
			done <- c
		}()
		waitFor(15 * time.Second)
		quick := w.manager()
		first := get(t, quick)
		w.wx.Revoke(first.Value)
		second, err := quick.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		require.Equal(t, second.Value, (<-done).Value)
		require.Equal(t, second.Value, get(t, w.manager()).Value)
	})
}

func TestALostReplyLeavesNoDeadClassicTokenBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(classic)
		m := w.manager()
		first := get(t, m)
		waitFor(116 * time.Minute)
		w.wx.AddFault(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true, Times: 1})
		for range 10 * 60 {
			w.requireValid(t, get(t, m))
			waitFor(time.Second)
		}
		require.NotEqual(t, first.Value, get(t, m).Value)
		require.Equal(t, 3, w.wx.Calls(oldPath))
	})
}

func TestForcedRefreshesAreRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		m := w.manager()
		current, forced := get(t, m), 0
		for range 24 * 60 {
			w.wx.Refuse(current.Value)
			c, err := m.Renew(t.Context(), current.Value)
			if err != nil {
				require.True(t, errors.Is(err, token.ErrRationed), "%v", err)
				break
			}
			current = c
			forced++
			waitFor(31 * time.Second)
		}
		require.Equal(t, 20, forced)

		before := w.wx.Calls(stablePath)
		for range 1000 {
			_, err := m.Renew(t.Context(), current.Value)
			require.ErrorIs(t, err, token.ErrRationed)
			waitFor(10 * time.Millisecond)
		}
		require.LessOrEqual(t, w.wx.Calls(stablePath)-before, 6, "claimed refusals cause calls of WeChat")
	})
}

func TestForcedRefreshesAreHalfAMinuteApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		m := w.manager()
		first := get(t, m)
		w.wx.Refuse(first.Value)
		second, err := m.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		w.wx.Refuse(second.Value)
		_, err = m.Renew(t.Context(), second.Value)
		require.ErrorIs(t, err, token.ErrRationed)
		waitFor(31 * time.Second)
		third, err := m.Renew(t.Context(), second.Value)
		require.NoError(t, err)
		w.requireValid(t, third)
	})
}

func TestRunRenewsWithoutReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(stable)
		ctx, cancel := context.WithCancelCause(t.Context())
		for range 3 {
			go w.manager().Run(ctx)
		}
		waitFor(24 * time.Hour)
		require.InDelta(t, 12, w.wx.Calls(stablePath), 1)
		asked := w.wx.Calls(stablePath)
		w.requireValid(t, get(t, w.manager()))
		require.Equal(t, asked, w.wx.Calls(stablePath), "the token was not ready")
		stop := errors.New("stop")
		cancel(stop)
		require.ErrorIs(t, w.manager().Run(ctx), stop)
	})
}

func TestEachSecretOfACorpHasItsOwnToken(t *testing.T) {
	w := newWorld(work)
	w.wx.Add(wechattest.App{ID: appID, Secret: "contacts", Kind: wechattest.Work, AgentID: 2})
	contacts := w.manager()
	contacts.Secret = "contacts"
	require.NotEqual(t, get(t, w.manager()).Value, get(t, contacts).Value)
	require.Equal(t, 2, w.wx.Calls(workPath))
}
