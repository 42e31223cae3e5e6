package main_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
)

// rush has a crowd at each server ask for an app at once, or nearly.
func (c *cluster) rush(t *testing.T, app string, apart time.Duration) *tally {
	var y tally
	var wg sync.WaitGroup
	for _, i := range c.alive() {
		wg.Go(func() {
			<-time.After(rand.N(apart))
			for range crowd {
				wg.Go(func() { y.read(t.Context(), c, i, app, false) })
			}
		})
	}
	wg.Wait()
	return &y
}

// several names n apps whose tokens live for so long; 0 is WeChat's two hours.
func several(name string, n int, life time.Duration) map[string]time.Duration {
	apps := map[string]time.Duration{}
	for i := range n {
		apps[fmt.Sprintf("%s%d", name, i)] = life
	}
	return apps
}

// rushes has crowds ask for apps that nobody has read: one call to WeChat for each, whoever asks first.
func (c *cluster) rushes(t *testing.T, apps map[string]time.Duration) {
	for app := range apps {
		y := c.rush(t, app, 15*time.Millisecond)
		y.calm(t)
		t.Logf("%s: %s", app, y)
		require.Len(t, y.took, size*crowd)
		require.Len(t, y.tokens, 1, "not everybody was given the same token")
		require.Equal(t, 1, c.wx.fetches(t, app), "calls to WeChat")
		for token := range y.tokens {
			code, err := c.wx.use(token)
			require.NoError(t, err)
			require.Zero(t, code)
		}
	}
}

// lifetime is that of the tokens whose expiry is watched.
//
// WeChat hands out the next token in the last quarter of a life. A server looks at the store every 2.5 s under reading,
// and renews between 80 and 95 % of that quarter before the end if it fetched the token, later if another did. Of a life of
// 20 s that is 4 s before the end or more, within which the eight, looking at different times, see each other's renewal;
// and it is a quarter of a second after WeChat has a new token to give, which is what a busy machine may be late by
// before a call is made too early.
const lifetime = 20 * time.Second

// expiries reads apps with short lives until each has expired so many times: one call to WeChat for each expiry, and
// each token taken by WeChat whenever it was handed out.
func (c *cluster) expiries(t *testing.T, apps map[string]time.Duration, times int) {
	began := time.Now()
	stall, disk := c.stall(t), slowDisk(t)
	all := map[string]*tally{}
	var stops []func()
	for app := range apps {
		y, stop := c.pace(t, app, 800*time.Millisecond)
		all[app], stops = y, append(stops, stop)
	}
	for app, life := range apps {
		until(t, time.Duration(times+3)*life, "the token has expired often enough", func() bool { return len(c.wx.tokens(t, app)) > times })
	}
	for _, stop := range stops {
		stop()
	}
	took, late, written := time.Since(began), stall(), disk()
	t.Logf("the machine left a server alone for %s at most, and a write to its disk took up to %s", late.Round(time.Millisecond), written.Round(time.Millisecond))
	allMade, allCalls := 0, 0
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		y := all[app]
		y.calm(t)
		made := len(c.wx.tokens(t, app))
		t.Logf("%s: %s; %d tokens, %d calls", app, y, made, c.wx.fetches(t, app))
		allMade, allCalls = allMade+made, allCalls+c.wx.fetches(t, app)
		renewed := int(took / (apps[app] - apps[app]/4))  // at most
		if late > apps[app]/100 || written > storeMax/2 { // a store on that disk was not waited for
			t.Logf("%s: NOT COUNTED EXACTLY, as this machine is too busy", app)
			require.LessOrEqual(t, c.wx.fetches(t, app), 2*(renewed+1), "calls to WeChat")
			continue
		}
		require.GreaterOrEqual(t, c.wx.fetches(t, app), made, "calls to WeChat")
		require.LessOrEqual(t, c.wx.fetches(t, app), made+c.spare, "calls to WeChat")
		require.LessOrEqual(t, made, renewed+1, "tokens were renewed before they were due")
	}
	t.Logf("%d tokens in all, %d calls", allMade, allCalls)
	require.LessOrEqual(t, allCalls, allMade*5/4+c.spare*len(apps), "calls to WeChat, on a machine however busy")
}

// stall watches how long the servers take to answer what costs them nothing, until it is asked for the longest.
func (c *cluster) stall(t *testing.T) (longest func() time.Duration) {
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

// slowDisk watches how long the disk of this machine takes to keep a few bytes, until it is asked for the longest.
func slowDisk(t *testing.T) (longest func() time.Duration) {
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

func merged(all ...map[string]time.Duration) map[string]time.Duration {
	apps := map[string]time.Duration{}
	for _, some := range all {
		maps.Copy(apps, some)
	}
	return apps
}

// overEach runs a test over each kind of store.
func overEach(t *testing.T, test func(t *testing.T, url string)) {
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
	overEach(t, func(t *testing.T, url string) {
		apps := several("cold", 11, 0)
		c := startCluster(t, same(url), apps, "")
		c.rushes(t, apps)
	})
}

func TestEightServersFetchOncePerExpiry(t *testing.T) {
	apps, times := merged(several("short", 20, lifetime), several("classic", 5, lifetime)), 2 // 50 expiries, side by side …
	if !testform.Full() {
		apps, times = merged(several("short", 4, lifetime), several("classic", 1, lifetime)), 1
	}
	if long {
		apps, times = merged(several("short", 8, lifetime), several("classic", 2, lifetime)), 50 // … or in a row
	}
	overEach(t, func(t *testing.T, url string) {
		c := startCluster(t, same(url), apps, "")
		c.expiries(t, apps, times)
	})
}
