package outbox_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/store"
)

func TestAForeverItemIsDeliveredAfterDaysWithoutItsTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		x.set("http://shop/paid", true)
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Forever: true}
		stop := runOutbox(t, o)
		add(t, o, "a", "http://shop/paid")
		<-time.After(37 * time.Hour)
		synctest.Wait()
		stop()
		o = &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Forever: true} // another process
		defer runOutbox(t, o)()
		<-time.After(36 * time.Hour)
		synctest.Wait()
		tries := x.tried("a")
		for i := 1; i < len(tries); i++ {
			require.LessOrEqual(t, tries[i].Sub(tries[i-1]), 10*time.Minute)
		}
		require.GreaterOrEqual(t, len(tries), 73*6)
		b, err := o.Backlog(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, b.Count)
		require.Equal(t, 73*time.Hour, time.Since(b.Oldest))
		x.set("http://shop/paid", false)
		<-time.After(11 * time.Minute)
		synctest.Wait()
		require.Equal(t, 1, x.count("a"))
		require.Empty(t, keysOf(t, s))
		require.Zero(t, r.count("gave up"))
	})
}

func TestAForeverItemThatFitsNoKeyIsHeldUntilItIsSignedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		keys := []string{}
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Forever: true, Keys: func(string) ([]string, error) { return keys, nil }}
		add(t, o, "before the app had a key", "http://shop/paid")
		keys = []string{"old"}
		add(t, o, "under the old key", "http://shop/paid")
		keys = []string{"new"}
		add(t, o, "under the new key", "http://shop/paid")
		stop := runOutbox(t, o)
		<-time.After(73 * time.Hour)
		synctest.Wait() // Run may try an item at this time
		require.Equal(t, 1, x.total())
		require.Equal(t, 2, r.count("is held: refused"), "each is reported once")
		var held []string
		for l, err := range o.List(t.Context()) {
			require.NoError(t, err)
			require.ErrorIs(t, l.Held, outbox.ErrRefused)
			held = append(held, l.Handle)
		}
		require.Len(t, held, 2)
		require.NoError(t, o.Retry(t.Context(), held[0]))
		require.Equal(t, 2, x.total())
		require.ErrorIs(t, o.Retry(t.Context(), held[0]), outbox.ErrNoItem)
		x.set("http://shop/paid", true)
		require.Error(t, o.Retry(t.Context(), held[1]))
		x.set("http://shop/paid", false)
		<-time.After(11 * time.Minute)
		synctest.Wait()
		require.Equal(t, 3, x.total(), "it is signed, so Run delivers it")
		stop()
		add(t, o, "to be dropped", "http://shop/paid")
		for l := range o.List(t.Context()) {
			require.NoError(t, l.Held)
			require.NoError(t, o.Drop(t.Context(), l.Handle))
			require.ErrorIs(t, o.Drop(t.Context(), l.Handle), outbox.ErrNoItem)
		}
		require.Empty(t, keysOf(t, s))
	})
}

func TestAForeverRecordThatCannotBeReadIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Forever: true}
		add(t, o, "a", "http://shop/paid")
		key := keysOf(t, s)[0]
		require.NoError(t, s.Set(t.Context(), key, []byte("nonsense"), 0))
		defer runOutbox(t, o)()
		<-time.After(time.Hour)
		synctest.Wait()
		require.Contains(t, keysOf(t, s), key)
		b, err := o.Backlog(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, b.Held)
	})
}

func TestABacklogIsReadInPart(t *testing.T) {
	o := &outbox.Outbox{Store: new(store.Memory), Forever: true, Send: func(context.Context, outbox.Item) error { return nil }}
	for i := range 2100 {
		add(t, o, fmt.Sprint(i), "http://shop/paid")
	}
	b, err := o.Backlog(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2000, b.Count)
}

func TestAnItemWithAMarkIsKnownToHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		o := &outbox.Outbox{Store: s, Prefix: "relay/", Send: x.send, Forever: true}
		marked := outbox.Item{ID: "a", Target: "http://shop/paid", Mark: true}
		requireState := func(waits, ended bool) {
			t.Helper()
			has, err := o.Has(t.Context(), marked)
			require.NoError(t, err)
			require.Equal(t, waits, has)
			took, err := o.TakeMark(t.Context(), marked)
			require.NoError(t, err)
			require.Equal(t, ended, took)
		}
		requireState(false, false)
		require.NoError(t, o.Add(t.Context(), marked))
		requireState(true, false)
		stop := runOutbox(t, o)
		<-time.After(time.Minute)
		synctest.Wait()
		stop()
		require.Equal(t, 1, x.total())
		requireState(false, true)
		requireState(false, false) // it was taken

		require.NoError(t, o.Add(t.Context(), marked))
		for l, err := range o.List(t.Context()) {
			require.NoError(t, err)
			require.NoError(t, o.Drop(t.Context(), l.Handle))
		}
		requireState(false, true)

		plain := outbox.Item{ID: "b", Target: "http://shop/paid"}
		require.NoError(t, o.Add(t.Context(), plain))
		stop = runOutbox(t, o)
		<-time.After(time.Minute)
		synctest.Wait()
		stop()
		require.Empty(t, keysOf(t, s), "it leaves nothing")
	})
}
