package outbox_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/store"
)

func TestItemIsDeliveredAtOnceAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan outbox.Item, 1)
		s := new(store.Memory)
		o := &outbox.Outbox{Store: s, Prefix: "outbox/wx1/", Send: func(_ context.Context, item outbox.Item) error {
			got <- item
			return nil
		}}
		defer runOutbox(t, o)()
		synctest.Wait()
		begun := time.Now()
		add(t, o, "a", "http://crm/wx")
		item := <-got
		require.Zero(t, time.Since(begun), "Add wakes Run")
		require.Equal(t, outbox.Item{ID: "a", Target: "http://crm/wx", ContentType: "text/xml", Body: []byte("<xml>a</xml>"), Added: item.Added}, item)
		synctest.Wait()
		require.Empty(t, keysOf(t, s), "neither the item nor its lease is left")
	})
}

func TestItemsAddedBeforeRunAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		for i := range 300 {
			add(t, &outbox.Outbox{Store: s}, fmt.Sprint(i), "http://crm/wx")
		}
		defer runOutbox(t, &outbox.Outbox{Store: s, Send: x.send})()
		<-time.After(time.Second)
		require.Equal(t, 300, x.total())
	})
}

func TestItemAddedTwiceIsDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		o := &outbox.Outbox{Store: s, Send: x.send}
		add(t, o, "a", "http://crm/wx")
		add(t, o, "a", "http://crm/wx")
		add(t, o, "a", "http://erp/wx") // another target is another item
		defer runOutbox(t, o)()
		synctest.Wait()
		require.Equal(t, 2, x.count("a"))
	})
}

func TestFailingTargetIsRetriedWithGrowingDelaysForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		x.set("http://crm/wx?secret=x-hidden", true)
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: r.add}
		stop := runOutbox(t, o)
		begun := time.Now()
		add(t, o, "a", "http://crm/wx?secret=x-hidden")
		<-time.After(25 * time.Hour)
		synctest.Wait()
		stop()
		require.Empty(t, keysOf(t, s))

		tries := x.tried("a")
		want := time.Second
		for i := 1; i < len(tries); i++ {
			pause := tries[i].Sub(tries[i-1])
			require.LessOrEqual(t, pause, want, "after try %d", i)
			require.GreaterOrEqual(t, pause, want*3/4, "after try %d", i)
			want = min(2*want, 10*time.Minute)
		}
		// 10 tries in the first 17 minutes, and then one every 10 minutes or somewhat less.
		require.GreaterOrEqual(t, len(tries), 9+23*6)
		require.LessOrEqual(t, len(tries), 12+24*8)
		require.LessOrEqual(t, tries[len(tries)-1].Sub(begun), 24*time.Hour)
		require.Equal(t, 1, r.count("delivery to crm failed: down"))
		require.Equal(t, 1, r.count("gave up an item for crm after 24h"))
		require.Zero(t, r.count("x-hidden"))
	})
}

func TestOldItemIsTriedOnceBeforeItIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		x.set("http://dead/", true)
		for i := range 100 {
			add(t, &outbox.Outbox{Store: s}, fmt.Sprint("a", i), "http://healthy/")
			add(t, &outbox.Outbox{Store: s}, fmt.Sprint("b", i), "http://dead/")
		}
		<-time.After(25 * time.Hour) // no process runs
		synctest.Wait()
		defer runOutbox(t, &outbox.Outbox{Store: s, Send: x.send, OnError: r.add})()
		<-time.After(time.Hour)
		synctest.Wait()
		require.Empty(t, keysOf(t, s))
		require.Len(t, x.tried("a0"), 1)
		require.Equal(t, 100, r.count("gave up an item for dead after 25h"))
		require.Equal(t, 0, r.count("an item for healthy"))
	})
}

func TestAgeIsConfigurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		x.set("http://crm/wx", true)
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: r.add, Age: time.Minute}
		defer runOutbox(t, o)()
		for i := range 1000 {
			add(t, o, fmt.Sprint(i), "http://crm/wx")
		}
		<-time.After(3 * time.Minute)
		synctest.Wait()
		require.Equal(t, 1000, r.count("gave up an item"))
		require.Empty(t, keysOf(t, s))
		require.Less(t, len(x.times), 30, "the others wait while one is tried")
	})
}

