package sqlstore

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// Sweep deletes the rows that have expired, 500 at a time, and returns how many there were. Writes do the same now and
// then, so that it is needed only where writes are few and rows are many. Any number of processes may run it at once.
func (s *Store) Sweep(ctx context.Context) (int64, error) {
	if err := s.open("k"); err != nil {
		return 0, fmt.Errorf("sqlstore: sweep: %w", err)
	}
	for all := int64(0); ; {
		n, err := s.exec(ctx, s.sql.sweep, binds{})
		all += n
		if err != nil {
			return all, fmt.Errorf("sqlstore: sweep: %w", err)
		}
		if n < pageSize {
			return all, nil
		}
	}
}

// tidy sweeps one page after one write of a hundred, which is more than they can leave behind.
func (s *Store) tidy(ctx context.Context) {
	if rand.IntN(100) == 0 {
		ctx, cancel := s.bound(ctx)
		defer cancel()
		_, _ = s.DB.ExecContext(ctx, s.sql.sweep.text) // its error is not the write's, and later writes try again
	}
}
