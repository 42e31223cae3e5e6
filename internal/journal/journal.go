// Package journal keeps entries in the order of time in a store, to which many processes append. It needs no transactions and no
// scan of the store's keys:
//
//	audit/2027-01-31               the writers of a day
//	audit/2027-01-31/WRITER/N      their entries: up to 64 in each record, N from 0 without a gap
//
// A writer is a process. It alone writes its records, so that writers do not wait for each other, and reads none of them. All
// records of a day expire together.
package journal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wetoken/wetoken/store"
)

const (
	maxChunk     = 64       // entries of a record
	maxChunkSize = 32 << 10 // bytes, beside the last entry
	maxRecord    = 128 << 10
	maxPending   = 1000 // entries that wait for the store
	maxWriters   = 4096 // of a day
	changeTries  = 100
	storeTimeout = 3 * time.Second

	// MaxEntry is the greatest length of an entry, in bytes.
	MaxEntry = 16 << 10
)

// ErrLost is the cause of the error that OnError is called with for entries that are lost.
var ErrLost = errors.New("journal: too many entries wait for the store")

// Journal is the entries under a prefix. Its methods are safe for concurrent use.
type Journal struct {
	Store  store.Store
	Prefix string        // such as audit
	Keep   time.Duration // after the end of an entry's day, in UTC

	// OnError is called after a failed write, whose entries are written later, and with ErrLost for entries that are not.
	OnError func(context.Context, error)

	mu       sync.Mutex
	pending  []item
	last     int64         // time of the entry that was appended last
	flushing bool          // a goroutine writes
	failing  bool          // the last write failed
	round    chan struct{} // closed once what is pending now is written, or that has failed

	// Of the goroutine that writes.
	writer string // of the day joined
	joined string
	day    string // of chunk
	n      int    // of the record that is written next
	chunk  []item // the entries in it
	size   int    // of chunk, in bytes
}

// Append adds an entry of the present time. data is JSON of up to MaxEntry bytes. The channel is closed once the entry is written,
// or could not be: it is then written with the next one, while this process runs.
func (j *Journal) Append(ctx context.Context, data json.RawMessage) (done <-chan struct{}, err error) {
	if len(data) > MaxEntry || !json.Valid(data) {
		return nil, fmt.Errorf("journal: invalid entry of %d bytes: want JSON of up to %d", len(data), MaxEntry)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.pending) >= maxPending {
		j.start(ctx)
		return nil, ErrLost
	}
	j.last = max(j.last, time.Now().UnixMilli()) // the entries of a writer are in order, even if its clock is set back
	j.pending = append(j.pending, item{j.last, data})
	if j.round == nil {
		j.round = make(chan struct{})
	}
	done = j.round
	if j.failing {
		closed := make(chan struct{})
		close(closed)
		done = closed // nobody waits for a store that is away
	}
	j.start(ctx)
	return done, nil
}

// Flush writes what is pending, and waits for that until ctx ends. It reports whether nothing is pending now.
func (j *Journal) Flush(ctx context.Context) bool {
	j.mu.Lock()
	if len(j.pending) == 0 {
		j.mu.Unlock()
		return true
	}
	if j.round == nil {
		j.round = make(chan struct{})
	}
	done := j.round
	j.start(ctx)
	j.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.pending) == 0
}

// start has a goroutine write what is pending, unless one does.
func (j *Journal) start(ctx context.Context) {
	if !j.flushing {
		j.flushing = true
		go j.write(context.WithoutCancel(ctx))
	}
}

// write writes what is pending, until nothing is or a write fails.
func (j *Journal) write(ctx context.Context) {
	for {
		j.mu.Lock()
		items, done := slices.Clone(j.pending), j.round
		j.round = nil
		if len(items) == 0 {
			j.flushing = false
			j.mu.Unlock()
			return
		}
		j.mu.Unlock()
		written, err := j.writeItems(ctx, items)
		j.mu.Lock()
		j.pending = slices.Clone(j.pending[written:])
		j.failing = err != nil
		if err != nil {
			j.flushing = false
		}
		j.mu.Unlock()
		if done != nil {
			close(done)
		}
		if err != nil {
			if j.OnError != nil {
				j.OnError(ctx, err)
			}
			return
		}
	}
}

// writeItems writes items in order, and returns how many were written.
func (j *Journal) writeItems(ctx context.Context, items []item) (written int, err error) {
	for written < len(items) {
		if day := dayOf(items[written].At); day != j.day {
			if err := j.join(ctx, day); err != nil {
				return written, err
			}
			j.day, j.n, j.chunk, j.size = day, 0, nil, 0
		}
		if len(j.chunk) >= maxChunk || j.size >= maxChunkSize {
			j.n, j.chunk, j.size = j.n+1, nil, 0
		}
		next, size, taken := slices.Clone(j.chunk), j.size, 0
		for _, it := range items[written:] {
			if len(next) >= maxChunk || size >= maxChunkSize || dayOf(it.At) != j.day {
				break
			}
			next, size, taken = append(next, it), size+len(it.Data), taken+1
		}
		raw, err := json.Marshal(chunkRecord{Entries: next})
		if err != nil {
			return written, fmt.Errorf("journal: encode: %w", err)
		}
		if err := j.set(ctx, j.key(j.day, j.writer, j.n), raw); err != nil {
			return written, err
		}
		j.chunk, j.size = next, size
		written += taken
	}
	return written, nil
}

func (j *Journal) set(ctx context.Context, key string, raw []byte) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := j.Store.Set(ctx, key, raw, j.ttl(j.day)); err != nil {
		return fmt.Errorf("journal: write: %w", err)
	}
	return nil
}

// ttl returns the life that is left for the records of a day.
func (j *Journal) ttl(day string) time.Duration {
	start, _ := time.Parse(time.DateOnly, day)
	return max(time.Until(start.Add(24*time.Hour+j.Keep)), time.Millisecond)
}

// join adds this process to the writers of a day.
func (j *Journal) join(ctx context.Context, day string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if j.joined != day {
		j.joined, j.writer = day, strings.ToLower(rand.Text()[:16]) // another one each day, so that its records begin at 0
	}
	for range changeTries {
		old, raw, err := j.readDay(ctx, day)
		if isUnreadable(err) { // somebody has put it there
			old.Writers, err = j.listWriters(ctx, day)
			if err == nil {
				err = j.Store.Delete(ctx, j.dayKey(day))
			}
		}
		if err != nil {
			return fmt.Errorf("journal: begin a day: %w", err)
		}
		if slices.Contains(old.Writers, j.writer) { // of a try whose answer was lost
			return nil
		}
		if len(old.Writers) >= maxWriters {
			return fmt.Errorf("journal: more than %d processes have written today", maxWriters)
		}
		next, err := json.Marshal(dayRecord{Writers: append(old.Writers, j.writer)})
		if err != nil {
			return fmt.Errorf("journal: encode: %w", err)
		}
		swapped, err := j.Store.Swap(ctx, j.dayKey(day), raw, next, j.ttl(day))
		if err != nil {
			return fmt.Errorf("journal: begin a day: %w", err)
		}
		if swapped {
			return nil
		}
	}
	return errors.New("journal: too many processes begin a day at once")
}
