package main_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
)

const (
	leaseLife      = 10 * time.Second // of the lease under which a token is fetched
	maxPingTime    = 2 * time.Second  // for one look at the store
	storeCheckTime = 3 * time.Second  // within which a server under reading sees what has changed in the store
	slack          = 6 * time.Second  // for a machine that is busy with other tests
	maxReadTime    = time.Second / 2  // of a reader with a good copy, on such a machine
)

// waitForFetcher waits for the server that is fetching an app's token, and so holds its lease.
func (c *cluster) waitForFetcher(t *testing.T, app string, within time.Duration) (i int) {
	t.Helper()
	waitUntil(t, within, "somebody asks WeChat", func() bool {
		for _, i = range c.alive() {
			if _, underWay := c.proxies[i].of(appOf(app)); underWay > 0 {
				return true
			}
		}
		return false
	})
	return i
}

// killFirstFetch kills the server that fetches a token that no server has. Another one must take over once the lease has
// expired.
func (c *cluster) killFirstFetch(t *testing.T, app string) {
	c.wx.fail(t, app, hang)
	first := c.alive()[0]
	go c.token(t.Context(), first, app)
	require.Equal(t, first, c.waitForFetcher(t, app, slack))
	y := new(tally)
	var readers sync.WaitGroup
	for _, i := range c.alive()[1:] {
		readers.Go(func() { y.read(t.Context(), c, i, app, true) })
	}
	c.kill(first)
	killed, stall := time.Now(), c.watchDelays(t)
	readers.Wait()
	took, late := time.Since(killed), stall()
	y.requireAllServed(t)
	t.Logf("%s: the others had a token %s after the death of the one that fetched it", app, took.Round(time.Millisecond))
	require.Less(t, took, leaseLife+slack+c.lag)
	if late > maxStall { // the store was not waited for
		t.Logf("%s: NOT COUNTED EXACTLY, as this machine is too busy", app)
		require.LessOrEqual(t, c.wx.fetches(t, app), size, "calls to WeChat")
		return
	}
	require.Equal(t, 2, c.wx.fetches(t, app), "one call that died, and one call more")
	require.Len(t, c.wx.tokens(t, app), 1)
}

// killRenewal kills the server that renews a token that the others hold, before or after WeChat has made the new one. If
// the token outlives the lease, no reader waits. For a shorter life, readers wait for the rest of the lease.
func (c *cluster) killRenewal(t *testing.T, app string, life time.Duration, how map[string]any) {
	y, stop := c.startReaders(t, app, 200*time.Millisecond)
	waitUntil(t, slack, "all have it", func() bool { return c.agreed(t, app) != "" })
	c.wx.fail(t, app, how)
	i := c.waitForFetcher(t, app, life)
	waitUntil(t, slack, "WeChat has been asked", func() bool { return c.wx.fetches(t, app) == 2 })
	stop()
	y.requireAllServed(t)
	c.kill(i)
	killed := time.Now()
	y, stop = c.startReaders(t, app, 200*time.Millisecond)
	waitUntil(t, maxTakeover(app, life)+slack, "another asks WeChat", func() bool { return c.wx.fetches(t, app) == 3 })
	took := time.Since(killed)
	last := func() string { all := c.wx.tokens(t, app); return all[len(all)-1].Value }
	waitUntil(t, 2*slack, "all have the new token", func() bool { return c.agreed(t, app) == last() })
	stop()
	y.requireAllServed(t)
	t.Logf("%s: renewed %s after the death of the one that did so; %s", app, took.Round(time.Millisecond), y)
	require.Equal(t, 3, c.wx.fetches(t, app), "the first call, the one that died, and one call more")
	if life >= longLife {
		y.requireNoWait(t)
	} else {
		require.Less(t, y.slowest(), leaseLife+slack)
	}
}

// maxTakeover returns the longest time until another server asks WeChat: the life of the lease. For a classic token nobody
// knows whether WeChat has made the next one, and asking again would end the token that all hold, so servers keep it to its
// end, for a quarter of its life at most.
func maxTakeover(app string, life time.Duration) time.Duration {
	if strings.HasPrefix(app, "classic") {
		return max(leaseLife, life/4)
	}
	return leaseLife
}

// enduring is a life whose renewal may fail for the length of a lease and of a look: 80 % of its last quarter, but for
// the twentieth that is kept for clocks that differ, and for a look by which the renewal may be late.
const longLife = 112 * time.Second

func TestAServerThatIsKilledWhileItFetchesIsReplaced(t *testing.T) {
	t.Parallel()
	life := 24 * time.Second
	if long {
		life = longLife
	}
	forEachStore(t, func(t *testing.T, url string) {
		c := startCluster(t, same(url), map[string]time.Duration{"cold": 0, "warm": life, "classic": life}, "")
		c.killFirstFetch(t, "cold")
		if !testform.Full() || strings.HasPrefix(url, "sqlite:") && !testform.Long() {
			return // the others wait for tokens to end
		}
		c.killRenewal(t, "warm", life, hang)
		c.killRenewal(t, "classic", life, hangAfterWork)
	})
}

func TestAServerThatWasFrozenWhileItFetchedBringsBackNoOldToken(t *testing.T) {
	t.Parallel()
	s := newRedis(t)
	c := startCluster(t, same(s.url(s.address)), map[string]time.Duration{"app": 0}, "")
	c.wx.fail(t, "app", map[string]any{"delay": 2, "after_work": true})
	frozen := c.alive()[0]
	go c.token(t.Context(), frozen, "app")
	require.Equal(t, frozen, c.waitForFetcher(t, "app", slack))
	waitUntil(t, slack, "WeChat has made a token", func() bool { return len(c.wx.tokens(t, "app")) == 1 })
	require.NoError(t, c.all[frozen].cmd.Process.Signal(syscall.SIGSTOP))
	first, err := c.token(t.Context(), 1, "app") // once the lease has lapsed
	require.NoError(t, err)
	require.Equal(t, c.wx.tokens(t, "app")[0].Value, first)
	c.wx.call(t, "revoke", map[string]string{"token": first}, nil)
	second, err := c.renew(t.Context(), 1, "app", first)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	require.NoError(t, c.all[frozen].cmd.Process.Signal(syscall.SIGCONT))
	waitUntil(t, storeCheckTime+slack, "all have the second token", func() bool { return c.agreed(t, "app") == second })
	y, stop := c.startReaders(t, "app", 50*time.Millisecond)
	<-time.After(storeCheckTime)
	stop()
	y.requireAllServed(t)
	require.Equal(t, second, only(y.tokens))
	require.Len(t, y.tokens, 1)
}
