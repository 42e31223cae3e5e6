package journal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"
)

// tail is the last record of a stream, to which a process appends.
type tail struct {
	day    string // empty for no stream
	stream string
	own    string // the stream that this process has added to the day, or tried to
	ownDay string
	apart  bool // the clocks of other processes were ahead: they are not avoided again
	n      int
	raw    []byte // as stored; nil for a record that is not stored yet
	items  []item // in raw
	at     int64  // time of the last entry, in this record or in the one before
}

func isFull(items []item) bool {
	size := 0
	for _, it := range items {
		size += len(it.Data)
	}
	return len(items) >= maxChunk || size >= maxChunkSize
}

// extend returns the items of t followed by those of list that fit, in the order of time, and how many these are.
func (t *tail) extend(list []item) (next []item, taken int) {
	next = slices.Clone(t.items)
	for _, it := range list {
		if isFull(next) || dayOf(it.At) != t.day {
			break
		}
		it.At = max(it.At, t.at)
		next = append(next, it)
		taken++
	}
	return next, taken
}

// writeItems writes items in order, and returns how many were written.
func (j *Journal) writeItems(ctx context.Context, items []item) (written int, err error) {
	for conflicts := 0; written < len(items); {
		if err := j.prepare(ctx, items[written]); err != nil {
			return written, err
		}
		taken, err := j.writeRecord(ctx, items[written:])
		if err != nil {
			return written, err
		}
		written += taken
		if taken == 0 {
			if conflicts++; conflicts == changeTries {
				return written, errors.New("journal: too many processes write at once")
			}
		}
	}
	return written, nil
}

// prepare moves the tail to a record that takes an item.
func (j *Journal) prepare(ctx context.Context, it item) error {
	t := &j.tail
	if day := dayOf(it.At); day != t.day {
		if err := j.join(ctx, day, false); err != nil {
			return err
		}
	}
	if isFull(t.items) {
		if _, err := j.follow(ctx); err != nil {
			return err
		}
	}
	if t.raw == nil { // the store may have been emptied since the stream was added
		d, _, err := j.readDay(ctx, t.day)
		switch {
		case isUnreadable(err), err == nil && !slices.Contains(d.Streams, t.stream):
			err = j.join(ctx, t.day, false)
		case err != nil:
			err = fmt.Errorf("journal: begin a record: %w", err)
		}
		if err != nil {
			return err
		}
	}
	if !t.apart && t.at > it.At+maxAhead.Milliseconds() {
		return j.join(ctx, t.day, true) // a process whose clock is ahead has written
	}
	return nil
}

// writeRecord writes items until the record is full, and returns how many were written: none if another process has changed it.
func (j *Journal) writeRecord(ctx context.Context, items []item) (written int, err error) {
	t := &j.tail
	next, taken := t.extend(items)
	raw, err := json.Marshal(chunkRecord{Entries: next})
	if err != nil {
		return 0, fmt.Errorf("journal: encode: %w", err)
	}
	swapped, err := j.swap(ctx, j.key(t.day, t.stream, t.n), t.raw, raw, t.day)
	if err != nil {
		return 0, fmt.Errorf("journal: write: %w", err)
	}
	if !swapped {
		written, err := j.follow(ctx)
		return min(written, len(items)), err // a record that was planted may have more
	}
	t.raw, t.items, t.at = raw, next, next[len(next)-1].At
	return taken, nil
}

// follow moves the tail to the record that takes the next entry of its stream. written is how many entries a write has added whose
// answer was lost.
func (j *Journal) follow(ctx context.Context) (written int, err error) {
	t := &j.tail
	var last []byte // record low
	exists := func(n int) (bool, error) {
		raw, ok, err := j.get(ctx, j.key(t.day, t.stream, n))
		if isUnreadable(err) {
			raw, ok, err = nil, true, nil
		}
		if ok {
			last = raw
		}
		return ok, err
	}
	ok, err := exists(t.n)
	if err != nil {
		return 0, fmt.Errorf("journal: read: %w", err)
	}
	if !ok {
		if t.n > 0 || t.raw != nil { // the store has lost it
			return 0, j.join(ctx, t.day, false)
		}
		return 0, nil
	}
	if c, ok := parseChunk(last, t.day); ok && len(c.Entries) > len(t.items) {
		for _, it := range c.Entries[len(t.items):] {
			if it.By != j.process {
				break
			}
			written++
		}
	}
	low, high := t.n, t.n+1
	for step := 1; ; step *= 2 {
		if ok, err = exists(high); err != nil {
			return 0, fmt.Errorf("journal: read: %w", err)
		}
		if !ok {
			break
		}
		low, high = high, high+step
	}
	for high-low > 1 {
		middle := (low + high) / 2
		if ok, err = exists(middle); err != nil {
			return 0, fmt.Errorf("journal: read: %w", err)
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	c, ok := parseChunk(last, t.day)
	if len(c.Entries) > 0 {
		t.at = c.Entries[len(c.Entries)-1].At
	}
	if !ok || isFull(c.Entries) {
		low, last, c.Entries = low+1, nil, nil
	}
	t.n, t.raw, t.items = low, last, c.Entries
	return written, nil
}

// join moves the tail to a stream of a day: to one that it adds, while there are few, or to any. apart adds one while there are not
// too many.
func (j *Journal) join(ctx context.Context, day string, apart bool) error {
	t := &j.tail
	if t.ownDay != day || apart {
		t.own, t.ownDay = strings.ToLower(rand.Text()[:16]), day
	}
	limit := minStreams
	if apart {
		limit = maxStreams
	}
	for range changeTries {
		old, raw, err := j.readDay(ctx, day)
		if isUnreadable(err) { // somebody has put it there
			if old.Streams, err = j.listStreams(ctx, day); err == nil {
				err = j.Store.Delete(ctx, j.dayKey(day))
			}
		}
		if err != nil {
			return fmt.Errorf("journal: begin a day: %w", err)
		}
		stream := t.own
		if !slices.Contains(old.Streams, stream) { // or the answer to a try was lost
			if len(old.Streams) >= limit {
				stream = old.Streams[mathrand.IntN(len(old.Streams))]
			} else if swapped, err := j.addStream(ctx, day, raw, old, stream); err != nil {
				return err
			} else if !swapped {
				continue
			}
		}
		*t = tail{day: day, stream: stream, own: t.own, ownDay: day, apart: apart}
		if _, err = j.follow(ctx); err != nil {
			t.day = "" // its records are not known: entries of this process there are older ones
		}
		return err
	}
	return errors.New("journal: too many processes begin a day at once")
}

func (j *Journal) addStream(ctx context.Context, day string, raw []byte, old dayRecord, stream string) (swapped bool, err error) {
	next, err := json.Marshal(dayRecord{Streams: append(old.Streams, stream)})
	if err != nil {
		return false, fmt.Errorf("journal: encode: %w", err)
	}
	swapped, err = j.swap(ctx, j.dayKey(day), raw, next, day)
	if err != nil {
		return false, fmt.Errorf("journal: begin a day: %w", err)
	}
	return swapped, nil
}

func (j *Journal) swap(ctx context.Context, key string, old, new []byte, day string) (swapped bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return j.Store.Swap(ctx, key, old, new, j.ttl(day))
}

// ttl returns the life that is left for the records of a day.
func (j *Journal) ttl(day string) time.Duration {
	start, _ := time.Parse(time.DateOnly, day)
	return max(time.Until(start.Add(24*time.Hour+j.Keep)), time.Millisecond)
}
