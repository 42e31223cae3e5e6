// Package store keeps a shop in SQLite or MariaDB. Every value reaches SQL as a parameter.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/store/sqlstore"
)

// Store implements shop.Store. Several processes may use one database; an SQLite file must be on their local disk.
type Store struct {
	DB      *sql.DB
	Dialect sqlstore.Dialect
}

// Open opens a database and applies the migrations that it lacks. The name is that of an SQLite file, or a data source name of
// MariaDB such as user:password@tcp(127.0.0.1:3306)/letao.
func Open(ctx context.Context, name string) (*Store, error) {
	s, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	err = s.migrate(ctx)
	// The change of a new file to WAL does not wait for another process that makes it, whatever busy_timeout is.
	for until := time.Now().Add(10 * time.Second); isBusy(err) && time.Now().Before(until); err = s.migrate(ctx) {
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		_ = s.DB.Close()
		return nil, fmt.Errorf("store: migrate: %w", err)
	}
	return s, nil
}

func open(name string) (*Store, error) {
	if !strings.Contains(name, "@") && !strings.Contains(name, ")/") {
		u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: name}).EscapedPath()}
		u.RawQuery = url.Values{
			"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)"},
			"_txlock": {"immediate"}, // a transaction that begins by reading could not write later
		}.Encode()
		// Users of this machine other than the owner cannot read it. An existing file is not opened here, since closing it would end the locks of
		// other connections of this process.
		if file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
			_ = file.Close()
		} else if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		db, err := sql.Open("sqlite", u.String())
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1) // callers wait in turn here, and not at random for SQLite's lock
		return &Store{DB: db, Dialect: sqlstore.SQLite}, nil
	}
	config, err := mysql.ParseDSN(name)
	if err != nil {
		return nil, errors.New("invalid data source name: want user:password@tcp(host:3306)/database") // err may have the password
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
	return &Store{DB: db, Dialect: sqlstore.MySQL}, nil
}

// isBusy reports whether another process holds SQLite's lock.
func isBusy(err error) bool { return err != nil && strings.Contains(err.Error(), "SQLITE_BUSY") }

// exec runs a statement that may match no row.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) error {
	if _, err := s.DB.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return nil
}

// within runs work in a transaction, again if MariaDB chose it to end a deadlock, or if another one changed what it read.
func (s *Store) within(ctx context.Context, what string, work func(*sql.Tx) error) error {
	for try := 1; ; try++ {
		err := s.try(ctx, work)
		var my *mysql.MySQLError
		if err == nil || errors.Is(err, shop.ErrState) {
			return err
		}
		if try == 5 || !errors.As(err, &my) || my.Number != 1213 && my.Number != 1020 {
			return fmt.Errorf("store: %s: %w", what, err)
		}
	}
}

func (s *Store) try(ctx context.Context, work func(*sql.Tx) error) error {
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// change runs a statement, and reports whether it matched a row.
func change(ctx context.Context, tx *sql.Tx, query string, args ...any) (bool, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// notFound returns shop.ErrNotFound for a missing row.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return shop.ErrNotFound
	}
	return err
}

// isDuplicate reports whether a row was refused because a unique column has its value already.
func isDuplicate(err error) bool {
	var my *mysql.MySQLError
	var lite *sqlite.Error
	return errors.As(err, &my) && my.Number == 1062 ||
		errors.As(err, &lite) && (lite.Code() == sqlitelib.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY)
}

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
