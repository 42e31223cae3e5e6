package main_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
)

// lag is the longest time of the calls of one fetch to a distant store.
const lag = 3 * time.Second

// farStore returns the URLs by which servers reach a store that is 200 ms away, with clocks that differ by up to skew.
func farStore(t *testing.T, s *service, skew time.Duration) func(i int) string {
	return func(i int) string {
		p := proxy{target: s.address, delay: 200 * time.Millisecond, skew: skew*time.Duration(i)/(size-1) - skew/2}
		return s.url(p.listen(t))
	}
}

func TestAStoreThatIsFarAwayChangesNothing(t *testing.T) {
	testform.NeedFull(t)
	t.Parallel()
	for name, start := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			o := outages(s)["gone, and back empty"]
			apps := appsWithLife("short", 10, lifetime)
			c := startCluster(t, farStore(t, s, 0), mergeApps(apps, appsWithLife("cold", 2, 0), o.lives(), map[string]time.Duration{"killed": 0}), "")
			c.lag = lag
			c.requireOneFetchEach(t, appsWithLife("cold", 2, 0))
			c.requireOneFetchPerExpiry(t, apps, 1)
			c.requireOutlives(t, o, "steady", "due")
			c.killFirstFetch(t, "killed")
		})
	}
}

func TestAStoreThatBreaksConnectionsCausesNoErrors(t *testing.T) {
	testform.NeedFull(t)
	t.Parallel()
	for name, start := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			cuts := new(cuts)
			apps := appsWithLife("short", 5, lifetime)
			c := startCluster(t, func(int) string {
				return s.url(proxy{target: s.address, cuts: cuts}.listen(t))
			}, apps, "")
			all := map[string]*tally{}
			var stops []func()
			cuts.on.Store(true)
			for app := range apps {
				y, stop := c.startReaders(t, app, 200*time.Millisecond)
				all[app], stops = y, append(stops, stop)
			}
			<-time.After(2 * lifetime)
			cuts.on.Store(false)
			<-time.After(storeCheckTime)
			t.Logf("%d connections broken", cuts.made.Load())
			require.Greater(t, cuts.made.Load(), int64(20))
			for app, y := range all {
				waitUntil(t, slack, "all have the same token", func() bool { return c.agreed(t, app) != "" })
				made := len(c.wx.tokens(t, app))
				t.Logf("%s: %s; %d tokens, %d calls", app, y, made, c.wx.fetches(t, app))
				require.LessOrEqual(t, c.wx.fetches(t, app), made*size, "more than one call of each server for each token")
			}
			for _, stop := range stops {
				stop()
			}
			for _, y := range all {
				y.requireAllServed(t)
			}
		})
	}
}

// These are half of the clock differences that servers must tolerate: a minute, and less for a token that lives for less
// than two hours, such as lifetime.
const (
	clocks      = 30 * time.Second
	shortClocks = lifetime / 40
)

// spare is the number of extra calls that such clocks may cost: servers see the end of a token too early if the clock of
// the server that fetched it is ahead. They may ask for the next one before WeChat has it, get the same one, and ask again.
const spare = 1

func TestClocksThatDifferChangeNothing(t *testing.T) {
	testform.NeedFull(t)
	t.Parallel()
	for name, start := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			o := outages(s)["gone, and back empty"]
			c := startCluster(t, farStore(t, s, clocks), mergeApps(appsWithLife("cold", 2, 0), o.lives(), map[string]time.Duration{"killed": 0, "long": 40 * clocks}), "")
			c.lag, c.spare = lag, spare
			c.requireOneFetchEach(t, appsWithLife("cold", 2, 0))
			c.requireClocksApart(t, "cold0", clocks)
			c.requireOutlives(t, o, "steady")
			c.killFirstFetch(t, "killed")
			if long {
				c.requireOneFetchPerExpiry(t, map[string]time.Duration{"long": 40 * clocks}, 1)
			}
		})
		t.Run(name+" and short lives", func(t *testing.T) {
			t.Parallel()
			apps := appsWithLife("short", 10, lifetime)
			c := startCluster(t, farStore(t, start(t), shortClocks), apps, "")
			c.spare = spare
			c.requireOneFetchPerExpiry(t, apps, 1)
		})
	}
}

// requireClocksApart requires that servers see the end of a token at times that differ by d. It leaves out the server that
// has fetched the token: for the others it ends a minute earlier, since they do not know the error of that clock.
func (c *cluster) requireClocksApart(t *testing.T, app string, d time.Duration) {
	t.Helper()
	if c.wx.fetches(t, app) > 1 {
		t.Logf("%s: CLOCKS NOT COMPARED, as this machine is too busy for one call", app)
		return
	}
	var ends []time.Time
	for i, p := range c.all {
		if n, _ := c.proxies[i].of(appOf(app)); n > 0 {
			continue
		}
		var out struct {
			End time.Time `json:"expires_at"`
		}
		_, body := p.ask(t, "/app/"+app+"/token")
		require.NoError(t, json.Unmarshal([]byte(body), &out), body)
		ends = append(ends, out.End)
	}
	spread := slices.MaxFunc(ends, time.Time.Compare).Sub(slices.MinFunc(ends, time.Time.Compare))
	require.InDelta(t, d.Seconds(), spread.Seconds(), 5, "the clocks do not differ as they should")
}
