package main_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
)

// readAtOnce has many clients of each server read an app at nearly the same time.
func (c *cluster) readAtOnce(t *testing.T, app string, apart time.Duration) *tally {
	var y tally
	var wg sync.WaitGroup
	for _, i := range c.alive() {
		wg.Go(func() {
			<-time.After(rand.N(apart))
			for range clientsPerServer {
				wg.Go(func() { y.read(t.Context(), c, i, app, false) })
			}
		})
	}
	wg.Wait()
	return &y
}

// appsWithLife returns n apps whose tokens have a life; 0 is two hours.
func appsWithLife(name string, n int, life time.Duration) map[string]time.Duration {
	apps := map[string]time.Duration{}
	for i := range n {
		apps[fmt.Sprintf("%s%d", name, i)] = life
	}
	return apps
}

// minStall and maxStall bound the time that a machine leaves a server alone. Below minStall each server must reach its store
// in time; above maxStall none needs to.
const minStall, maxStall = 250 * time.Millisecond, time.Second

// withoutStore returns the number of servers that did not reach the store when they were asked for an app's token. Each of
// them fetches it alone.
func (c *cluster) withoutStore(app string) (n int) {
	for _, p := range c.all {
		for line := range strings.Lines(p.log.String()) {
			if strings.Contains(line, "renewal of a token or ticket failed") && strings.Contains(line, "app="+app+" ") && strings.Contains(line, " store: ") {
				n++
				break
			}
		}
	}
	return n
}

// requireOneFetchEach has many clients read apps that nobody has read before. It requires one call to WeChat for each app,
// and on a machine that stalls at most one more for each server that has logged that it did not reach the store.
func (c *cluster) requireOneFetchEach(t *testing.T, apps map[string]time.Duration) {
	for app := range apps {
		stall := c.watchDelays(t)
		y := c.readAtOnce(t, app, 15*time.Millisecond)
		late := stall()
		y.requireAllServed(t)
		t.Logf("%s: %s; the machine left a server alone for %s at most", app, y, late.Round(time.Millisecond))
		require.Len(t, y.took, size*clientsPerServer)
		if late > maxStall { // the store was not waited for
			t.Logf("%s: NOT COUNTED EXACTLY, as this machine is too busy", app)
			require.LessOrEqual(t, c.wx.fetches(t, app), size, "calls to WeChat")
			continue
		}
		if alone := c.withoutStore(app); alone > 0 {
			require.Greater(t, late, minStall, "servers did not reach the store, although the machine was idle enough")
			t.Logf("%s: %d SERVERS DID NOT REACH THE STORE, as this machine is too busy", app, alone)
			require.LessOrEqual(t, c.wx.fetches(t, app), 1+alone, "calls to WeChat")
			continue
		}
		require.Len(t, y.tokens, 1, "not everybody was given the same token")
		require.Equal(t, 1, c.wx.fetches(t, app), "calls to WeChat")
		for token := range y.tokens {
			code, err := c.wx.use(token)
			require.NoError(t, err)
			require.Zero(t, code)
		}
	}
}

// lifetime is the life of the tokens whose expiry is tested.
//
// WeChat issues the next token in the last quarter of a life. A server reads the store every 2.5 s while it has readers,
// and renews between 80 and 95 % of that quarter before the end if it has fetched the token, later if another did. For a
// life of 20 s that is at least 4 s before the end, in which the eight servers see each other's renewal, and a quarter of a
// second after WeChat has a new token, which is the delay that a busy machine may have.
const lifetime = 20 * time.Second

