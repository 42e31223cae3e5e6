package sqlstore

import (
	"context"
	"fmt"
)

// migrateLock is the PostgreSQL advisory lock for making tables. Without it, two processes that make a table at once
// may both fail.
const migrateLock = 0x7765746f6b656e

// Migrate makes the table and its index if they are missing, and fails if it cannot use them afterwards. It drops and
// changes nothing. It may run at every start, and in many processes at once. Once the table exists, a user without the
// right to make tables may run it too.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.prepare("k"); err != nil {
		return fmt.Errorf("sqlstore: migrate: %w", err)
	}
	made := s.repeatContended(ctx, func() error { return s.makeTable(ctx) })
	probed := s.repeatContended(ctx, func() error {
		rows, err := s.DB.QueryContext(ctx, s.sql.probe.text)
		if err != nil {
			return err
		}
		defer rows.Close()
		return rows.Err()
	})
	switch {
	case probed == nil:
		return nil // the table is usable; an error of making it means that it existed, as Oracle has no IF NOT EXISTS
	case made != nil:
		return fmt.Errorf("sqlstore: migrate: make the table: %w", made)
	default:
		return fmt.Errorf("sqlstore: migrate: the table exists and has other columns: %w", probed)
	}
}

// makeTable runs all statements, and returns the first error.
func (s *Store) makeTable(ctx context.Context) (first error) {
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
