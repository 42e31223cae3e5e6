package sqlstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
)

// Keys selects in the order of the keys, 500 at a time, and holds no connection while the loop runs.
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.open("k"); err != nil {
			yield("", fmt.Errorf("sqlstore: keys: %w", err))
			return
		}
		from, to := between(prefix)
		for {
			page, err := s.page(ctx, from, to)
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
			from = append([]byte(page[len(page)-1]), 0) // the next key there can be
		}
	}
}

func (s *Store) page(ctx context.Context, from, to []byte) (page []string, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err = s.again(ctx, func() error {
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

// between returns the bounds of the keys that begin with prefix: from is the first there can be, and to comes after the
// last.
func between(prefix string) (from, to []byte) {
	from = []byte(prefix)
	if prefix == "" {
		from = []byte{0} // Oracle takes an empty one for NULL
	}
	to = []byte(prefix)
	for i := len(to) - 1; i >= 0; i-- {
		if to[i]++; to[i] != 0 {
			return from, to[:i+1]
		}
	}
	return from, bytes.Repeat([]byte{0xff}, maxKey+1) // no byte of prefix can be raised, and no key is as long as this
}