func TestManyItemsOfAFailingTargetDoNotDelayAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		x.hang = map[string]chan struct{}{"http://dead/": make(chan struct{})}
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: new(reports).add}
		for i := range 2000 {
			add(t, o, fmt.Sprint("dead", i), "http://dead/")
		}
		defer runOutbox(t, o)()
		<-time.After(time.Second)
		for i := range 100 {
			begun := time.Now()
			id := fmt.Sprint("live", i)
			add(t, o, id, "http://live/")
			synctest.Wait()
			require.Equal(t, 1, x.count(id))
			require.Equal(t, begun, x.tried(id)[0])
			<-time.After(7 * time.Second)
		}
		require.LessOrEqual(t, x.maxInProgress(), 5, "four to a target")

		close(x.hang["http://dead/"]) // the target recovers
		<-time.After(11 * time.Minute)
		synctest.Wait()
		require.Equal(t, 2100, x.total())
		require.Empty(t, keysOf(t, s))
	})
}

func TestItemThatAlwaysFailsDoesNotDelayOthersOfItsTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		x.bad = map[string]bool{"poison": true}
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: new(reports).add}
		defer runOutbox(t, o)()
		add(t, o, "poison", "http://crm/wx")
		for i := range 1000 {
			<-time.After(time.Second)
			add(t, o, fmt.Sprint(i), "http://crm/wx")
		}
		<-time.After(time.Second)
		require.Equal(t, 1000, x.total())
		require.LessOrEqual(t, len(x.tried("poison")), 13)
		worst := time.Duration(0)
		for i := range 999 {
			worst = max(worst, x.tried(fmt.Sprint(i + 1))[0].Sub(x.tried(fmt.Sprint(i))[0]))
		}
		require.LessOrEqual(t, worst, 3*time.Second)
	})
}

func TestEachItemIsDeliveredByOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		hang := make(chan struct{})
		x.hang = map[string]chan struct{}{"http://slow/": hang}
		for range 8 {
			o := &outbox.Outbox{Store: s, Send: x.send, Timeout: time.Minute}
			defer runOutbox(t, o)()
		}
		o := &outbox.Outbox{Store: s}
		for i := range 200 {
			add(t, o, fmt.Sprint(i), fmt.Sprintf("http://host%d/", i%7))
		}
		add(t, o, "slow", "http://slow/")
		<-time.After(40 * time.Second) // much longer than a lease
		close(hang)
		<-time.After(10 * time.Second)
		require.Equal(t, 201, x.total())
		for id, n := range x.ok {
			require.Equal(t, 1, n, id)
			require.Len(t, x.tried(id), 1, id)
		}
		require.Equal(t, 1, x.most)
		require.Empty(t, keysOf(t, s))
	})
}

func TestItemsOfADeadProcessAreDeliveredByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, first, second := new(store.Memory), new(target), new(target)
		first.hang = map[string]chan struct{}{"http://crm/wx": make(chan struct{})}
		seen := &failingStore{Store: s}
		one := &outbox.Outbox{Store: seen, Send: first.send, OnError: new(reports).add}
		stopOne := runOutbox(t, one)
		for i := range 10 {
			add(t, one, fmt.Sprint(i), "http://crm/wx")
		}
		defer runOutbox(t, &outbox.Outbox{Store: s, Send: second.send})()
		<-time.After(time.Second)
		seen.dead.Store(true)
		died := time.Now()
		<-time.After(20 * time.Second)
		require.Equal(t, 10, second.total())
		for id, at := range second.times {
			require.Less(t, at[0].Sub(died), 10*time.Second, id)
		}
		stopOne()
	})
}

