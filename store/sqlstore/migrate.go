package sqlstore

import (
	"context"
	"fmt"
)

// migrateLock is the PostgreSQL advisory lock under which tables are made: there, two that make one table at once may
// both fail.
const migrateLock = 0x7765746f6b656e

// Migrate makes the table and its index where they are missing, and fails if it then cannot use them. It drops and
// changes nothing, and may be run at every start and by many processes at once. A user who may not make tables can run
// it once the table is there.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.open("k"); err != nil {
		return fmt.Errorf("sqlstore: migrate: %w", err)
	}
	made := s.again(ctx, func() error { return s.make(ctx) })
	probed := s.again(ctx, func() error {
		rows, err := s.DB.QueryContext(ctx, s.sql.probe.text)
		if err != nil {
			return err
		}
		defer rows.Close()
		return rows.Err()
	})
	switch {
	case probed == nil:
		return nil // whatever there was to make, or to complain of, stands: Oracle knows no IF NOT EXISTS
	case made != nil:
		return fmt.Errorf("sqlstore: migrate: make the table: %w", made)
	default:
		return fmt.Errorf("sqlstore: migrate: the table is there and is not one of ours: %w", probed)
	}
}

// make runs all statements, and returns the first error.
func (s *Store) make(ctx context.Context) (first error) {
	if s.Dialect != Postgres {
		for _, q := range s.sql.migrate {
			if _, err := s.DB.ExecContext(ctx, q.text); err != nil && first == nil {
				first = err
			}
		}
		return first
	}
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrateLock)); err != nil {
		return err
	}
	for _, q := range s.sql.migrate {
		if _, err := tx.ExecContext(ctx, q.text); err != nil {
			return err
		}
	}
	return tx.Commit()
}
