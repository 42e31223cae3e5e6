package sqltest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/sqlstore"
)

func TestEightNodesMayMigrateAtOnce(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		for round := range 3 {
			table := fmt.Sprintf("migrate_%d_%d", time.Now().UnixNano(), round)
			first := d.open(t)
			t.Cleanup(func() {
				_, err := first.ExecContext(context.Background(), "DROP TABLE "+table)
				require.NoError(t, err)
			})
			var nodes sync.WaitGroup
			start := make(chan struct{})
			for node := range 8 {
				s := &sqlstore.Store{DB: d.open(t), Dialect: d.dialect, Table: table}
				nodes.Go(func() {
					<-start
					for range 2 { // and again
						if err := s.Migrate(t.Context()); err != nil {
							t.Errorf("node %d: %v", node, err)
						}
						if err := s.Set(t.Context(), fmt.Sprint("node/", node), []byte("v"), time.Hour); err != nil {
							t.Errorf("node %d: %v", node, err)
						}
					}
				})
			}
			close(start)
			nodes.Wait()
			n := 0
			for _, err := range (&sqlstore.Store{DB: first, Dialect: d.dialect, Table: table}).Keys(t.Context(), "node/") {
				require.NoError(t, err)
				n++
			}
			require.Equal(t, 8, n)
		}
	})
}

func TestLeaseIsHeldByOneOfManyConnections(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := d.store(t, d.open(t))
		var held, most, taken atomic.Int32
		var workers sync.WaitGroup
		for worker := range 16 {
			workers.Go(func() {
				for range 15 {
					l, ok, err := store.TryLease(t.Context(), s, "lease", time.Hour)
					if err != nil {
						t.Errorf("worker %d: %v", worker, err)
						return
					}
					if !ok {
						continue
					}
					if now := held.Add(1); now > most.Load() {
						most.Store(now)
					}
					taken.Add(1)
					held.Add(-1)
					if err := l.Release(t.Context()); err != nil {
						t.Errorf("worker %d: %v", worker, err)
						return
					}
				}
			})
		}
		workers.Wait()
		require.EqualValues(t, 1, most.Load())
		require.Positive(t, taken.Load())
	})
}

func TestExpiredKeyGoesToOneWhileOthersSweep(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := d.store(t, d.open(t))
		for range 10 {
			require.NoError(t, s.Set(t.Context(), "code", []byte("old"), time.Nanosecond))
			waitGone(t, s, "code")
			var won atomic.Int32
			var all sync.WaitGroup
			for i := range 12 {
				all.Go(func() {
					var ok bool
					var err error
					if i%3 == 0 {
						_, err = s.Sweep(t.Context())
					} else {
						ok, err = s.Swap(t.Context(), "code", nil, []byte(strconv.Itoa(i)), time.Hour)
					}
					if err != nil {
						t.Error(err)
					}
					if ok {
						won.Add(1)
					}
				})
			}
			all.Wait()
			require.EqualValues(t, 1, won.Load())
			_, ok, err := s.Get(t.Context(), "code")
			require.NoError(t, err)
			require.True(t, ok, "a sweep took what had just been made live")
		}
	})
}

// TestProcessesShareOneFile runs four processes that count in one SQLite file, each step by Swap.
func TestProcessesShareOneFile(t *testing.T) {
	const processes, steps = 4, 50
	d := sqlite(t)
	s := &sqlstore.Store{DB: d.open(t), Dialect: d.dialect}
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.Set(t.Context(), "count", []byte("0"), 0))
	self, err := os.Executable()
	require.NoError(t, err)
	var all sync.WaitGroup
	for process := range processes {
		all.Go(func() {
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestOneProcessOfMany$", "-test.v")
			cmd.Env = append(os.Environ(), "SQLTEST_DSN="+d.dsn, "SQLTEST_STEPS="+strconv.Itoa(steps))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v\n%s", process, err, out)
			}
		})
	}
	all.Wait()
	value, _, err := s.Get(t.Context(), "count")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(processes*steps), string(value))
	value, _, err = s.Get(t.Context(), "winners")
	require.NoError(t, err)
	require.Equal(t, "1", string(value), "one process took the lease")
}

// TestOneProcessOfMany does nothing unless TestProcessesShareOneFile runs it.
func TestOneProcessOfMany(t *testing.T) {
	dsn := os.Getenv("SQLTEST_DSN")
	if dsn == "" {
		return
	}
	steps, err := strconv.Atoi(os.Getenv("SQLTEST_STEPS"))
	require.NoError(t, err)
	d := database{dialect: sqlstore.SQLite, driver: "sqlite", dsn: dsn}
	s := &sqlstore.Store{DB: d.open(t), Dialect: d.dialect}
	require.NoError(t, s.Migrate(t.Context()))
	raise := func(key string) {
		for swapped := false; !swapped; {
			old, ok, err := s.Get(t.Context(), key)
			require.NoError(t, err)
			n := 0
			if ok {
				n, err = strconv.Atoi(string(old))
				require.NoError(t, err)
			}
			swapped, err = s.Swap(t.Context(), key, old, []byte(strconv.Itoa(n+1)), 0)
			require.NoError(t, err)
		}
	}
	if _, ok, err := store.TryLease(t.Context(), s, "lease", time.Hour); ok {
		raise("winners")
	} else {
		require.NoError(t, err)
	}
	for range steps {
		raise("count")
	}
}

// waitGone waits until key has expired.
func waitGone(t *testing.T, s store.Store, key string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); ; <-tick.C {
		_, ok, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		if !ok {
			return
		}
		require.Less(t, time.Since(begin), 10*time.Second)
	}
}
