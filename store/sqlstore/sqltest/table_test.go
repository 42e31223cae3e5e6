package sqltest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store/sqlstore"
)

func TestSweepDeletesTheExpiredAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := d.store(t, d.open(t))
		// More than a page of each, written at once: one statement each would take the test's time.
		rows := func(key string, n int, expires string) {
			t.Helper()
			var values []string
			for i := range n {
				hex := fmt.Sprintf("%x", fmt.Sprint(key, i))
				literal := map[sqlstore.Dialect]string{
					sqlstore.SQLite: "X'" + hex + "'", sqlstore.MySQL: "X'" + hex + "'", sqlstore.Postgres: `'\x` + hex + "'",
				}[d.dialect]
				values = append(values, "("+literal+", "+literal+", "+expires+")")
			}
			_, err := s.DB.ExecContext(t.Context(), "INSERT INTO "+s.Table+" (k, v, expires) VALUES "+strings.Join(values, ", "))
			require.NoError(t, err)
		}
		rows("expired/", 1700, "1700000000000")
		rows("live/", 700, "4100000000000")
		require.NoError(t, s.Set(t.Context(), "ever", []byte("v"), 0))

		n := 0
		for key, err := range s.Keys(t.Context(), "") {
			require.NoError(t, err)
			require.NotContains(t, key, "expired")
			n++
		}
		require.Equal(t, 701, n, "Keys goes on after a page")

		swept, err := s.Sweep(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, swept, int64(1200), "writes sweep a page now and then")
		require.LessOrEqual(t, swept, int64(1700))
		require.Equal(t, 701, count(t, s))
		swept, err = s.Sweep(t.Context())
		require.NoError(t, err)
		require.Zero(t, swept)
	})
}

// count returns the number of rows in the table, including expired ones.
func count(t *testing.T, s *sqlstore.Store) (n int) {
	t.Helper()
	require.NoError(t, s.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+s.Table).Scan(&n))
	return n
}

func TestWritesSweepNowAndThen(t *testing.T) {
	d := sqlite(t)
	s := d.store(t, d.open(t))
	for i := range 3000 {
		require.NoError(t, s.Set(t.Context(), fmt.Sprint("k/", i), []byte("v"), time.Nanosecond))
	}
	// One write in a hundred sweeps: two thousand in a row do not sweep once in five hundred million runs.
	require.Less(t, count(t, s), 2000)
}

func TestLongValues(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := d.store(t, d.open(t))
		s.Timeout = time.Minute // the limit of a value is tested, not the speed of a disk
		value := make([]byte, 15<<20)
		_, err := rand.Read(value)
		require.NoError(t, err)
		if d.dialect == sqlstore.MySQL {
			value = value[:6<<20] // max_allowed_packet is 16 MiB by default, and Swap sends two values
		}
		require.NoError(t, s.Set(t.Context(), "k", value, time.Hour))
		other := bytes.Clone(value)
		other[len(other)-1]++
		swapped, err := s.Swap(t.Context(), "k", other, value, time.Hour)
		require.NoError(t, err)
		require.False(t, swapped)
		swapped, err = s.Swap(t.Context(), "k", value, other[:5<<20], time.Hour)
		require.NoError(t, err)
		require.True(t, swapped)
		got, ok, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, ok)
		require.True(t, bytes.Equal(other[:5<<20], got))
	})
}

func TestKeysAndValuesBeyondTheLimitsAreRefused(t *testing.T) {
	d := sqlite(t)
	s := d.store(t, d.open(t))
	for _, key := range []string{"", strings.Repeat("k", 513)} {
		_, _, err := s.Get(t.Context(), key)
		require.ErrorContains(t, err, "must have 1 to 512")
		require.ErrorContains(t, s.Set(t.Context(), key, nil, 0), "must have 1 to 512")
		_, err = s.Swap(t.Context(), key, nil, []byte("v"), 0)
		require.ErrorContains(t, err, "must have 1 to 512")
		require.ErrorContains(t, s.Delete(t.Context(), key), "must have 1 to 512")
	}
	huge := make([]byte, 16<<20)
	require.ErrorContains(t, s.Set(t.Context(), "k", huge, 0), "may have 16777215")
	_, err := s.Swap(t.Context(), "k", nil, huge, 0)
	require.ErrorContains(t, err, "may have 16777215")
}