// requireOneFetchPerExpiry reads apps with short lives until each has expired a number of times. It requires one call to
// WeChat for each expiry, and that WeChat accepts each token that was served.
func (c *cluster) requireOneFetchPerExpiry(t *testing.T, apps map[string]time.Duration, times int) {
	began := time.Now()
	stall, disk := c.watchDelays(t), watchDisk(t)
	all := map[string]*tally{}
	var stops []func()
	for app := range apps {
		y, stop := c.startReaders(t, app, 800*time.Millisecond)
		all[app], stops = y, append(stops, stop)
	}
	for app, life := range apps {
		waitUntil(t, time.Duration(times+3)*life, "the token has expired often enough", func() bool { return len(c.wx.tokens(t, app)) > times })
	}
	for _, stop := range stops {
		stop()
	}
	took, late, written := time.Since(began), stall(), disk()
	t.Logf("the machine left a server alone for %s at most, and a write to its disk took up to %s", late.Round(time.Millisecond), written.Round(time.Millisecond))
	allMade, allCalls, busy := 0, 0, false
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		y := all[app]
		if late > maxStall { // a token of a short life may end between its answer and its use
			y.requireFewDead(t)
		} else {
			y.requireAllServed(t)
		}
		made := len(c.wx.tokens(t, app))
		t.Logf("%s: %s; %d tokens, %d calls", app, y, made, c.wx.fetches(t, app))
		allMade, allCalls = allMade+made, allCalls+c.wx.fetches(t, app)
		renewed := int(took / (apps[app] - apps[app]/4))     // at most
		if late > apps[app]/100 || written > maxPingTime/2 { // a store on that disk was not waited for
			t.Logf("%s: NOT COUNTED EXACTLY, as this machine is too busy", app)
			require.LessOrEqual(t, c.wx.fetches(t, app), size/2*(renewed+1), "calls to WeChat: the servers do not share them")
			busy = true
			continue
		}
		require.GreaterOrEqual(t, c.wx.fetches(t, app), made, "calls to WeChat")
		require.LessOrEqual(t, c.wx.fetches(t, app), made+c.spare, "calls to WeChat")
		require.LessOrEqual(t, made, renewed+1, "tokens were renewed before they were due")
	}
	t.Logf("%d tokens in all, %d calls", allMade, allCalls)
	most := allMade*5/4 + c.spare*len(apps)
	if busy {
		most = 2 * allMade
	}
	require.LessOrEqual(t, allCalls, most, "calls to WeChat")
}

// watchDelays measures how long the servers take for a cheap request. longest stops it and returns the longest time.
func (c *cluster) watchDelays(t *testing.T) (longest func() time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	worst := make(chan time.Duration, len(c.all))
	for _, i := range c.alive() {
		go func() {
			var most time.Duration
			for ctx.Err() == nil {
				asked := time.Now()
				c.all[i].status("/healthz")
				most = max(most, time.Since(asked))
				<-time.After(50 * time.Millisecond)
			}
			worst <- most
		}()
	}
	return func() (most time.Duration) {
		cancel()
		for range c.alive() {
			most = max(most, <-worst)
		}
		return most
	}
}

// watchDisk measures how long the disk takes to sync a few bytes. longest stops it and returns the longest time.
func watchDisk(t *testing.T) (longest func() time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	f, err := os.Create(filepath.Join(t.TempDir(), "probe"))
	require.NoError(t, err)
	worst := make(chan time.Duration, 1)
	go func() {
		defer f.Close()
		var most time.Duration
		for ctx.Err() == nil {
			begun := time.Now()
			_, err := f.WriteAt([]byte("probe"), 0)
			if err == nil {
				err = f.Sync()
			}
			if most = max(most, time.Since(begun)); err != nil {
				most = time.Hour // it keeps nothing
			}
			<-time.After(200 * time.Millisecond)
		}
		worst <- most
	}()
	return sync.OnceValue(func() time.Duration {
		cancel()
		return <-worst
	})
}

func mergeApps(all ...map[string]time.Duration) map[string]time.Duration {
	apps := map[string]time.Duration{}
	for _, some := range all {
		maps.Copy(apps, some)
	}
	return apps
}

// forEachStore runs a test with each kind of store.
func forEachStore(t *testing.T, test func(t *testing.T, url string)) {
	for name, start := range map[string]func(t *testing.T) string{
		"Redis":   func(t *testing.T) string { s := newRedis(t); return s.url(s.address) },
		"MariaDB": func(t *testing.T) string { testform.NeedFull(t); s := newMariaDB(t); return s.url(s.address) },
		"SQLite":  func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "wetoken.db") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

func TestEightServersFetchOnceForAll(t *testing.T) {
	forEachStore(t, func(t *testing.T, url string) {
		apps := appsWithLife("cold", 11, 0)
		c := startCluster(t, same(url), apps, "")
		c.requireOneFetchEach(t, apps)
	})
}

func TestEightServersFetchOncePerExpiry(t *testing.T) {
	apps, times := mergeApps(appsWithLife("short", 20, lifetime), appsWithLife("classic", 5, lifetime)), 2 // 50 expiries, side by side …
	if !testform.Full() {
		apps, times = mergeApps(appsWithLife("short", 4, lifetime), appsWithLife("classic", 1, lifetime)), 1
	}
	if long {
		apps, times = mergeApps(appsWithLife("short", 8, lifetime), appsWithLife("classic", 2, lifetime)), 50 // … or in a row
	}
	forEachStore(t, func(t *testing.T, url string) {
		c := startCluster(t, same(url), apps, "")
		c.requireOneFetchPerExpiry(t, apps, times)
	})
}
