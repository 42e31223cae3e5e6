// Package store keeps accounts and orders in SQLite or MariaDB. Every value reaches SQL as a parameter.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/wetoken/wetoken/store/sqlstore"
)

// DB is a database. It implements the interfaces Store of packages account and order. Several processes may use one; an SQLite
// file must be on their local disk.
type DB struct {
	*sql.DB
	Dialect sqlstore.Dialect
}

// Open opens a database and applies the migrations that it lacks. The name is that of an SQLite file, or a data source name of
// MariaDB such as user:password@tcp(127.0.0.1:3306)/miniapp.
func Open(ctx context.Context, name string) (*DB, error) {
	open := openSQLite
	if strings.Contains(name, "@") || strings.Contains(name, ")/") {
		open = openMariaDB
	}
	db, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: migrate: %w", err), db.Close())
	}
	return db, nil
}

// openSQLite opens a file, which it creates for its owner alone: it has phone numbers.
func openSQLite(name string) (*DB, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
	} else if errors.Is(err, fs.ErrExist) { // opening it here would end the locks of others when it is closed
		err = nil
	}
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: name}).EscapedPath()}
	u.RawQuery = url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(1)"},
		"_txlock": {"immediate"}, // a transaction that begins by reading could not write later
	}.Encode()
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	return &DB{db, sqlstore.SQLite}, nil
}

func openMariaDB(name string) (*DB, error) {
	config, err := mysql.ParseDSN(name)
	if err != nil { // err may have the password
		return nil, errors.New("invalid -db: want the name of an SQLite file, or user:password@tcp(host:3306)/database")
	}
	config.Timeout, config.ReadTimeout, config.WriteTimeout = 5*time.Second, 60*time.Second, 10*time.Second
	config.ClientFoundRows = true // rows that a statement matched, as SQLite counts them
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(10)
	db.SetMaxIdleConns(10)
	db.SetConnMaxIdleTime(time.Minute)
	return &DB{db, sqlstore.MySQL}, nil
}

// maxTries bounds the repetitions of a transaction that loses against others.
const maxTries = 10

// inTx runs do in a transaction. It runs do again if another process was faster: it added the same row, or held locks that both need.
func (db *DB) inTx(ctx context.Context, do func(tx *sql.Tx) error) error {
	for try := 1; ; try++ {
		err := db.tryTx(ctx, do)
		if err == nil || !isConflict(err) || try == maxTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(time.Duration(try) * 10 * time.Millisecond)):
		}
	}
}

func (db *DB) tryTx(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// isConflict reports whether a transaction failed because of another one: a duplicate key, a deadlock or a lock that was held for long.
func isConflict(err error) bool {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return my.Number == 1062 || my.Number == 1213 || my.Number == 1205
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() {
		case sqlitelib.SQLITE_CONSTRAINT_UNIQUE, sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY:
			return true
		}
		return lite.Code()&0xff == sqlitelib.SQLITE_BUSY
	}
	return false
}

// forUpdate locks the selected rows. SQLite reads it as a comment: its transactions lock the whole database.
const forUpdate = " /*! FOR UPDATE */"

// millis and instant convert a time to and from a column. The zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// orNull returns NULL for an empty text, of which a unique column may have many.
func orNull(text string) sql.NullString { return sql.NullString{String: text, Valid: text != ""} }
