package main_test

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/sqlstore"
	"github.com/wetoken/wetoken/wechattest"
)

var (
	appsWatched = flag.Duration("apps.for", time.Second, "how long TestManyRegisteredApps leaves a server running")
	appsRate    = flag.Int("apps.rate", 50, "keep_rate of the server of TestManyRegisteredApps")
)

// withoutChanges is a store that forgets the record of the last changes, which is large and written with each change.
type withoutChanges struct{ store.Store }

const changesKey = "registry/changes"

func (s withoutChanges) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if key == changesKey {
		return nil, false, nil
	}
	return s.Store.Get(ctx, key)
}

func (s withoutChanges) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if key == changesKey {
		return true, nil
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

// registrations are the records of n registered apps, which are all kept.
func registrations(t *testing.T, n int, keys store.KeyRing) *store.Memory {
	raw := new(store.Memory)
	g, err := gateway.New(gateway.Options{
		Config: gateway.Config{Keys: []gateway.Key{{Name: "all", Key: shopKey, Apps: []string{"*"}, Scopes: []string{"*"}}}},
		Store:  new(store.Memory), Records: &store.Sealed{Store: withoutChanges{raw}, KeyRing: keys}, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	for i := range n {
		_, err := g.Apps().Put(t.Context(), fmt.Sprint("app", i), gateway.App{AppID: fmt.Sprintf("wx%016d", i), Secret: "a-secret-of-many-apps", Keep: true}, "")
		require.NoError(t, err)
	}
	return raw
}

// insert writes the values of a store into the table of a database, many at once.
func insert(t *testing.T, from *store.Memory, db *sql.DB) {
	const rows = 200
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	var args []any
	write := func() {
		if len(args) > 0 {
			values := strings.TrimSuffix(strings.Repeat("(?,?,4611686018427387904),", len(args)/2), ",")
			_, err := tx.ExecContext(t.Context(), "INSERT INTO wetoken_store (k, v, expires) VALUES "+values, args...)
			require.NoError(t, err)
			args = args[:0]
		}
	}
	for key, err := range from.Keys(t.Context(), "") {
		require.NoError(t, err)
		value, _, err := from.Get(t.Context(), key)
		require.NoError(t, err)
		if args = append(args, []byte(key), value); len(args) == 2*rows {
			write()
		}
	}
	write()
	require.NoError(t, tx.Commit())
}

// callCounter counts the calls of a store, and those that read entries of apps.
type callCounter struct {
	*sqlstore.Store
	calls, entries, lists atomic.Int64
}

func (c *callCounter) Get(ctx context.Context, key string) ([]byte, bool, error) {
	c.calls.Add(1)
	switch {
	case strings.HasPrefix(key, "registry/app/"):
		c.entries.Add(1)
	case strings.HasPrefix(key, "registry/app-list/keep/"):
		c.lists.Add(1)
	}
	return c.Store.Get(ctx, key)
}

func (c *callCounter) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	c.calls.Add(1)
	return c.Store.Keys(ctx, prefix)
}

// TestManyRegisteredApps starts a gateway and a server with 10 000 registered apps in a database, or 100 000 in the long form. All
// of them are kept.
func TestManyRegisteredApps(t *testing.T) {
	testform.NeedFull(t)
	apps := 10000
	if testform.Long() {
		apps = 100000
	}
	key := newKey()
	keys, err := store.ParseKeys(key)
	require.NoError(t, err)
	begun := time.Now()
	raw := registrations(t, apps, keys)
	t.Logf("%d apps are registered in %s", apps, time.Since(begun).Round(time.Millisecond))
	wx := new(wechattest.Server)
	for i := range apps {
		wx.AddApp(fmt.Sprintf("wx%016d", i), "a-secret-of-many-apps")
	}
	for name, open := range map[string]func(t *testing.T) (db *sql.DB, dialect sqlstore.Dialect, url string){
		"SQLite": func(t *testing.T) (*sql.DB, sqlstore.Dialect, string) {
			file := filepath.Join(t.TempDir(), "records.db")
			return openFile(t, file), sqlstore.SQLite, "sqlite:" + file
		},
		"MariaDB": func(t *testing.T) (*sql.DB, sqlstore.Dialect, string) {
			s := newMariaDB(t)
			c := mysql.NewConfig()
			c.User, c.Net, c.Addr, c.DBName = "root", "tcp", s.address, "wetoken"
			connector, err := mysql.NewConnector(c)
			require.NoError(t, err)
			db := sql.OpenDB(connector)
			t.Cleanup(func() { db.Close() })
			return db, sqlstore.MySQL, s.url(s.address)
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, dialect, url := open(t)
			env := []string{"WETOKEN_MASTER_KEYS=" + key}
			start(t, env, "-demo", "-store", url).kill() // makes the table, and the mark that the keys fit
			begun := time.Now()
			insert(t, raw, db)
			t.Logf("written in %s", time.Since(begun).Round(time.Millisecond))
			t.Run("gateway", func(t *testing.T) { startManyApps(t, apps, &sqlstore.Store{DB: db, Dialect: dialect}, keys, wx) })
			t.Run("server", func(t *testing.T) { serveManyApps(t, apps, url, env, wx) })
		})
	}
}

// startManyApps counts what a gateway reads at its start, and its goroutines.
func startManyApps(t *testing.T, apps int, s *sqlstore.Store, keys store.KeyRing, wx *wechattest.Server) {
	records := &callCounter{Store: s}
	goroutines := runtime.NumGoroutine()
	begun := time.Now()
	g, err := gateway.New(gateway.Options{
		Config: gateway.Config{Keys: []gateway.Key{{Name: "all", Key: shopKey, Apps: []string{"*"}, Scopes: []string{"*"}}}},
		Store:  new(store.Memory), Records: &store.Sealed{Store: records, KeyRing: keys}, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Logf("New takes %s", time.Since(begun).Round(10*time.Microsecond))
	require.Zero(t, records.calls.Load(), "New reads nothing")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	most := 0
	for begun = time.Now(); time.Since(begun) < 2*time.Second; time.Sleep(10 * time.Millisecond) {
		most = max(most, runtime.NumGoroutine()-goroutines)
		read := records.entries.Load()
		require.LessOrEqual(t, read, int64(50*time.Since(begun).Seconds())+17, "apps are read when they are visited")
	}
	require.Less(t, most, 200, "goroutines")
	require.LessOrEqual(t, records.lists.Load(), int64(256))
	require.Less(t, records.calls.Load()-records.entries.Load()-records.lists.Load(), int64(60), "all other reads")
	cancel()
	<-ended
	t.Logf("in 2 s: %d lists and %d apps read, %d other calls, %d goroutines more", records.lists.Load(), records.entries.Load(), records.calls.Load()-records.entries.Load()-records.lists.Load(), most)
	for i := range 100 {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", fmt.Sprintf("/app/app%d/token", i*(apps/100)), nil)
		r.Header.Set("Authorization", "Bearer "+shopKey)
		g.Private().ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
	}
}

// serveManyApps measures the start and the memory of a server.
func serveManyApps(t *testing.T, apps int, url string, env []string, wx *wechattest.Server) {
	srv := httptest.NewServer(wx)
	defer srv.Close()
	config := fmt.Sprintf("endpoints: {api: %q}\nkeys: [{name: test, key: %s, apps: ['*'], scopes: ['*']}]\nkeep_rate: %d\nresident_apps: 20000\n", srv.URL, shopKey, *appsRate)
	begun := time.Now()
	p := start(t, env, "-config", write(t, config), "-store", url)
	ready := time.Since(begun)
	status, body := p.ask(t, fmt.Sprintf("/app/app%d/token", apps-1))
	require.Equal(t, http.StatusOK, status, body)
	first := memoryOf(t, p)
	time.Sleep(*appsWatched)
	t.Logf("%d apps: ready after %s; %d MB of memory then, %d MB after %s at keep_rate %d; %d tokens fetched",
		apps, ready.Round(time.Millisecond), first>>20, memoryOf(t, p)>>20, *appsWatched, *appsRate, wx.Calls("/cgi-bin/stable_token"))
	p.kill()
}

// memoryOf returns the resident memory of a process, where the system has a /proc.
func memoryOf(t *testing.T, p *process) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Logf("no memory is measured: %v", err)
		return 0
	}
	for line := range bytes.Lines(b) {
		if kb, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(kb), []byte("kB")))), 10, 64)
			require.NoError(t, err)
			return n << 10
		}
	}
	return 0
}
