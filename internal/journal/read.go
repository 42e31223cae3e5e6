package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

const (
	maxReads = 1000    // reads of the store for one page
	maxN     = 1 << 20 // records of a stream
)

// Entry is an entry that was read.
type Entry struct {
	At   time.Time
	Data json.RawMessage
}

// Page returns at most limit entries that match, newest first, which are older than before and not older than since. next is where
// the next page begins, or the zero value after the last one. Since one call makes a limited number of reads, a page may have fewer
// entries, or none, although others follow. A record that cannot be read is left out; unreadable says how many were, and the error of
// the first one.
func (j *Journal) Page(ctx context.Context, before Position, since time.Time, limit int, match func(Entry) bool) (list []Entry, next Position, unreadable Unreadable, err error) {
	r := reader{j: j, ctx: ctx}
	now := time.Now()
	if latest := now.Add(24 * time.Hour).UnixMilli(); before == (Position{}) || before.At > latest {
		before = Position{At: latest} // the clock of another process may be ahead
	}
	oldest := max(since.UnixMilli(), now.Add(-j.Keep-24*time.Hour).UnixMilli())
	for before.At >= oldest {
		day := dayOf(before.At)
		start, _ := time.Parse(time.DateOnly, day)
		streams, err := r.open(day, before)
		if err != nil {
			return nil, next, r.skipped, err
		}
		for len(streams) > 0 {
			at := 0
			for i := range streams {
				if streams[i].position().compare(streams[at].position()) > 0 {
					at = i
				}
			}
			s := streams[at]
			it := s.items[s.i]
			if it.At < oldest {
				return list, Position{}, r.skipped, nil
			}
			before = s.position()
			if e := (Entry{time.UnixMilli(it.At).UTC(), it.Data}); match(e) {
				list = append(list, e)
			}
			more, err := r.advance(s)
			if err != nil {
				return nil, next, r.skipped, err
			}
			if !more {
				streams = slices.Delete(streams, at, at+1)
			}
			if len(list) >= limit || r.reads >= maxReads {
				return list, before, r.skipped, nil
			}
		}
		before = Position{start.UnixMilli() - 1, "zzzzzzzzzzzzzzzz", maxN, maxChunk} // after all entries of the day before
		if r.reads >= maxReads && before.At >= oldest {
			return list, before, r.skipped, nil
		}
	}
	return list, Position{}, r.skipped, nil
}

// Unreadable counts the records that were left out.
type Unreadable struct {
	Records int
	First   error
}

// reader reads records, and counts that.
type reader struct {
	j       *Journal
	ctx     context.Context
	reads   int
	skipped Unreadable
	seen    map[string]bool // records in skipped
}

// stream is the entries of a stream, newest first.
type stream struct {
	day, name string
	n, i      int
	items     []item // of record n
}

func (s *stream) position() Position { return Position{s.items[s.i].At, s.name, s.n, s.i} }

// open returns the streams of a day, each at its newest entry before a position. Those without one are left out.
func (r *reader) open(day string, before Position) (list []*stream, err error) {
	r.reads++
	d, _, err := r.j.readDay(r.ctx, day)
	if isUnreadable(err) {
		r.skip(r.j.dayKey(day), err)
		d.Streams, err = r.j.listStreams(r.ctx, day)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: read: %w", err)
	}
	for _, name := range d.Streams {
		s := &stream{day: day, name: name}
		ok, err := r.seek(s, before)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, s)
		}
	}
	return list, nil
}

// seek moves s to its newest entry before a position. Since the records of a stream are in order, it looks at few of them.
func (r *reader) seek(s *stream, before Position) (ok bool, err error) {
	begins := func(n int) (bool, error) { // whether record n begins before the position
		items, exists, err := r.chunk(s.day, s.name, n)
		if err != nil || !exists {
			return false, err
		}
		if len(items) > 0 && (Position{items[0].At, s.name, n, 0}).compare(before) >= 0 {
			return false, nil
		}
		s.n, s.items = n, items
		return true, nil // so may one that cannot be read
	}
	low, high := -1, 0
	for ; high < maxN; high = 2*high + 1 {
		if ok, err = begins(high); err != nil {
			return false, err
		}
		if !ok {
			break
		}
		low = high
	}
	for high-low > 1 {
		middle := (low + high) / 2
		if ok, err = begins(middle); err != nil {
			return false, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	if low < 0 {
		return false, nil
	}
	s.i = len(s.items)
	for {
		if ok, err := r.advance(s); err != nil || !ok {
			return false, err
		}
		if s.position().compare(before) < 0 {
			return true, nil
		}
	}
}

// advance moves s to the next older entry, and reports whether there is one.
func (r *reader) advance(s *stream) (ok bool, err error) {
	s.i--
	for s.i < 0 {
		if s.n--; s.n < 0 {
			return false, nil
		}
		if s.items, _, err = r.chunk(s.day, s.name, s.n); err != nil {
			return false, err
		}
		s.i = len(s.items) - 1
	}
	return true, nil
}

// chunk returns the entries of a record: none if it cannot be read.
func (r *reader) chunk(day, name string, n int) (items []item, exists bool, err error) {
	r.reads++
	raw, ok, err := r.j.get(r.ctx, r.j.key(day, name, n))
	if err == nil && !ok {
		return nil, false, nil
	}
	if err == nil {
		if c, ok := parseChunk(raw, day); ok {
			return c.Entries, true, nil
		}
		err = &recordError{fmt.Errorf("journal: invalid record under %q", r.j.key(day, name, n))}
	}
	if !isUnreadable(err) {
		return nil, false, fmt.Errorf("journal: read: %w", err)
	}
	r.skip(r.j.key(day, name, n), err)
	return nil, true, nil
}

func (r *reader) skip(key string, err error) {
	if r.seen == nil {
		r.seen = make(map[string]bool)
	}
	if r.seen[key] {
		return
	}
	r.seen[key] = true
	if r.skipped.Records++; r.skipped.First == nil {
		r.skipped.First = err
	}
}