func TestKeysOfInvalidUTF8(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := d.store(t, d.open(t))
		all := []string{"a", "a\x00", "a\x00b", "\xff", "\xff\xff", "\xfe\xff", "\xff\x00", "b\xff\xff", "c", strings.Repeat("\xff", 512)}
		for _, key := range all {
			require.NoError(t, s.Set(t.Context(), key, []byte(key), 0))
		}
		for _, prefix := range append(all, "", "\xfe", "b", "b\xff") {
			var want, got []string
			for _, key := range all {
				if strings.HasPrefix(key, prefix) {
					want = append(want, key)
				}
			}
			for key, err := range s.Keys(t.Context(), prefix) {
				require.NoError(t, err)
				got = append(got, key)
			}
			require.ElementsMatch(t, want, got, "prefix %q", prefix)
		}
	})
}

func TestLivesAreTheSameInEveryTimeZone(t *testing.T) {
	for name, zones := range map[string][]string{
		"MySQL":    {"time_zone=%27-11%3A00%27", "time_zone=%27%2B13%3A00%27", "time_zone=%27%2B08%3A00%27&loc=Asia%2FShanghai&parseTime=true"},
		"Postgres": {"timezone=Pacific/Midway", "timezone=Pacific/Auckland", "timezone=Asia/Shanghai"},
	} {
		t.Run(name, func(t *testing.T) {
			d := map[string]func(testing.TB) database{"MySQL": mysql, "Postgres": postgres}[name](t)
			home := d.store(t, d.open(t))
			var all []*sqlstore.Store
			for _, zone := range zones {
				there := d
				there.dsn = with(d.dsn, zone)
				all = append(all, &sqlstore.Store{DB: there.open(t), Dialect: d.dialect, Table: home.Table})
			}
			for i, writer := range all {
				require.NoError(t, writer.Set(t.Context(), fmt.Sprint("live/", i), []byte("v"), time.Minute))
				require.NoError(t, writer.Set(t.Context(), fmt.Sprint("expired/", i), []byte("v"), time.Nanosecond))
			}
			for i := range all {
				waitGone(t, home, fmt.Sprint("expired/", i))
				for _, reader := range all {
					_, ok, err := reader.Get(t.Context(), fmt.Sprint("live/", i))
					require.NoError(t, err)
					require.True(t, ok)
					_, ok, err = reader.Get(t.Context(), fmt.Sprint("expired/", i))
					require.NoError(t, err)
					require.False(t, ok)
				}
			}
		})
	}
}

func TestExpiryIsUnixTimeByTheDatabasesClock(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := d.store(t, d.open(t))
		require.NoError(t, s.Set(t.Context(), "k", []byte("v"), time.Hour))
		var expires int64
		require.NoError(t, s.DB.QueryRowContext(t.Context(), "SELECT expires FROM "+s.Table).Scan(&expires))
		// The databases of the tests run on this machine, so its clock is theirs.
		require.WithinDuration(t, time.Now().Add(time.Hour), time.UnixMilli(expires), time.Minute)
	})
}

func TestTableMayNameItsSchema(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := &sqlstore.Store{DB: d.open(t), Dialect: d.dialect, Table: d.schema + ".t_" + strings.ToLower(rand.Text())}
		require.NoError(t, s.Migrate(t.Context()))
		t.Cleanup(func() { _, _ = s.DB.ExecContext(context.Background(), "DROP TABLE "+s.Table) })
		require.NoError(t, s.Migrate(t.Context()))
		for range 2 {
			_, err := s.Swap(t.Context(), "k", nil, []byte("v"), time.Nanosecond)
			require.NoError(t, err)
			waitGone(t, s, "k")
		}
		_, err := s.Sweep(t.Context())
		require.NoError(t, err)
	})
}

func TestMigrateDoesNotChangeAForeignTable(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := &sqlstore.Store{DB: d.open(t), Dialect: d.dialect, Table: "others_" + strings.ToLower(rand.Text())}
		_, err := s.DB.ExecContext(t.Context(), "CREATE TABLE "+s.Table+" (id INTEGER, expires INTEGER)")
		require.NoError(t, err)
		t.Cleanup(func() { _, _ = s.DB.ExecContext(context.Background(), "DROP TABLE "+s.Table) })
		_, err = s.DB.ExecContext(t.Context(), "INSERT INTO "+s.Table+" VALUES (1, 1)")
		require.NoError(t, err)
		require.ErrorContains(t, s.Migrate(t.Context()), "has other columns")
		require.Equal(t, 1, count(t, s))
	})
}

func TestMissingTableIsAnErrorAndNeverAMiss(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := &sqlstore.Store{DB: d.open(t), Dialect: d.dialect, Table: "missing_" + strings.ToLower(rand.Text())}
		_, ok, err := s.Get(t.Context(), "k")
		require.ErrorContains(t, err, "sqlstore: get: ")
		require.False(t, ok)
		for _, err := range s.Keys(t.Context(), "") {
			require.ErrorContains(t, err, "sqlstore: keys: ")
		}
	})
}
