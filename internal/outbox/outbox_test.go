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

func TestAnItemIsDeliveredAtOnceAndIsThenGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan outbox.Item, 1)
		s := new(store.Memory)
		o := &outbox.Outbox{Store: s, Prefix: "outbox/wx1/", Send: func(_ context.Context, item outbox.Item) error {
			got <- item
			return nil
		}}
		defer keep(t, o)()
		synctest.Wait()
		begun := time.Now()
		add(t, o, "a", "http://crm/wx")
		item := <-got
		require.Zero(t, time.Since(begun), "Add wakes Keep up")
		require.Equal(t, outbox.Item{ID: "a", Target: "http://crm/wx", ContentType: "text/xml", Body: []byte("<xml>a</xml>"), Added: item.Added}, item)
		synctest.Wait()
		require.Empty(t, keysOf(t, s), "neither the item nor its lease is left")
	})
}

func TestWhatWaitedBeforeTheStartIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		for i := range 300 {
			add(t, &outbox.Outbox{Store: s}, fmt.Sprint(i), "http://crm/wx")
		}
		defer keep(t, &outbox.Outbox{Store: s, Send: x.send})()
		<-time.After(time.Second)
		require.Equal(t, 300, x.total())
	})
}

func TestAddingTwiceIsDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		o := &outbox.Outbox{Store: s, Send: x.send}
		add(t, o, "a", "http://crm/wx")
		add(t, o, "a", "http://crm/wx")
		add(t, o, "a", "http://erp/wx") // another target is another item
		defer keep(t, o)()
		synctest.Wait()
		require.Equal(t, 2, x.count("a"))
	})
}

func TestADeadTargetIsTriedLessAndLessAndGivenUpAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		x.set("http://crm/wx?secret=hush", true)
		o := &outbox.Outbox{Store: s, Send: x.send, Report: r.add}
		stop := keep(t, o)
		begun := time.Now()
		add(t, o, "a", "http://crm/wx?secret=hush")
		<-time.After(25 * time.Hour)
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
		require.Equal(t, 1, r.of("crm fails, what is for it waits: down"))
		require.Equal(t, 1, r.of("an item for crm was given up after 24h"))
		require.Zero(t, r.of("hush"))
	})
}

func TestAnItemThatWaitedForUsIsTriedHoweverOldItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		x.set("http://dead/", true)
		for i := range 100 {
			add(t, &outbox.Outbox{Store: s}, fmt.Sprint("a", i), "http://healthy/")
			add(t, &outbox.Outbox{Store: s}, fmt.Sprint("b", i), "http://dead/")
		}
		<-time.After(25 * time.Hour) // nobody keeps them
		defer keep(t, &outbox.Outbox{Store: s, Send: x.send, Report: r.add})()
		<-time.After(time.Hour)
		require.Empty(t, keysOf(t, s))
		require.Len(t, x.tried("a0"), 1)
		require.Equal(t, 100, r.of("an item for dead was given up after 25h"))
		require.Equal(t, 0, r.of("an item for healthy"))
	})
}

func TestTheAgeIsConfigurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		x.set("http://crm/wx", true)
		o := &outbox.Outbox{Store: s, Send: x.send, Report: r.add, Age: time.Minute}
		defer keep(t, o)()
		for i := range 1000 {
			add(t, o, fmt.Sprint(i), "http://crm/wx")
		}
		<-time.After(3 * time.Minute)
		require.Equal(t, 1000, r.of("given up after"))
		require.Empty(t, keysOf(t, s))
		require.Less(t, len(x.times), 30, "the others wait while one finds out")
	})
}

func TestManyItemsForADeadTargetDoNotDelayALiveOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		x.hang = map[string]chan struct{}{"http://dead/": make(chan struct{})}
		o := &outbox.Outbox{Store: s, Send: x.send, Report: new(reports).add}
		for i := range 2000 {
			add(t, o, fmt.Sprint("dead", i), "http://dead/")
		}
		defer keep(t, o)()
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
		require.LessOrEqual(t, x.atMost(), 5, "four to a target")

		close(x.hang["http://dead/"]) // and when it is back, it gets everything
		<-time.After(11 * time.Minute)
		require.Equal(t, 2100, x.total())
		require.Empty(t, keysOf(t, s))
	})
}

func TestAnItemThatIsNeverTakenDoesNotHoldUpItsFellows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		x.poor = map[string]bool{"poison": true}
		o := &outbox.Outbox{Store: s, Send: x.send, Report: new(reports).add}
		defer keep(t, o)()
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

func TestProcessesShareTheWorkAndNeverTheItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		hang := make(chan struct{})
		x.hang = map[string]chan struct{}{"http://slow/": hang}
		for range 8 {
			o := &outbox.Outbox{Store: s, Send: x.send, Timeout: time.Minute}
			defer keep(t, o)()
		}
		o := &outbox.Outbox{Store: s}
		for i := range 200 {
			add(t, o, fmt.Sprint(i), fmt.Sprintf("http://host%d/", i%7))
		}
		add(t, o, "slow", "http://slow/")
		<-time.After(40 * time.Second) // longer than a lease, by far
		close(hang)
		<-time.After(10 * time.Second)
		require.Equal(t, 201, x.total())
		for id, n := range x.taken {
			require.Equal(t, 1, n, id)
			require.Len(t, x.tried(id), 1, id)
		}
		require.Equal(t, 1, x.most)
		require.Empty(t, keysOf(t, s))
	})
}

func TestTheItemsOfADeadProcessArePickedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, first, second := new(store.Memory), new(target), new(target)
		first.hang = map[string]chan struct{}{"http://crm/wx": make(chan struct{})}
		seen := &dying{Store: s}
		one := &outbox.Outbox{Store: seen, Send: first.send, Report: new(reports).add}
		stopOne := keep(t, one)
		for i := range 10 {
			add(t, one, fmt.Sprint(i), "http://crm/wx")
		}
		defer keep(t, &outbox.Outbox{Store: s, Send: second.send})()
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

func TestADeliveryWhoseLeaseIsLostIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x := new(store.Memory), new(target)
		x.hang = map[string]chan struct{}{"http://crm/wx": make(chan struct{})}
		o := &outbox.Outbox{Store: s, Send: x.send, Report: new(reports).add, Timeout: time.Hour}
		defer keep(t, o)()
		add(t, o, "a", "http://crm/wx")
		synctest.Wait()
		for _, key := range keysOf(t, s) {
			if strings.HasPrefix(key, "lease/") {
				require.NoError(t, s.Set(t.Context(), key, []byte("somebody else's"), time.Hour))
			}
		}
		<-time.After(3 * time.Second)
		require.Zero(t, x.underWay())
		require.Len(t, x.tried("a"), 1, "and it is not tried again while somebody else has it")
	})
}

func TestAStoreThatIsDownIsReportedOnceAndOvercome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := &dying{Store: new(store.Memory)}, new(target), new(reports)
		o := &outbox.Outbox{Store: s, Send: x.send, Report: r.add}
		defer keep(t, o)()
		add(t, o, "a", "http://crm/wx")
		synctest.Wait()
		s.dead.Store(true)
		require.ErrorIs(t, o.Add(t.Context(), outbox.Item{ID: "b", Target: "http://crm/wx"}), errDead)
		<-time.After(10 * time.Minute)
		require.Equal(t, 1, r.of("dead"))
		add(t, &outbox.Outbox{Store: s.Store}, "b", "http://crm/wx") // by another process, which sees the store
		s.dead.Store(false)
		<-time.After(10 * time.Minute)
		require.Equal(t, 1, x.count("b"))
	})
}

func TestKeepLetsADeliveryEndAndCutsOffASlowOne(t *testing.T) {
	for name, takes := range map[string]time.Duration{"ends": 2 * time.Second, "is cut off": time.Minute} {
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
				stop := keep(t, o)
				add(t, o, "a", "http://crm/wx")
				synctest.Wait()
				begun := time.Now()
				stop()
				require.Equal(t, min(takes, 3*time.Second), time.Since(begun))
				left := keysOf(t, s)
				require.Equal(t, takes > 3*time.Second, slices.ContainsFunc(left, func(k string) bool { return strings.HasPrefix(k, "item/") }))
				require.LessOrEqual(t, len(left), 1, "the lease is given back")
			})
		})
	}
}

func TestASendThatPanicsIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		o := &outbox.Outbox{Store: new(store.Memory), Report: new(reports).add, Send: func(context.Context, outbox.Item) error {
			if tries.Add(1) == 1 {
				panic("oh")
			}
			return nil
		}}
		defer keep(t, o)()
		add(t, o, "a", "http://crm/wx")
		<-time.After(2 * time.Second)
		require.EqualValues(t, 2, tries.Load())
	})
}

func TestADeliveryHasATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &target{hang: map[string]chan struct{}{"http://crm/wx": make(chan struct{})}}
		r := new(reports)
		o := &outbox.Outbox{Store: new(store.Memory), Send: x.send, Report: r.add}
		defer keep(t, o)()
		add(t, o, "a", "http://crm/wx")
		<-time.After(32 * time.Second)
		require.Len(t, x.tried("a"), 2)
		require.InDelta(t, 31, x.tried("a")[1].Sub(x.tried("a")[0]).Seconds(), 0.5)
		require.Equal(t, 1, r.of("deadline"))
	})
}

func TestStrangeKeysAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(store.Memory), new(target), new(reports)
		lane := strings.Repeat("0", 24)
		for _, key := range []string{"item/", "item/x", "item/" + lane + "/" + lane + "0"} {
			require.NoError(t, s.Set(t.Context(), key, []byte("not ours"), 0))
		}
		o := &outbox.Outbox{Store: s, Send: x.send, Report: r.add}
		defer keep(t, o)()
		add(t, o, "a", "http://crm/wx")
		<-time.After(time.Minute)
		require.Equal(t, 1, x.total())
		require.Empty(t, r.list)
		require.Len(t, keysOf(t, s), 3)
	})
}

func TestAddRefusesWhatCannotBeDelivered(t *testing.T) {
	o := &outbox.Outbox{Store: new(store.Memory)}
	for _, item := range []outbox.Item{{}, {ID: "a"}, {Target: "http://a/"}, {ID: "a", Target: "http://a/", Body: make([]byte, outbox.MaxBody+1)}} {
		require.ErrorContains(t, o.Add(t.Context(), item), "outbox: add: ")
	}
}
