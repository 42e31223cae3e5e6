// Package sqlstore keeps a [store.Store] in a table of an SQL database: SQLite, MySQL or MariaDB, PostgreSQL, Oracle.
// It uses database/sql alone; the application brings the driver.
//
//	db, err := sql.Open("pgx", "postgres://…")
//	if err != nil {
//		return err
//	}
//	s := &sqlstore.Store{DB: db, Dialect: sqlstore.Postgres}
//	if err := s.Migrate(ctx); err != nil {
//		return err
//	}
//
// Lives are told by the database's clock, so processes whose clocks differ agree. Each statement has its Timeout; where a
// driver does not heed the context, set its own limits too.
//
// # SQLite
//
// Several processes may share one file on a local disk. Open it with a busy timeout and a write-ahead log, as in
// file:wetoken.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL) for modernc.org/sqlite; and a :memory: database
// with SetMaxOpenConns(1), since each connection has its own.
//
// # MySQL and MariaDB
//
// Any setting of the driver's clientFoundRows, interpolateParams and loc will do. The server's max_allowed_packet must
// have room for two values, since Swap sends both.
//
// # PostgreSQL
//
// Version 9.5 or later.
//
// # Oracle
//
// Version 12c or later. Its statements are tested as text and with the driver's own reader, and have been run against
// no Oracle server.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
	"time"

	"github.com/wetoken/wetoken/store"
)

// Store is a [store.Store] in one table. It is safe for concurrent use. Expired rows are out of sight at once, and are
// deleted by some of the later writes and by Sweep.
type Store struct {
	DB      *sql.DB
	Dialect Dialect

	// Table may name a schema before a dot. It is made of ASCII letters, digits and underscores, and is not quoted.
	// Default: wetoken_store.
	Table string

	// Timeout is how long one statement may take, repetitions included. Default: 2 seconds. Migrate takes what it needs.
	Timeout time.Duration

	once sync.Once
	sql  statements
	err  error
}

var _ store.Store = (*Store)(nil)

// Limits of a key and a value, in bytes. MySQL's MEDIUMBLOB has the last.
const (
	maxKey   = 512
	maxValue = 16<<20 - 1
)

// forever is the life of what does not expire, in milliseconds: half of what a column can count to, so that the present
// can be added to it.
const forever = 1 << 62

// Get selects one row.
func (s *Store) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	if err := s.open(key); err != nil {
		return nil, false, fmt.Errorf("sqlstore: get: %w", err)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err = s.again(ctx, func() error {
		text, args := s.sql.get.bind(binds{key: key})
		return s.DB.QueryRowContext(ctx, text, args...).Scan(&value)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("sqlstore: get: %w", err)
	}
	return some(value), true, nil
}

// Set writes one row.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < 0 {
		return errors.New("sqlstore: set: ttl is below 0")
	}
	if err := s.open(key, value); err != nil {
		return fmt.Errorf("sqlstore: set: %w", err)
	}
	b := binds{key: key, value: value, ttl: ttl}
	for {
		n, err := s.exec(ctx, s.sql.set, b)
		if err == nil && n == 0 && s.Dialect == Oracle { // set is an UPDATE there, and the row is missing
			n, err = s.exec(ctx, s.sql.add, b)
		}
		if err != nil {
			return fmt.Errorf("sqlstore: set: %w", err)
		}
		if n > 0 || s.Dialect != Oracle {
			s.tidy(ctx)
			return nil
		}
	}
}

// Swap is one statement, but for MySQL and Oracle where a value is in the way of a new one: there it is looked at, and
// deleted first if it has expired.
func (s *Store) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	if err := s.open(key, new); err != nil {
		return false, fmt.Errorf("sqlstore: swap: %w", err)
	}
	b := binds{key: key, value: new, old: old, ttl: ttl}
	var n int64
	switch {
	case old == nil && new == nil:
		_, ok, err := s.Get(ctx, key)
		return err == nil && !ok, err
	case old == nil:
		n, err = s.exec(ctx, s.sql.add, b)
		if err == nil && n == 0 && s.sql.clear.text != "" {
			n, err = s.addOverExpired(ctx, b)
		}
	case new == nil:
		n, err = s.exec(ctx, s.sql.remove, b)
	case ttl < 0:
		n, err = s.exec(ctx, s.sql.keep, b)
	default:
		n, err = s.exec(ctx, s.sql.replace, b)
	}
	if err != nil {
		return false, fmt.Errorf("sqlstore: swap: %w", err)
	}
	s.tidy(ctx)
	return n > 0, nil
}

// addOverExpired adds a row where there is one already, unless that one is alive.
func (s *Store) addOverExpired(ctx context.Context, b binds) (n int64, err error) {
	if _, alive, err := s.Get(ctx, b.key); alive || err != nil {
		return 0, err
	}
	// Whatever is there after clear has lived at some time during this call, so add then tells the truth.
	if _, err = s.exec(ctx, s.sql.clear, b); err != nil {
		return 0, err
	}
	return s.exec(ctx, s.sql.add, b)
}

// Delete deletes one row.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.open(key); err != nil {
		return fmt.Errorf("sqlstore: delete: %w", err)
	}
	if _, err := s.exec(ctx, s.sql.delete, binds{key: key}); err != nil {
		return fmt.Errorf("sqlstore: delete: %w", err)
	}
	return nil
}

var tableName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,54}$`)

// open makes the statements once, and refuses a key or a value that the table cannot hold.
func (s *Store) open(key string, values ...[]byte) error {
	s.once.Do(func() {
		table := s.Table
		if table == "" {
			table = "wetoken_store"
		}
		switch {
		case s.DB == nil:
			s.err = errors.New("the DB is nil")
		case !tableName.MatchString(table):
			s.err = errors.New("the Table must be letters, digits and underscores, 55 at most, with a schema and a dot before it or none")
		default:
			s.sql, s.err = s.Dialect.statements(table)
		}
	})
	if s.err != nil {
		return s.err
	}
	if len(key) == 0 || len(key) > maxKey {
		return fmt.Errorf("the key has %d bytes and must have 1 to %d", len(key), maxKey)
	}
	for _, value := range values {
		if len(value) > maxValue {
			return fmt.Errorf("the value has %d bytes and may have %d", len(value), maxValue)
		}
	}
	return nil
}

// exec runs a statement and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, q statement, b binds) (n int64, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	text, args := q.bind(b)
	err = s.again(ctx, func() error {
		result, err := s.DB.ExecContext(ctx, text, args...)
		if err != nil && s.Dialect == Oracle && duplicate(err) {
			n = 0
			return nil
		}
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, err
}

// bound is ctx for as long as one statement may take.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = 2 * time.Second
	}
	return context.WithTimeout(ctx, timeout)
}

// again repeats do while the database says that it did nothing because others were at work.
func (s *Store) again(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == 20 || !contended(err) {
			return err
		}
		wait := time.NewTimer(time.Duration(try) * rand.N(4*time.Millisecond))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return err
		}
	}
}
