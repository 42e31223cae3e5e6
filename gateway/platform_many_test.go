package gateway_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"net/http"
	"runtime"
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
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

var manyAccounts = flag.Int("platform.accounts", 100_000, "accounts of the long form of TestKeptAccountsOfAPlatformAreRefreshedEvenly")

// A platform with many accounts registers all of them from WeChat's list, serves each from its record, and closes one without reading
// the others. With WETOKEN_TEST_LONG=1 there are 100 000.
func TestAPlatformHasManyAccounts(t *testing.T) {
	accounts := 600
	if testform.Long() {
		accounts = 100_000
	}
	w := newPlatformWorld(t, func(o *gateway.Options) { o.Config.ResidentApps, o.RegisterUnsealed = 2000, true })
	w.records, w.gateways = new(store.Memory), nil
	w.start(t)
	w.pushTicket(t)
	w.setPlatform(func(p *wechattest.Platform) { p.Handler, p.EventURL = nil, "" })
	token := serveComponentToken(t, w)
	id := func(i int) string { return fmt.Sprintf("wx%016x", i) }
	for i := range accounts {
		w.wx.AddApp(id(i), "s")
		code, err := w.wx.Authorize(t.Context(), platformID, id(i))
		require.NoError(t, err)
		exchangeCode(t, w, token, code) // so that WeChat lists its refresh token
	}
	begin := time.Now()
	n := 0
	for c, err := range w.gateways[0].SyncPlatform(t.Context(), "saas", true) {
		require.NoError(t, err)
		require.NoError(t, c.Err)
		n++
	}
	require.Equal(t, 2*accounts, n, "recover and register, for each")
	t.Logf("%d accounts registered in %s", accounts, time.Since(begin).Round(time.Millisecond))
	require.Equal(t, (accounts+499)/500, w.wx.Calls("/cgi-bin/component/api_get_authorizer_list"))

	begin = time.Now()
	const reads = 1000
	var all sync.WaitGroup
	picked := make(chan int)
	for range 8 {
		all.Go(func() {
			for i := range picked {
				r := askAdmin(t, w.gateways[0], platformKey, "GET", "/app/"+id(i)+"/token", "", nil)
				if r.Code != http.StatusOK {
					t.Error(id(i), r.Code, r.Body)
				}
			}
		})
	}
	for range reads {
		picked <- rand.IntN(accounts)
	}
	close(picked)
	all.Wait()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d tokens of random accounts in %s; heap with the simulated WeChat %d MiB", reads, time.Since(begin).Round(time.Millisecond), m.HeapAlloc>>20)
	require.LessOrEqual(t, w.wx.Calls("/cgi-bin/component/api_authorizer_token"), reads)
	require.Equal(t, 1, w.wx.Calls("/cgi-bin/component/api_component_token")-1, "one of the test, one of the gateway")

	w.setPlatform(nil)
	result, err := w.wx.Unauthorize(t.Context(), platformID, id(7))
	require.NoError(t, err)
	require.Empty(t, result.Fault)
	status, a := w.token(t, w.gateways[0], id(7), platformKey)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, 61003, a.Code)
	status, _ = w.token(t, w.gateways[0], id(8), platformKey)
	require.Equal(t, http.StatusOK, status)
}

// refreshes records when each account's token is refreshed.
type refreshes struct {
	http.RoundTripper
	all *refreshTimes
	at  []time.Time // by this process
}

// refreshTimes are the refreshes by all processes.
type refreshTimes struct {
	mu    sync.Mutex
	last  map[string]time.Time
	leads []time.Time // the zero time and the lead of each refresh: the time to the end of the token before
}

func (r *refreshes) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/api_authorizer_token") {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		var in struct {
			AppID string `json:"authorizer_appid"`
		}
		if err := json.NewDecoder(body).Decode(&in); err != nil {
			return nil, err
		}
		now := time.Now()
		r.all.mu.Lock()
		if before, ok := r.all.last[in.AppID]; ok {
			r.all.leads = append(r.all.leads, time.Time{}.Add(before.Add(2*time.Hour).Sub(now)))
		}
		r.all.last[in.AppID] = now
		r.at = append(r.at, now)
		r.all.mu.Unlock()
	}
	return r.RoundTripper.RoundTrip(req)
}

// segmentStore is a store that knows the first segments of its keys, so that a search for keys of another one costs nothing, as in a
// database. While quiet it forgets the record of the last changes, which is large and written with each change.
type segmentStore struct {
	*store.Memory
	segments sync.Map
	quiet    atomic.Bool
}

const changesKey = "registry/changes"

func (s *segmentStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if key == changesKey && s.quiet.Load() {
		return nil, false, nil
	}
	return s.Memory.Get(ctx, key)
}

func (s *segmentStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.note(key)
	return s.Memory.Set(ctx, key, value, ttl)
}

