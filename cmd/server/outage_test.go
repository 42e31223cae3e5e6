package main_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/store/sqlstore"
)

// outage is a time without a store.
type outage struct {
	begin, end func(t *testing.T)
	lasts      time.Duration
	waits      bool // reads of the store wait for its answer
}

// lives returns the lives of the apps that requireOutlives reads. The token of due comes due once during the outage.
func (o outage) lives() map[string]time.Duration {
	return map[string]time.Duration{"steady": 0, "unread": 0, "due": o.lasts}
}

// requireOutlives reads apps during an outage, and requires that all reads succeed.
func (c *cluster) requireOutlives(t *testing.T, o outage, apps ...string) {
	agreed := func() bool {
		for _, app := range apps {
			if c.agreed(t, app) == "" {
				return false
			}
		}
		return true
	}
	waitUntil(t, 2*slack, "all have the same tokens", agreed)
	readers, stops := map[string]*tally{}, []func(){}
	for _, app := range apps {
		y, stop := c.startReaders(t, app, 100*time.Millisecond)
		readers[app], stops = y, append(stops, stop)
	}
	kept := c.agreed(t, "steady")
	before := c.fetches("due")

	began := time.Now()
	o.begin(t)
	c.everyStatus(t, http.StatusServiceUnavailable)
	cold := new(tally)
	var crowd sync.WaitGroup
	for _, i := range c.alive() {
		crowd.Go(func() { cold.read(t.Context(), c, i, "unread", true) })
	}
	crowd.Wait()
	cold.requireAllServed(t)
	t.Logf("a token that nobody has: %s", cold)
	require.Less(t, cold.slowest(), maxPingTime+slack)
	<-time.After(time.Until(began.Add(o.lasts)))
	for i, n := range c.fetches("due") {
		require.LessOrEqual(t, n-before[i], 1, "calls to WeChat by server %d in %s", i, time.Since(began))
	}
	if readers["due"] != nil {
		require.Len(t, c.wx.tokens(t, "due"), 2, "how often the token came due until the end of the outage")
	}
	o.end(t)

	back := time.Now()
	c.everyStatus(t, http.StatusOK)
	waitUntil(t, 2*slack, "all have the same tokens again", agreed)
	t.Logf("all ready and of one mind %s after the store was back", time.Since(back).Round(time.Millisecond))
	waitUntil(t, 2*slack, "all have the token that was first read in the outage", func() bool { return c.agreed(t, "unread") != "" })
	<-time.After(time.Until(back.Add(storeCheckTime)))
	for _, stop := range stops {
		stop()
	}
	for app, y := range readers {
		y.requireAllServed(t)
		t.Logf("%s: %s; %d calls to WeChat", app, y, c.wx.fetches(t, app))
		switch {
		case app == "due" && o.waits && !long: // too short a life for the time that the store is waited for
			require.Less(t, y.slowest(), maxPingTime+slack)
		default:
			y.requireNoWait(t)
		}
	}
	c.launch(c.url(0)) // a newcomer, who finds the token in the store
	c.all[len(c.all)-1].ready(t)
	require.Equal(t, kept, c.agreed(t, "steady"))
	require.Equal(t, 1, c.wx.fetches(t, "steady"))
}

// everyStatus waits until all servers reply to /readyz with a status.
func (c *cluster) everyStatus(t *testing.T, want int) {
	t.Helper()
	for _, i := range c.alive() {
		waitUntil(t, 10*time.Second+slack, fmt.Sprintf("server %d answers %d when asked whether it is ready", i, want), func() bool {
			return c.all[i].status("/readyz") == want
		})
	}
}

// outages returns the outages of a service to test.
func outages(s *service) map[string]outage {
	lasts := 15 * time.Second
	if long {
		lasts = time.Minute
	}
	return map[string]outage{
		"gone, and back empty": {
			lasts: lasts,
			begin: func(*testing.T) { s.kill() },
			end: func(t *testing.T) {
				require.NoError(t, s.empty())
				s.start(t)
				s.migrate(t)
			},
		},
		"gone, and back as it was": {
			lasts: lasts,
			begin: func(t *testing.T) {
				if s.save != "" {
					require.NoError(t, s.execute(t.Context(), s.save))
				}
				s.kill()
			},
			end: func(t *testing.T) { s.start(t) },
		},
		"hung": {
			lasts: lasts, waits: true,
			begin: func(t *testing.T) { require.NoError(t, s.freeze()) },
			end:   func(t *testing.T) { require.NoError(t, s.thaw()) },
		},
	}
}

var services = map[string]func(t *testing.T) *service{
	"Redis":   func(t *testing.T) *service { return newRedis(t) },
	"MariaDB": func(t *testing.T) *service { return newMariaDB(t) },
}

func TestServersOutliveTheirStore(t *testing.T) {
	t.Parallel()
	for name, start := range services {
		for kind := range outages(nil) {
			t.Run(name+" "+kind, func(t *testing.T) {
				if name != "Redis" || kind != "gone, and back empty" {
					testform.NeedFull(t)
				}
				t.Parallel()
				s := start(t)
				o := outages(s)[kind]
				records := &sqlstore.Store{DB: openFile(t, filepath.Join(t.TempDir(), "records.db")), Dialect: sqlstore.SQLite}
				require.NoError(t, records.Migrate(t.Context()))
				require.NoError(t, records.Set(t.Context(), "test/kept", []byte("kept"), 0))
				c := startCluster(t, same(s.url(s.address)), o.lives(), "records: sqlite:"+fileOf(t, records.DB))
				c.requireOutlives(t, o, "steady", "due")
				value, _, err := records.Get(t.Context(), "test/kept")
				require.NoError(t, err)
				require.Equal(t, "kept", string(value), "a record was lost")
			})
		}
	}
}

func openFile(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

func fileOf(t *testing.T, db *sql.DB) (file string) {
	t.Helper()
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT file FROM pragma_database_list").Scan(&file))
	return file
}
