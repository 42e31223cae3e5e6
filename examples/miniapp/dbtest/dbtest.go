// Package dbtest opens new databases for the tests of this program.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/store"
	"github.com/wetoken/wetoken/internal/needed"
)

// SQLite opens a new SQLite file.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "miniapp.db"))
}

// MariaDB opens a new database of MariaDB. Without a server the test is skipped.
func MariaDB(t testing.TB) *store.DB {
	t.Helper()
	return open(t, MariaDBName(t))
}

func open(t testing.TB, name string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// MariaDBName creates a database that is dropped when the test ends, and returns its data source name.
func MariaDBName(t testing.TB) string {
	t.Helper()
	server := needed.Address(t, "WETOKEN_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test", func(dsn string) error {
		db, err := sql.Open("mysql", dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(t.Context())
	})
	config, err := mysql.ParseDSN(server)
	require.NoError(t, err)
	db, err := sql.Open("mysql", server)
	require.NoError(t, err)
	config.DBName = "miniapp_" + strings.ToLower(rand.Text())
	_, err = db.ExecContext(t.Context(), "CREATE DATABASE "+config.DBName+" CHARACTER SET utf8mb4")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), "DROP DATABASE "+config.DBName)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	})
	return config.FormatDSN()
}