func (s *segmentStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if key == changesKey && s.quiet.Load() {
		return true, nil
	}
	s.note(key)
	return s.Memory.Swap(ctx, key, old, new, ttl)
}

func (s *segmentStore) note(key string) {
	segment, _, _ := strings.Cut(key, "/")
	s.segments.Store(segment, true)
}

func (s *segmentStore) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	segment, _, whole := strings.Cut(prefix, "/")
	if _, ok := s.segments.Load(segment); whole && !ok {
		return func(func(string, error) bool) {}
	}
	return s.Memory.Keys(ctx, prefix)
}

// The accounts of a platform with keep are refreshed in the last 60 to 20 minutes of their tokens, evenly, and by no process faster than
// keep_rate. With WETOKEN_TEST_LONG=1 there are 100 000 accounts, or as many as -platform.accounts says.
func TestKeptAccountsOfAPlatformAreRefreshedEvenly(t *testing.T) {
	accounts, processes, hours := 200, 2, 2
	if testform.Long() {
		accounts, hours = *manyAccounts, 4
	}
	keepRate := max(1, accounts/2000)
	synctest.Test(t, func(t *testing.T) {
		times := &refreshTimes{last: make(map[string]time.Time)}
		var seen []*refreshes
		w := newPlatformWorld(t, func(o *gateway.Options) {
			o.Config.KeepRate, o.RegisterUnsealed = keepRate, true
			r := &refreshes{RoundTripper: o.HTTP.Transport, all: times}
			o.HTTP = &http.Client{Transport: r}
			seen = append(seen, r)
		})
		records := &segmentStore{Memory: new(store.Memory)}
		records.quiet.Store(true)
		w.store, w.records, w.gateways, seen = &segmentStore{Memory: new(store.Memory)}, records, nil, nil
		w.start(t)
		w.pushTicket(t)
		w.setPlatform(func(p *wechattest.Platform) { p.Handler, p.EventURL, p.Rotate = nil, "", true })
		token := serveComponentToken(t, w)
		for i := range accounts {
			id := fmt.Sprintf("wx%016x", i)
			w.wx.AddApp(id, "s")
			_, err := w.gateways[0].Apps().Put(t.Context(), "app-"+id[2:], gateway.App{Kind: wechat.Authorized, Platform: "saas", AppID: id, Keep: true}, "")
			require.NoError(t, err)
			code, err := w.wx.Authorize(t.Context(), platformID, id)
			require.NoError(t, err)
			exchangeCode(t, w, token, code)
		}
		for c, err := range w.gateways[0].SyncPlatform(t.Context(), "saas", true) {
			require.NoError(t, err)
			require.NoError(t, c.Err)
		}
		for range processes - 1 {
			w.start(t)
		}
		w.setPlatform(func(p *wechattest.Platform) { p.Rotate = true })
		records.quiet.Store(false)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for _, g := range w.gateways {
			running.Go(func() { _ = g.Run(ctx) })
		}
		fill := time.Duration(accounts/keepRate) * time.Second
		for range int((time.Duration(hours)*time.Hour + fill) / (10 * time.Minute)) {
			time.Sleep(10 * time.Minute)
			w.pushTicket(t)
		}
		synctest.Wait()
		times.mu.Lock()
		defer times.mu.Unlock()
		stop()
		running.Wait()

		require.Len(t, times.last, accounts, "each was refreshed")
		for id, at := range times.last {
			require.Less(t, time.Since(at), 101*time.Minute, "%s is still refreshed", id)
		}
		perSecond, calls := 0, 0
		for _, r := range seen {
			calls += len(r.at)
			perSecond = max(perSecond, mostWithin(r.at, time.Second))
		}
		require.LessOrEqual(t, perSecond, keepRate, "a second and process")
		slices.SortFunc(times.leads, time.Time.Compare)
		least, most := times.leads[0].Sub(time.Time{}), times.leads[len(times.leads)-1].Sub(time.Time{})
		require.Greater(t, least, 20*time.Minute-10*time.Second-30*time.Second, "the last 10 s are spread at random, and a visit may wait for its turn")
		require.LessOrEqual(t, most, time.Hour)
		all, densest := float64(len(times.leads)), float64(mostWithin(times.leads, 10*time.Second))
		share, even := densest/all, all*10/2280
		require.Less(t, densest, even+6*math.Sqrt(even)+6+0.002*all, "few are a Poisson process")

		with := heapNow()
		runtime.KeepAlive(w.gateways)
		w.gateways = nil
		t.Logf("%d accounts, %d processes, keep_rate %d: %d refreshes, at most %d a second and process; %s to %s before the end, at most %.2f %% of them in 10 s; %d bytes an account and process",
			accounts, processes, keepRate, calls, perSecond, most.Round(time.Second), least.Round(time.Second), 100*share, (with-heapNow())/int64(accounts*processes))
	})
}
