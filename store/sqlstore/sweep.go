package sqlstore

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// Sweep deletes expired rows, 500 at a time, and returns their number. Writes do the same now and then, so Sweep is
// needed only if writes are few and rows are many. Any number of processes may run it at once.
func (s *Store) Sweep(ctx context.Context) (int64, error) {
	if err := s.prepare("k"); err != nil {
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

// sweepSometimes sweeps one page after one write of a hundred, more rows than the writes leave behind.
func (s *Store) sweepSometimes(ctx context.Context) {
	if rand.IntN(100) == 0 {
		ctx, cancel := s.withTimeout(ctx)
		defer cancel()
		_, _ = s.DB.ExecContext(ctx, s.sql.sweep.text) // later writes try again
	}
}
