package sqlstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
)

// Keys selects in the order of the keys, 500 at a time. It holds no connection while the loop body runs.
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.prepare("k"); err != nil {
			yield("", fmt.Errorf("sqlstore: keys: %w", err))
			return
		}
		from, to := keyRange(prefix)
		for {
			page, err := s.readPage(ctx, from, to)
			if err != nil {
				yield("", fmt.Errorf("sqlstore: keys: %w", err))
				return
			}
			for _, key := range page {
				if !yield(key, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			from = append([]byte(page[len(page)-1]), 0) // the next possible key
		}
	}
}

func (s *Store) readPage(ctx context.Context, from, to []byte) (page []string, err error) {
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	err = s.repeatContended(ctx, func() error {
		page = nil
		text, args := s.sql.list.bind(binds{from: from, to: to})
		rows, err := s.DB.QueryContext(ctx, text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key []byte
			if err := rows.Scan(&key); err != nil {
				return err
			}
			page = append(page, string(key))
		}
		return rows.Err()
	})
	return page, err
}

// keyRange returns the range of the keys that begin with prefix: from is the first possible one, and to is after the
// last.
func keyRange(prefix string) (from, to []byte) {
	from = []byte(prefix)
	if prefix == "" {
		from = []byte{0} // Oracle reads an empty one as NULL
	}
	to = []byte(prefix)
	for i := len(to) - 1; i >= 0; i-- {
		if to[i]++; to[i] != 0 {
			return from, to[:i+1]
		}
	}
	return from, bytes.Repeat([]byte{0xff}, maxKey+1) // no byte of prefix can be raised, and keys are shorter than this
}
