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
	leaseLife = 10 * time.Second // of the lease under which a token is fetched
	storeMax  = 2 * time.Second  // for one look at the store
	noticed   = 3 * time.Second  // within which a server under reading sees what has changed in the store
	slack     = 3 * time.Second  // for a machine that is busy with other tests
	patience  = time.Second / 2  // of a reader with a good copy, on such a machine
)

// holder waits for the server that is asking WeChat for an app's token, and so holds its lease.
func (c *cluster) holder(t *testing.T, app string, within time.Duration) (i int) {
	t.Helper()
	until(t, within, "somebody asks WeChat", func() bool {
		for _, i = range c.alive() {
			if _, underWay := c.doors[i].of(appOf(app)); underWay > 0 {
				return true
			}
		}
		return false
	})
	return i
}

// killCold kills the server that fetches a token which nobody has: another takes over once the lease has lapsed.
func (c *cluster) killCold(t *testing.T, app string) {
	c.wx.fail(t, app, hang)
	first := c.alive()[0]
	go c.token(t.Context(), first, app)
	require.Equal(t, first, c.holder(t, app, slack))
	y := new(tally)
	var readers sync.WaitGroup
	for _, i := range c.alive()[1:] {
		readers.Go(func() { y.read(t.Context(), c, i, app, true) })
	}
	c.kill(first)
	killed := time.Now()
	readers.Wait()
	took := time.Since(killed)
	y.calm(t)
	t.Logf("%s: the others had a token %s after the death of the one that fetched it", app, took.Round(time.Millisecond))
	require.Less(t, took, leaseLife+slack+c.lag)
	require.Equal(t, 2, c.wx.fetches(t, app), "one call that died, and one call more")
	require.Len(t, c.wx.tokens(t, app), 1)
}

// killWarm kills the server that renews a token while the others have it, before WeChat has made one or after. Where the
// token outlives the lease no reader waits. A life too short for that is for a short test: readers then wait for the
// rest of the lease.
func (c *cluster) killWarm(t *testing.T, app string, life time.Duration, how map[string]any) {
	y, stop := c.pace(t, app, 200*time.Millisecond)
	until(t, slack, "all have it", func() bool { return c.agreed(t, app) != "" })
	c.wx.fail(t, app, how)
	i := c.holder(t, app, life)
	until(t, slack, "WeChat has been asked", func() bool { return c.wx.fetches(t, app) == 2 })
	stop()
	y.calm(t)
	c.kill(i)
	killed := time.Now()
	y, stop = c.pace(t, app, 200*time.Millisecond)
	until(t, takeover(app, life)+slack, "another asks WeChat", func() bool { return c.wx.fetches(t, app) == 3 })
	took := time.Since(killed)
	last := func() string { all := c.wx.tokens(t, app); return all[len(all)-1].Value }
	until(t, 2*slack, "all have the new token", func() bool { return c.agreed(t, app) == last() })
	stop()
	y.calm(t)
	t.Logf("%s: renewed %s after the death of the one that did so; %s", app, took.Round(time.Millisecond), y)
	require.Equal(t, 3, c.wx.fetches(t, app), "the first call, the one that died, and one call more")
	if life >= enduring {
		y.prompt(t)
	} else {
		require.Less(t, y.slowest(), leaseLife+slack)
	}
}

// takeover is how soon another server asks WeChat after one died doing so: when the lease has lapsed. Of a classic token
// nobody knows whether WeChat has made the next one, and to ask again would end the one that all hold: that is left to
// live to its end, for the last quarter of its life at most.
func takeover(app string, life time.Duration) time.Duration {
	if strings.HasPrefix(app, "classic") {
		return max(leaseLife, life/4)
	}
	return leaseLife
}

// enduring is a life whose renewal may fail for the length of a lease and of a look: 80 % of its last quarter, but for
// the twentieth that is kept for clocks that differ, and for a look by which the renewal may be late.
const enduring = 112 * time.Second

func TestAServerThatIsKilledWhileItFetchesIsReplaced(t *testing.T) {
	t.Parallel()
	life := 24 * time.Second
	if long {
		life = enduring
	}
	overEach(t, func(t *testing.T, url string) {
		c := startCluster(t, same(url), map[string]time.Duration{"cold": 0, "warm": life, "classic": life}, "")
		c.killCold(t, "cold")
		if !testform.Full() {
			return // the others wait for tokens to end
		}
		c.killWarm(t, "warm", life, hang)
		c.killWarm(t, "classic", life, lose)
	})
}

func TestAServerThatWasFrozenWhileItFetchedBringsBackNoOldToken(t *testing.T) {
	t.Parallel()
	s := newRedis(t)
	c := startCluster(t, same(s.url(s.address)), map[string]time.Duration{"app": 0}, "")
	c.wx.fail(t, "app", map[string]any{"delay": 2, "after_work": true})
	frozen := c.alive()[0]
	go c.token(t.Context(), frozen, "app")
	require.Equal(t, frozen, c.holder(t, "app", slack))
	until(t, slack, "WeChat has made a token", func() bool { return len(c.wx.tokens(t, "app")) == 1 })
	require.NoError(t, c.all[frozen].cmd.Process.Signal(syscall.SIGSTOP))
	first, err := c.token(t.Context(), 1, "app") // once the lease has lapsed
	require.NoError(t, err)
	require.Equal(t, c.wx.tokens(t, "app")[0].Value, first)
	c.wx.call(t, "revoke", map[string]string{"token": first}, nil)
	second, err := c.renew(t.Context(), 1, "app", first)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	require.NoError(t, c.all[frozen].cmd.Process.Signal(syscall.SIGCONT))
	until(t, noticed+slack, "all have the second token", func() bool { return c.agreed(t, "app") == second })
	y, stop := c.pace(t, "app", 50*time.Millisecond)
	<-time.After(noticed)
	stop()
	y.calm(t)
	require.Equal(t, second, only(y.tokens))
	require.Len(t, y.tokens, 1)
}
