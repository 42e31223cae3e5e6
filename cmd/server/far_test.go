package main_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
)

// lag is how long the several calls that a fetch makes to a store that is far away may take.
const lag = 3 * time.Second

// far is how servers see a store that is 200 ms away, by clocks that differ by up to skew.
func far(t *testing.T, s *service, skew time.Duration) func(i int) string {
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
			apps := several("short", 10, lifetime)
			c := startCluster(t, far(t, s, 0), merged(apps, several("cold", 2, 0), o.lives(), map[string]time.Duration{"killed": 0}), "")
			c.lag = lag
			c.rushes(t, several("cold", 2, 0))
			c.expiries(t, apps, 1)
			c.outlive(t, o, "steady", "due")
			c.killCold(t, "killed")
		})
	}
}

func TestAStoreThatBreaksConnectionsHarmsNobody(t *testing.T) {
	testform.NeedFull(t)
	t.Parallel()
	for name, start := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			cuts := new(cuts)
			apps := several("short", 5, lifetime)
			c := startCluster(t, func(int) string {
				return s.url(proxy{target: s.address, cuts: cuts}.listen(t))
			}, apps, "")
			all := map[string]*tally{}
			var stops []func()
			cuts.on.Store(true)
			for app := range apps {
				y, stop := c.pace(t, app, 200*time.Millisecond)
				all[app], stops = y, append(stops, stop)
			}
			<-time.After(2 * lifetime)
			cuts.on.Store(false)
			<-time.After(noticed)
			t.Logf("%d connections broken", cuts.made.Load())
			require.Greater(t, cuts.made.Load(), int64(20))
			for app, y := range all {
				until(t, slack, "all have the same token", func() bool { return c.agreed(t, app) != "" })
				made := len(c.wx.tokens(t, app))
				t.Logf("%s: %s; %d tokens, %d calls", app, y, made, c.wx.fetches(t, app))
				require.LessOrEqual(t, c.wx.fetches(t, app), made*size, "more than one call of each server for each token")
			}
			for _, stop := range stops {
				stop()
			}
			for _, y := range all {
				y.calm(t)
			}
		})
	}
}

// Servers bear clocks that differ by a minute, and by less where a token lives for less than two hours. These are the
// clocks, half as far apart, that a token of two hours and of lifetime must bear.
const (
	clocks      = 30 * time.Second
	shortClocks = lifetime / 40
)

// spare is the call that such clocks may cost: of a token that a server ahead of the others has fetched, they see the end
// come sooner, and may ask for the next one before WeChat has it. WeChat answers the same one, and is asked again.
const spare = 1

func TestClocksThatDifferChangeNothing(t *testing.T) {
	testform.NeedFull(t)
	t.Parallel()
	for name, start := range services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			o := outages(s)["gone, and back empty"]
			c := startCluster(t, far(t, s, clocks), merged(several("cold", 2, 0), o.lives(), map[string]time.Duration{"killed": 0, "long": 40 * clocks}), "")
			c.lag, c.spare = lag, spare
			c.rushes(t, several("cold", 2, 0))
			c.apart(t, "cold0", clocks)
			c.outlive(t, o, "steady")
			c.killCold(t, "killed")
			if long {
				c.expiries(t, map[string]time.Duration{"long": 40 * clocks}, 1)
			}
		})
		t.Run(name+" and short lives", func(t *testing.T) {
			t.Parallel()
			apps := several("short", 10, lifetime)
			c := startCluster(t, far(t, start(t), shortClocks), apps, "")
			c.spare = spare
			c.expiries(t, apps, 1)
		})
	}
}

// apart says that servers see a token end at instants that are so far apart. The server that fetched it is left out: the
// others have it end a minute sooner, since they do not know how far its clock is off.
func (c *cluster) apart(t *testing.T, app string, d time.Duration) {
	t.Helper()
	var ends []time.Time
	for i, p := range c.all {
		if n, _ := c.doors[i].of(appOf(app)); n > 0 {
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
