package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store/sqlstore"
)

var update = flag.Bool("update", false, "write testdata/*.golden")

var dialects = []sqlstore.Dialect{sqlstore.SQLite, sqlstore.MySQL, sqlstore.Postgres, sqlstore.Oracle}

// TestStatements compares the statements of each dialect, and their arguments, with a golden file.
func TestStatements(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			var out strings.Builder
			job := func(name string, do func(s *sqlstore.Store) error, answers ...answer) {
				s, f := open(t, d, answers...)
				require.NoError(t, do(s))
				fmt.Fprintf(&out, "-- %s\n%s\n\n", name, strings.Join(f.said(), "\n"))
			}
			swap := func(old, new []byte, ttl time.Duration) func(s *sqlstore.Store) error {
				return func(s *sqlstore.Store) error {
					_, err := s.Swap(t.Context(), "key", old, new, ttl)
					return err
				}
			}
			job("Get", func(s *sqlstore.Store) error {
				_, _, err := s.Get(t.Context(), "key")
				return err
			})
			job("Set for 1.5 s", func(s *sqlstore.Store) error {
				return s.Set(t.Context(), "key", []byte("value"), 1500*time.Millisecond)
			})
			job("Set of an empty value, for ever", func(s *sqlstore.Store) error {
				return s.Set(t.Context(), "key", nil, 0)
			})
			job("Set where there is no row", func(s *sqlstore.Store) error {
				return s.Set(t.Context(), "key", []byte("value"), time.Nanosecond)
			}, answer{}, answer{changed: 1})
			job("Swap nil for a value", swap(nil, []byte("new"), time.Hour))
			job("Swap nil for a value where there is a row", swap(nil, []byte("new"), time.Hour), answer{}, answer{}, answer{})
			job("Swap a value for a value", swap([]byte("old"), []byte("new"), time.Hour))
			job("Swap a value for a value, its life kept", swap([]byte("old"), []byte("new"), -1))
			job("Swap a value for nil", swap([]byte("old"), nil, 0))
			job("Swap an empty value for nil", swap([]byte{}, nil, 0))
			job("Swap nil for nil", swap(nil, nil, 0))
			job("Delete", func(s *sqlstore.Store) error { return s.Delete(t.Context(), "key") })
			list := func(prefix string) func(s *sqlstore.Store) error {
				return func(s *sqlstore.Store) error {
					for _, err := range s.Keys(t.Context(), prefix) {
						require.NoError(t, err)
					}
					return nil
				}
			}
			job("Keys", list("token/"))
			job("Keys of all", list(""))
			s, f := open(t, d, answer{changed: 0})
			_, err := s.Sweep(t.Context())
			require.NoError(t, err)
			fmt.Fprintf(&out, "-- Sweep\n%s\n\n", strings.Join(f.asked, "\n"))
			job("Migrate", func(s *sqlstore.Store) error { return s.Migrate(t.Context()) })

			file := "testdata/" + strings.ToLower(d.String()) + ".golden"
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, []byte(out.String()), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), out.String(), "if this is meant: go test ./store/sqlstore -update")
		})
	}
}

// state is an error of PostgreSQL's drivers.
type state string

func (s state) Error() string    { return "SQLSTATE " + string(s) }
func (s state) SQLState() string { return string(s) }

func TestContendedStatementIsRepeated(t *testing.T) {
	for _, err := range []error{
		state("40001"), state("40P01"), fmt.Errorf("exec: %w", state("40P01")),
		errors.New("Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction"),
		errors.New("Error 1020 (HY000): Record has changed since last read in table 'wetoken_store'"),
		errors.New("database is locked (5) (SQLITE_BUSY)"), errors.New("ORA-00060"),
	} {
		s, f := open(t, sqlstore.MySQL, answer{err: err}, answer{err: err}, answer{changed: 1})
		swapped, got := s.Swap(t.Context(), "k", []byte("old"), []byte("new"), 0)
		require.NoError(t, got)
		require.True(t, swapped)
		require.Len(t, f.said(), 3)
	}
}

func TestStatementThatMayHaveHappenedIsNotRepeated(t *testing.T) {
	for _, err := range []error{errors.New("i/o timeout"), errors.New("unexpected EOF"), state("57P01"), context.DeadlineExceeded} {
		s, f := open(t, sqlstore.Postgres, answer{err: err})
		swapped, got := s.Swap(t.Context(), "k", []byte("old"), []byte("new"), 0)
		require.ErrorIs(t, got, err)
		require.ErrorContains(t, got, "sqlstore: swap: ")
		require.False(t, swapped)
		require.Len(t, f.said(), 1)
	}
}

func TestStatementThatStaysContendedReturnsItsError(t *testing.T) {
	lost := make([]answer, 100)
	for i := range lost {
		lost[i].err = state("40P01")
	}
	s, f := open(t, sqlstore.Postgres, lost...)
	require.ErrorIs(t, s.Set(t.Context(), "k", nil, 0), state("40P01"))
	require.Len(t, f.said(), 20)
}

func TestDatabaseThatHangsIsWaitedForTwoSeconds(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, s *sqlstore.Store) error{
		"Get":    func(ctx context.Context, s *sqlstore.Store) error { _, _, err := s.Get(ctx, "key"); return err },
		"Set":    func(ctx context.Context, s *sqlstore.Store) error { return s.Set(ctx, "key", nil, time.Hour) },
		"Delete": func(ctx context.Context, s *sqlstore.Store) error { return s.Delete(ctx, "key") },
		"Sweep":  func(ctx context.Context, s *sqlstore.Store) error { _, err := s.Sweep(ctx); return err },
		"Swap": func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.Swap(ctx, "key", nil, []byte("new"), time.Hour)
			return err
		},
		"Keys": func(ctx context.Context, s *sqlstore.Store) (err error) {
			for _, err = range s.Keys(ctx, "") {
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, f := open(t, sqlstore.Postgres)
				f.hung = true
				begun := time.Now()
				require.ErrorIs(t, call(t.Context(), s), context.DeadlineExceeded)
				require.Equal(t, 2*time.Second, time.Since(begun))
				s.Timeout = time.Minute
				require.ErrorIs(t, call(t.Context(), s), context.DeadlineExceeded)
				require.Equal(t, 62*time.Second, time.Since(begun))
				require.NoError(t, s.DB.Close())
			})
		})
	}
}

