package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

// cluster is three gateways that keep the same apps, over one store and one set of records.
type cluster struct {
	t         *testing.T
	wx        *wechattest.Server
	store     *store.Memory
	records   *store.Memory
	apps      int
	processes [3]*member

	mu      sync.Mutex
	fetches map[string][]time.Time // by appid
	ops     map[string]int         // of the store, by appid
}

// member is a process of a cluster.
type member struct {
	cluster *cluster
	gateway *gateway.Gateway
	cancel  context.CancelFunc
	ended   chan error
	dead    atomic.Bool
	fetches []time.Time
	records atomic.Int64 // operations of the records, without the reads of the changes
}

var errKilled = errors.New("the process is dead")

// RoundTrip passes a call to the simulated WeChat, and notes it.
func (m *member) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.dead.Load() {
		return nil, errKilled
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var call struct {
		AppID string `json:"appid"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		return nil, err
	}
	c := m.cluster
	c.mu.Lock()
	now := time.Now()
	c.fetches[call.AppID] = append(c.fetches[call.AppID], now)
	m.fetches = append(m.fetches, now)
	c.mu.Unlock()
	return c.wx.Client().Transport.RoundTrip(r)
}

// memberStore is a store as one process sees it.
type memberStore struct {
	store.Store
	m       *member
	records bool
}

func (s memberStore) Sealed() bool { return true }

func (s memberStore) pass(key string) error {
	if s.m.dead.Load() {
		return errKilled
	}
	switch room, rest, _ := strings.Cut(key, "/"); {
	case s.records:
		if key != "registry/changes" {
			s.m.records.Add(1)
		}
	case room == "token":
		c := s.m.cluster
		app, _, _ := strings.Cut(rest, "/")
		c.mu.Lock()
		c.ops[app]++
		c.mu.Unlock()
	}
	return nil
}

func (s memberStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := s.pass(key); err != nil {
		return nil, false, err
	}
	return s.Store.Get(ctx, key)
}

func (s memberStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := s.pass(key); err != nil {
		return err
	}
	return s.Store.Set(ctx, key, value, ttl)
}

func (s memberStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := s.pass(key); err != nil {
		return false, err
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

func (s memberStore) Delete(ctx context.Context, key string) error {
	if err := s.pass(key); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key)
}

func (s memberStore) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if err := s.pass(prefix); err != nil {
		return func(yield func(string, error) bool) { yield("", err) }
	}
	if s.records && !strings.HasPrefix(prefix, "registry/") {
		return func(func(string, error) bool) {} // the outboxes are empty, and are looked through each second
	}
	return s.Store.Keys(ctx, prefix)
}

// startCluster starts a cluster that keeps n apps: half of them are in the configuration, and half registered.
func startCluster(t *testing.T, n int, change ...func(*gateway.Config)) *cluster {
	c := &cluster{t: t, store: new(store.Memory), records: new(store.Memory), apps: n, fetches: make(map[string][]time.Time), ops: make(map[string]int)}
	config, wx := manyKeptApps(n / 2)
	c.wx = wx
	for _, f := range change {
		f(&config)
	}
	for i := range c.processes {
		m := &member{cluster: c, ended: make(chan error, 1)}
		g, err := gateway.New(gateway.Options{
			Config: config, Store: memberStore{c.store, m, false}, Records: memberStore{c.records, m, true},
			HTTP: &http.Client{Transport: m}, Log: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		m.gateway, c.processes[i] = g, m
	}
	for i := n / 2; i < n; i++ {
		appID := fmt.Sprintf("wx%016d", i)
		wx.AddApp(appID, secret)
		_, err := c.processes[0].gateway.Apps().Put(t.Context(), fmt.Sprint("app", i), gateway.App{AppID: appID, Secret: secret, Keep: true}, "")
		require.NoError(t, err)
	}
	for _, m := range c.processes {
		m.start()
	}
	return c
}

func (m *member) start() {
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go func() { m.ended <- m.gateway.Run(ctx) }()
}

// kill ends a process as kill -9 does: it reaches neither the stores nor WeChat any more.
func (m *member) kill() {
	m.dead.Store(true)
	m.cancel()
	<-m.ended
}

func (c *cluster) stop() {
	for _, m := range c.processes {
		if !m.dead.Load() {
			m.kill()
		}
	}
	advance(time.Minute) // calls in progress end
}

// requireSpread requires that no 10 s hold more than 8 % of 2 000 apps in any generation after the start. Of fewer apps there may
// be as many standard deviations more than the mean.
func (c *cluster) requireSpread() {
	for gen := 1; ; gen++ {
		var at []time.Time
		for _, fetches := range c.fetches {
			if len(fetches) > gen {
				at = append(at, fetches[gen])
			}
		}
		if len(at) < c.apps {
			return
		}
		slices.SortFunc(at, time.Time.Compare)
		most := mostWithin(at, 10*time.Second)
		c.t.Logf("generation %d: %.1f %% of the apps within 10 s, all within %s", gen, 100*float64(most)/float64(len(at)), at[len(at)-1].Sub(at[0]).Round(time.Second))
		const even = 10. / 195 // of the apps, in the time between the first and the last renewal
		require.LessOrEqual(c.t, float64(most)/float64(len(at)), even+(0.08-even)*math.Sqrt(2000/float64(len(at))), "generation %d", gen)
	}
}

// requireRate requires that no process makes more than rate calls in a second.
func (c *cluster) requireRate(rate int) {
	for _, m := range c.processes {
		require.LessOrEqual(c.t, mostWithin(m.fetches, time.Second), rate)
	}
}

// requireAlive requires that each app has had a valid token all the time since its first one.
func (c *cluster) requireAlive() {
	require.Len(c.t, c.fetches, c.apps)
	for app, fetches := range c.fetches {
		for i := range fetches {
			until := time.Now()
			if i+1 < len(fetches) {
				until = fetches[i+1]
			}
			require.Less(c.t, until.Sub(fetches[i]), 2*time.Hour, "%s: fetches at %v", app, fetches)
		}
	}
}

// mostWithin returns the most instants within a time; they are in order.
func mostWithin(at []time.Time, d time.Duration) (most int) {
	for first, last := 0, 0; last < len(at); last++ {
		for at[last].Sub(at[first]) >= d {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

func TestEachKeptAppIsRenewedOnceByThreeProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apps, d, fetches := 200, 5*time.Hour, 3
		if testform.Full() {
			apps, d, fetches = 2000, 26*time.Hour, 14
		}
		c := startCluster(t, apps)
		advance(10 * time.Minute)
		c.mu.Lock()
		clear(c.ops)
		c.mu.Unlock()
		var reads int64
		for _, m := range c.processes {
			reads -= m.records.Load()
		}
		advance(d - 10*time.Minute)
		c.stop()
		for _, m := range c.processes {
			reads += m.records.Load()
		}
		require.Len(t, c.fetches, apps)
		ops := 0
		for app, at := range c.fetches {
			require.Len(t, at, fetches, app)
			require.Len(t, c.wx.Tokens(app), fetches, "none is fetched in vain")
			require.LessOrEqual(t, c.ops[app], 8*(fetches-1), app)
			ops += c.ops[app]
		}
		t.Logf("%.2f operations of the store for each renewal, %d of the records in all", float64(ops)/float64(apps*(fetches-1)), reads)
		c.requireAlive()
		c.requireRate(50)
		c.requireSpread()
	})
}

// watch requires each minute that the store has a valid token of each app.
func (c *cluster) watch(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); advance(time.Minute) {
		for i := range c.apps {
			app := fmt.Sprintf("wx%016d", i)
			raw, ok, err := c.store.Get(c.t.Context(), "token/"+app+"/stable")
			require.NoError(c.t, err)
			require.True(c.t, ok, "%s has no token", app)
			var record struct {
				Value string `json:"value"`
			}
			require.NoError(c.t, json.Unmarshal(raw, &record))
			require.Zero(c.t, c.wx.Check(record.Value), "%s has a dead token", app)
		}
	}
}

func TestNothingExpiresWhenAProcessIsKilled(t *testing.T) {
	times := 1
	if testform.Full() {
		times = 3
	}
	for range times {
		synctest.Test(t, func(t *testing.T) {
			c := startCluster(t, 100)
			c.wx.AddFault(wechattest.Fault{Delay: 400 * time.Millisecond}) // so that leases are held
			advance(2 * time.Minute)
			c.watch(time.Hour)
			kill := rand.N(time.Hour)
			if rand.N(2) == 0 { // while many are renewed
				kill = 2*time.Hour - 5*time.Minute + rand.N(4*time.Minute) - time.Hour
			}
			c.watch(kill)
			advance(rand.N(time.Minute))
			killed := rand.N(3)
			c.processes[killed].kill()
			t.Logf("process %d is killed after %s", killed, kill+time.Hour)
			c.watch(4 * time.Hour)
			c.stop()
			c.requireAlive()
			c.requireRate(50)
		})
	}
}

func TestAnEmptiedStoreCausesNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const apps = 300
		c := startCluster(t, apps, func(c *gateway.Config) { c.KeepRate, c.ResidentApps = 10, apps/10 }) // most registered apps are read for each visit
		advance(time.Hour + rand.N(50*time.Minute))
		calls := c.wx.Calls("")
		for key, err := range c.store.Keys(t.Context(), "") {
			require.NoError(t, err)
			require.NoError(t, c.store.Delete(t.Context(), key))
		}
		advance(time.Minute)
		require.LessOrEqual(t, c.wx.Calls("")-calls, apps/10, "no token is fetched because the store lost it")
		advance(4 * time.Hour)
		c.stop()
		for app, fetches := range c.fetches {
			require.LessOrEqual(t, len(fetches), 4, app)
		}
		c.requireAlive()
		c.requireRate(10)
	})
}
