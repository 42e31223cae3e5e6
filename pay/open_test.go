package pay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

var openOrders = flag.Int("pay.open", 3000, "orders of TestOpenOrdersNeedBoundedResources")

// countingStore is a store that counts its calls.
type countingStore struct {
	store.Store
	reads, writes, read, written atomic.Int64
}

func (c *countingStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	value, ok, err := c.Store.Get(ctx, key)
	c.reads.Add(1)
	c.read.Add(int64(len(value)))
	return value, ok, err
}

func (c *countingStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	c.writes.Add(1)
	c.written.Add(int64(len(old) + len(new)))
	return c.Store.Swap(ctx, key, old, new, ttl)
}

func (c *countingStore) reset() {
	for _, n := range []*atomic.Int64{&c.reads, &c.writes, &c.read, &c.written} {
		n.Store(0)
	}
}

// observer is a bank that measures the process while Run queries.
type observer struct {
	*bank
	mu         sync.Mutex
	every      int // queries between two measurements of the heap
	queries    int
	goroutines int
	heap       uint64
	looking    time.Duration // the CPU time of the measurements
}

func (o *observer) Query(_ context.Context, no string) (pay.Transaction, error) {
	time.Sleep(50 * time.Millisecond)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.goroutines = max(o.goroutines, runtime.NumGoroutine())
	if o.queries++; o.queries%o.every == 0 {
		begun := cpuTime()
		o.heap = max(o.heap, heap())
		o.looking += cpuTime() - begun
	}
	return pay.Transaction{OutTradeNo: no, MchID: o.mchID(), State: pay.NotPaid, Fen: 100}, nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestOpenOrdersNeedBoundedResources measures Run with many open orders, each of which is queried hourly.
//
//	go test ./pay -run TestOpenOrders -pay.open 100000 -v -count 1
func TestOpenOrdersNeedBoundedResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		records := &countingStore{Store: new(store.Memory)}
		keepOpen(t, d, records, *openOrders)
		watched := &observer{bank: d.bank, every: *openOrders / 6}
		d.Records, d.Merchants = records, []pay.Merchant{watched}
		goroutines, held := runtime.NumGoroutine(), heap()
		records.reset()
		begun := time.Now()
		cpu := cpuTime()
		stop := d.run()
		<-time.After(time.Hour)
		took := cpuTime() - cpu - watched.looking
		minutes := time.Since(begun).Minutes()
		each := func(n *atomic.Int64) float64 { return float64(n.Load()) / minutes }
		t.Logf("%d open orders: in a minute %.0f queries, %.0f reads of the store (%.1f MB), %.0f writes (%.1f MB), %.0f ms of CPU; %d goroutines more; %.1f MB of heap more",
			*openOrders, float64(watched.queries)/minutes, each(&records.reads), each(&records.read)/1e6, each(&records.writes), each(&records.written)/1e6,
			float64(took.Milliseconds())/minutes, watched.goroutines-goroutines, (float64(watched.heap)-float64(held))/1e6)
		require.InDelta(t, *openOrders, watched.queries, 0.02*float64(*openOrders)+400)
		require.LessOrEqual(t, watched.goroutines-goroutines, 60, "16 checks, 16 that end in the same instant, and those of Run and of the runtime")
		require.LessOrEqual(t, each(&records.reads), float64(2*64*6*61/60+watched.queries/60+10), "the lists twice in 10 s, and each order that is due")
		require.LessOrEqual(t, each(&records.writes), float64(64*6*61/60+10), "each list once in 10 s")
		stop()

		begunPlacing := cpuTime()
		const more = 200
		for i := range more {
			d.place(t, fmt.Sprintf("more-%d", i))
		}
		t.Logf("placing another one: %v of CPU", (cpuTime()-begunPlacing)/more)
	})
}

// keepOpen writes the records and due lists of n placed orders.
func keepOpen(t *testing.T, d *desk, records store.Store, n int) {
	const name = "order-0000000"
	d.place(t, name)
	raw, ok, err := d.records.Store.Get(t.Context(), "pay/1900000001/order/"+name)
	require.NoError(t, err)
	require.True(t, ok)
	type entry struct {
		At int64 `json:"at"`
	}
	<-time.After(2 * time.Hour)
	var lists [64]map[string]entry
	for i := range n {
		no := fmt.Sprintf("order-%07d", i)
		key := "1900000001/order/" + no
		require.NoError(t, records.Set(t.Context(), "pay/"+key, bytes.ReplaceAll(raw, []byte(name), []byte(no)), 0))
		h := fnv.New32a()
		_, _ = h.Write([]byte(key))
		list := &lists[h.Sum32()%64]
		if *list == nil {
			*list = make(map[string]entry)
		}
		(*list)[key] = entry{time.Now().Add(time.Hour * time.Duration(i) / time.Duration(n)).Unix()}
	}
	for i, list := range lists {
		text, err := json.Marshal(map[string]any{"v": 1, "due": list})
		require.NoError(t, err)
		require.NoError(t, records.Set(t.Context(), fmt.Sprintf("pay/due/%02d", i), text, 0))
	}
}
