// Package sqlstore implements [store.Store] with a table of an SQL database: SQLite, MySQL or MariaDB, PostgreSQL,
// Oracle. It imports database/sql only; the application imports the driver.
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
// Lives are measured by the database's clock, so that the clocks of processes may differ. Each statement has a Timeout.
// If a driver ignores the context, set the driver's own timeouts too.
//
// # SQLite
//
// Several processes may share one file on a local disk. Open it with a busy timeout and a write-ahead log, as in
// file:wetoken.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL) for modernc.org/sqlite; and a :memory: database
// with SetMaxOpenConns(1), since each connection has its own.
//
// # MySQL and MariaDB
//
// Any setting of the driver's clientFoundRows, interpolateParams and loc works. The server's max_allowed_packet must
// exceed two values, since Swap sends both.
//
// # PostgreSQL
//
// Version 9.5 or later.
//
// # Oracle
//
// Version 12c or later. The statements are tested as text and with the driver's own parser. They have not been run on
// an Oracle server.
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

// Store is a [store.Store] in one table. It is safe for concurrent use. Expired rows are not returned. Some later
// writes, and Sweep, delete them.
type Store struct {
	DB      *sql.DB
	Dialect Dialect

	// Table may have a schema before a dot. It consists of ASCII letters, digits and underscores, and is not quoted.
	// Default: wetoken_store.
	Table string

	// Timeout is the time for one statement, repetitions included. Default: 2 seconds. Migrate has no limit.
	Timeout time.Duration

	once sync.Once
	sql  statements
	err  error
}

var _ store.Store = (*Store)(nil)

// Limits of a key and a value, in bytes. The limit of a value is that of MySQL's MEDIUMBLOB.
const (
	maxKey   = 512
	maxValue = 16<<20 - 1
)

// forever is the life of a value without a ttl, in milliseconds: half of the greatest number of a column, so that the
// present time can be added.
const forever = 1 << 62

// Get selects one row.
func (s *Store) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	if err := s.prepare(key); err != nil {
		return nil, false, fmt.Errorf("sqlstore: get: %w", err)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	err = s.repeatContended(ctx, func() error {
		text, args := s.sql.get.bind(binds{key: key})
		return s.DB.QueryRowContext(ctx, text, args...).Scan(&value)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("sqlstore: get: %w", err)
	}
	return notNil(value), true, nil
}

// Set writes one row.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < 0 {
		return errors.New("sqlstore: set: ttl is below 0")
	}
	if err := s.prepare(key, value); err != nil {
		return fmt.Errorf("sqlstore: set: %w", err)
	}
	b := binds{key: key, value: value, ttl: ttl}
	for {
		n, err := s.exec(ctx, s.sql.set, b)
		if err == nil && n == 0 && s.Dialect == Oracle { // set is an UPDATE there, and no row exists
			n, err = s.exec(ctx, s.sql.add, b)
		}
		if err != nil {
			return fmt.Errorf("sqlstore: set: %w", err)
		}
		if n > 0 || s.Dialect != Oracle {
			s.sweepSometimes(ctx)
			return nil
		}
	}
}

// Swap runs one statement, except for MySQL and Oracle if a row exists where a new one is added: the row is read, and
// deleted first if it has expired.
func (s *Store) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	if err := s.prepare(key, new); err != nil {
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
	s.sweepSometimes(ctx)
	return n > 0, nil
}

// addOverExpired adds a row in place of an expired one, unless the existing row is live.
func (s *Store) addOverExpired(ctx context.Context, b binds) (n int64, err error) {
	if _, alive, err := s.Get(ctx, b.key); alive || err != nil {
		return 0, err
	}
	// A row that exists after clear was live at some time during this call, so the result of add is right.
	if _, err = s.exec(ctx, s.sql.clear, b); err != nil {
		return 0, err
	}
	return s.exec(ctx, s.sql.add, b)
}

// Delete deletes one row.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.prepare(key); err != nil {
		return fmt.Errorf("sqlstore: delete: %w", err)
	}
	if _, err := s.exec(ctx, s.sql.delete, binds{key: key}); err != nil {
		return fmt.Errorf("sqlstore: delete: %w", err)
	}
	return nil
}

var tableName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,54}$`)

// prepare makes the statements once, and returns an error for a key or a value that the table cannot store.
func (s *Store) prepare(key string, values ...[]byte) error {
	s.once.Do(func() {
		table := s.Table
		if table == "" {
			table = "wetoken_store"
		}
		switch {
		case s.DB == nil:
			s.err = errors.New("DB is nil: want an open *sql.DB")
		case !tableName.MatchString(table):
			s.err = errors.New("invalid Table: want up to 55 letters, digits and underscores, optionally after a schema and a dot")
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
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	text, args := q.bind(b)
	err = s.repeatContended(ctx, func() error {
		result, err := s.DB.ExecContext(ctx, text, args...)
		if err != nil && s.Dialect == Oracle && isDuplicate(err) {
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

// withTimeout returns ctx with the timeout of one statement.
func (s *Store) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = 2 * time.Second
	}
	return context.WithTimeout(ctx, timeout)
}

// repeatContended repeats do while the database reports that it did nothing because of other statements.
func (s *Store) repeatContended(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == 20 || !isContended(err) {
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
