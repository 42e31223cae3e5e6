package token_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrickmn/go-cache"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/bench"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// BenchmarkWarm reads a warm token beside a floor: an atomic pointer and a clock. go-cache is measured for comparison.
func BenchmarkWarm(b *testing.B) {
	m := newWorld(stable).manager()
	if _, err := m.Token(b.Context()); err != nil {
		b.Fatal(err)
	}
	var held atomic.Pointer[wechat.Credential]
	held.Store(&wechat.Credential{Value: "t", Expires: time.Now().Add(time.Hour)})
	cached := cache.New(time.Hour, 0)
	cached.SetDefault("t", "t")
	ctx := context.Background()

	floor := func(n int) {
		for range n {
			if c := held.Load(); !time.Now().Before(c.Expires) {
				b.Error("expired")
			}
		}
	}
	for name, subject := range map[string]func(n int){
		"Token": func(n int) {
			for range n {
				if _, err := m.Token(ctx); err != nil {
					b.Error(err)
				}
			}
		},
		"go-cache": func(n int) {
			for range n {
				if _, ok := cached.Get("t"); !ok {
					b.Error("missing")
				}
			}
		},
	} {
		for _, cpus := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/cpus=%d", name, cpus), func(b *testing.B) { bench.Ratio(b, cpus, floor, subject) })
		}
	}
}

// BenchmarkCold reads a cold manager from a thousand goroutines, with 50 ms to WeChat, beside those 50 ms.
func BenchmarkCold(b *testing.B) {
	ctx := context.Background()
	const fetch = 50 * time.Millisecond
	floor := func(n int) {
		for range n {
			waitFor(fetch)
		}
	}
	bench.Ratio(b, 1, floor, func(n int) {
		for range n {
			w := newWorld(stable)
			w.wx.AddFault(wechattest.Fault{Delay: fetch})
			m := w.manager()
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() { m.Token(ctx) })
			}
			wg.Wait()
			if n := w.wx.Calls(stablePath); n != 1 {
				b.Fatal(n, "fetches")
			}
		}
	})
}

// BenchmarkWarmFar reads a warm token whose store is 200 ms away, beside one whose store is in memory. The measurement
// lasts for several reads of the store.
func BenchmarkWarmFar(b *testing.B) {
	readings := func(s store.Store) func(n int) {
		w := newWorld(stable)
		m := w.manager()
		m.Store = s
		if _, err := m.Token(b.Context()); err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		return func(n int) {
			for range n {
				if _, err := m.Token(ctx); err != nil {
					b.Error(err)
				}
			}
		}
	}
	near, far := readings(new(store.Memory)), readings(slowStore{new(store.Memory), 200 * time.Millisecond})
	for _, cpus := range []int{1, 2} {
		b.Run(fmt.Sprintf("cpus=%d", cpus), func(b *testing.B) { bench.Ratio(b, cpus, near, far) })
	}
}

func TestAWarmReadMakesNoAllocation(t *testing.T) {
	m := newWorld(stable).manager()
	get(t, m)
	ctx := context.Background()
	require.Zero(t, testing.AllocsPerRun(1000, func() { m.Token(ctx) }))
}

func TestTenThousandIdleManagersAreSmallAndStartNothing(t *testing.T) {
	wx, s := new(wechattest.Server), new(store.Memory)
	client := &wechat.Client{HTTP: wx.Client()}
	const n = 10_000
	all := make([]*token.Manager, n)
	for i := range all {
		wx.AddApp(fmt.Sprintf("wx%016d", i), secret)
	}
	before, goroutines := heap(), runtime.NumGoroutine()
	for i := range all {
		all[i] = &token.Manager{AppID: fmt.Sprintf("wx%016d", i), Secret: secret, Store: s, Client: client, OnError: ignoreError}
	}
	made := heap()
	for _, m := range all {
		get(t, m)
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+2 }, 10*time.Second, time.Millisecond,
		"the flights that fetched have landed, and nothing else was started")
	used := heap()
	t.Logf("of %d: a Manager that was made: %d bytes; one that holds a token: %d bytes more, with its record in the Memory store and wechattest's own; goroutines: %d more",
		n, (made-before)/n, (used-made)/n, runtime.NumGoroutine()-goroutines)
	require.Less(t, (made-before)/n, uint64(1024))
	require.Less(t, (used-made)/n, uint64(16<<10))
	runtime.KeepAlive(all)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