func TestErrorIsNeverAMiss(t *testing.T) {
	broken := errors.New("no connection")
	for _, d := range dialects {
		s, _ := open(t, d, answer{err: broken}, answer{err: broken}, answer{err: broken})
		value, ok, err := s.Get(t.Context(), "k")
		require.ErrorIs(t, err, broken)
		require.False(t, ok)
		require.Nil(t, value)
		_, err = s.Swap(t.Context(), "k", nil, nil, 0)
		require.ErrorIs(t, err, broken)
		n := 0
		for _, err := range s.Keys(t.Context(), "") {
			require.ErrorIs(t, err, broken)
			n++
		}
		require.Equal(t, 1, n)
	}
}

func TestOracleEmptyValueIsNoMiss(t *testing.T) {
	s, _ := open(t, sqlstore.Oracle, answer{rows: []any{nil}}) // an empty BLOB comes back as NULL
	value, ok, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []byte{}, value)
}

func TestOracleRowMadeMeanwhileIsNoError(t *testing.T) {
	exists := errors.New("ORA-00001: unique constraint (W.SYS_C0012) violated")
	s, f := open(t, sqlstore.Oracle, answer{}, answer{err: exists}, answer{changed: 1})
	require.NoError(t, s.Set(t.Context(), "k", []byte("v"), 0))
	require.Len(t, f.said(), 3, "update, insert, and update what was made meanwhile")

	s, f = open(t, sqlstore.Oracle, answer{err: exists}, answer{rows: []any{}}, answer{changed: 1}, answer{changed: 1})
	swapped, err := s.Swap(t.Context(), "k", nil, []byte("v"), 0)
	require.NoError(t, err)
	require.True(t, swapped, "what was there had expired")
	require.Len(t, f.said(), 4)

	s, _ = open(t, sqlstore.Oracle, answer{err: exists}, answer{}, answer{}, answer{err: exists})
	swapped, err = s.Swap(t.Context(), "k", nil, []byte("v"), 0)
	require.NoError(t, err)
	require.False(t, swapped, "another made it meanwhile")

	s, f = open(t, sqlstore.Oracle, answer{err: exists}, answer{rows: []any{[]byte("alive")}})
	swapped, err = s.Swap(t.Context(), "k", nil, []byte("v"), 0)
	require.NoError(t, err)
	require.False(t, swapped)
	require.Len(t, f.said(), 2, "what is alive is found in two statements")
}

func TestOracleMigrateAcceptsAnExistingTable(t *testing.T) {
	there := errors.New("ORA-00955: name is already used by an existing object")
	s, _ := open(t, sqlstore.Oracle, answer{err: there}, answer{err: there})
	require.NoError(t, s.Migrate(t.Context()))
	s, _ = open(t, sqlstore.Oracle, answer{err: there}, answer{err: there}, answer{err: errors.New("ORA-00904: invalid identifier")})
	require.ErrorContains(t, s.Migrate(t.Context()), "ORA-00955")
}

func TestStoreNamesAnInvalidField(t *testing.T) {
	good, _ := open(t, sqlstore.SQLite)
	for want, s := range map[string]*sqlstore.Store{
		"DB is nil":           {Dialect: sqlstore.SQLite},
		"invalid Dialect":     {DB: good.DB},
		"invalid Table: want": {DB: good.DB, Dialect: sqlstore.SQLite, Table: "t; DROP TABLE t"},
	} {
		_, _, err := s.Get(t.Context(), "k")
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, s.Set(t.Context(), "k", nil, 0), want)
		require.ErrorContains(t, s.Migrate(t.Context()), want)
		_, err = s.Sweep(t.Context())
		require.ErrorContains(t, err, want)
		for _, err := range s.Keys(t.Context(), "") {
			require.ErrorContains(t, err, want)
		}
	}
	for _, table := range []string{"t", "a.b", "A_1", "_x", strings.Repeat("t", 55)} {
		s := &sqlstore.Store{DB: good.DB, Dialect: sqlstore.SQLite, Table: table}
		require.NoError(t, s.Migrate(t.Context()), table)
	}
	for _, table := range []string{"1t", "a.b.c", ".t", "t.", "t-t", `"t"`, "t t", "té", strings.Repeat("t", 56)} {
		s := &sqlstore.Store{DB: good.DB, Dialect: sqlstore.SQLite, Table: table}
		require.ErrorContains(t, s.Migrate(t.Context()), "invalid Table", table)
	}
}

func FuzzKeysRange(f *testing.F) {
	f.Add("token/", "token/wx0123")
	f.Add("\xff\xff", "\xff\xff\xff")
	f.Add("a\xff", "b")
	f.Add("", "\x00")
	f.Fuzz(func(t *testing.T, prefix, key string) {
		if len(prefix) > 512 || len(key) == 0 || len(key) > 512 {
			return
		}
		from, to := sqlstore.Range(prefix)
		in := bytes.Compare([]byte(key), from) >= 0 && bytes.Compare([]byte(key), to) < 0
		require.Equal(t, strings.HasPrefix(key, prefix), in, "%q, %q: from %q to %q", prefix, key, from, to)
	})
}