func TestDeliveryIsCanceledWhenItsLeaseIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		x.hang = map[string]chan struct{}{"http://crm/wx": make(chan struct{})}
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: new(reports).add, Timeout: time.Hour}
		defer runOutbox(t, o)()
		add(t, o, "a", "http://crm/wx")
		synctest.Wait()
		for _, key := range keysOf(t, s) {
			if strings.HasPrefix(key, "lease/") {
				require.NoError(t, s.Set(t.Context(), key, []byte("another process"), time.Hour))
			}
		}
		<-time.After(3 * time.Second)
		require.Zero(t, x.inProgress())
		require.Len(t, x.tried("a"), 1, "not tried again while another process has the lease")
	})
}

func TestFailingStoreIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := &failingStore{Store: new(store.Memory)}, new(target), new(reports)
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: r.add}
		defer runOutbox(t, o)()
		add(t, o, "a", "http://crm/wx")
		synctest.Wait()
		s.dead.Store(true)
		require.ErrorIs(t, o.Add(t.Context(), outbox.Item{ID: "b", Target: "http://crm/wx"}), errStore)
		<-time.After(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, 1, r.count("store failed"))
		add(t, &outbox.Outbox{Store: s.Store}, "b", "http://crm/wx") // by another process, which sees the store
		s.dead.Store(false)
		<-time.After(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, 1, x.count("b"))
	})
}

func TestRunWaitsThreeSecondsForDeliveriesInProgress(t *testing.T) {
	for name, takes := range map[string]time.Duration{"fast": 2 * time.Second, "slow": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(store.Memory)
				o := &outbox.Outbox{Store: s, Send: func(ctx context.Context, _ outbox.Item) error {
					select {
					case <-time.After(takes):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}}
				stop := runOutbox(t, o)
				add(t, o, "a", "http://crm/wx")
				synctest.Wait()
				begun := time.Now()
				stop()
				require.Equal(t, min(takes, 3*time.Second), time.Since(begun))
				left := keysOf(t, s)
				require.Equal(t, takes > 3*time.Second, slices.ContainsFunc(left, func(k string) bool { return strings.HasPrefix(k, "item/") }))
				require.LessOrEqual(t, len(left), 1, "the lease is released")
			})
		})
	}
}

func TestPanicInSendIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		o := &outbox.Outbox{Store: new(store.Memory), OnError: new(reports).add, Send: func(context.Context, outbox.Item) error {
			if tries.Add(1) == 1 {
				panic("test")
			}
			return nil
		}}
		defer runOutbox(t, o)()
		add(t, o, "a", "http://crm/wx")
		<-time.After(2 * time.Second)
		require.EqualValues(t, 2, tries.Load())
	})
}

func TestDeliveryHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &target{hang: map[string]chan struct{}{"http://crm/wx": make(chan struct{})}}
		r := new(reports)
		o := &outbox.Outbox{Store: new(store.Memory), Send: x.send, OnError: r.add}
		defer runOutbox(t, o)()
		add(t, o, "a", "http://crm/wx")
		<-time.After(32 * time.Second)
		require.Len(t, x.tried("a"), 2)
		require.InDelta(t, 31, x.tried("a")[1].Sub(x.tried("a")[0]).Seconds(), 0.5)
		require.Equal(t, 1, r.count("deadline"))
	})
}

func TestKeysOfOtherFormsAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		part := strings.Repeat("0", 24)
		for _, key := range []string{"item/", "item/x", "item/" + part + "/" + part + "0"} {
			require.NoError(t, s.Set(t.Context(), key, []byte("not ours"), 0))
		}
		o := &outbox.Outbox{Store: s, Send: x.send, OnError: r.add}
		defer runOutbox(t, o)()
		add(t, o, "a", "http://crm/wx")
		<-time.After(time.Minute)
		synctest.Wait()
		require.Equal(t, 1, x.total())
		require.Empty(t, r.list)
		require.Len(t, keysOf(t, s), 3)
	})
}

func TestAddRejectsInvalidItems(t *testing.T) {
	o := &outbox.Outbox{Store: new(store.Memory)}
	for _, item := range []outbox.Item{{}, {ID: "a"}, {Target: "http://a/"}, {ID: "a", Target: "http://a/", Body: make([]byte, outbox.MaxBody+1)}} {
		require.ErrorContains(t, o.Add(t.Context(), item), "outbox: add: ")
	}
}
