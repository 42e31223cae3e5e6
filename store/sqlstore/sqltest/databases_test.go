package sqltest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/wetoken/wetoken/internal/needed"
	"github.com/wetoken/wetoken/store/sqlstore"
)

// database is a database for tests.
type database struct {
	dialect sqlstore.Dialect
	driver  string
	dsn     string
	schema  string // the schema of its tables
}

// open opens a new pool.
func (d database) open(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.driver, d.dsn)
	require.NoError(t, err)
	if strings.Contains(d.dsn, ":memory:") {
		db.SetMaxOpenConns(1)
	}
	db.SetMaxIdleConns(8)
	t.Cleanup(func() { db.Close() })
	return db
}

// store returns a store in db whose table is dropped when t ends.
func (d database) store(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	s := &sqlstore.Store{DB: db, Dialect: d.dialect, Table: "t_" + strings.ToLower(rand.Text())}
	require.NoError(t, s.Migrate(t.Context()))
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), "DROP TABLE "+s.Table)
		require.NoError(t, err)
	})
	return s
}

const pragmas = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"

func sqlite(t testing.TB) database {
	file := filepath.Join(t.TempDir(), "wetoken.db")
	return database{dialect: sqlstore.SQLite, driver: "sqlite", dsn: "file:" + file + pragmas, schema: "main"}
}

func mysql(t testing.TB) database {
	dsn := needed.Address(t, "WETOKEN_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test", reach(t, "mysql"))
	return database{dialect: sqlstore.MySQL, driver: "mysql", dsn: dsn, schema: "test"}
}

func postgres(t testing.TB) database {
	dsn := needed.Address(t, "WETOKEN_TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test?sslmode=disable", reach(t, "pgx"))
	return database{dialect: sqlstore.Postgres, driver: "pgx", dsn: dsn, schema: "public"}
}

func reach(t testing.TB, driver string) func(string) error {
	return func(dsn string) error {
		db, err := sql.Open(driver, dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(t.Context())
	}
}

// each runs a test on each database.
func each(t *testing.T, test func(t *testing.T, d database)) {
	for name, find := range map[string]func(testing.TB) database{"SQLite": sqlite, "MySQL": mysql, "Postgres": postgres} {
		t.Run(name, func(t *testing.T) { test(t, find(t)) })
	}
}

// with adds parameters to a DSN.
func with(dsn, parameters string) string {
	if strings.Contains(dsn, "?") {
		return dsn + "&" + parameters
	}
	return dsn + "?" + parameters
}
