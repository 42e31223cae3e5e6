// Package journal keeps entries in the order of time in a store, to which many processes append. It needs no transactions and no
// scan of the store's keys:
//
//	audit/2027-01-31               the streams of a day
//	audit/2027-01-31/STREAM/N      their entries: up to 64 in each record, N from 0 without a gap
//
// Each of the first 16 processes of a day begins a stream, so that they seldom wait for each other; later ones append to any of
// these, so that a page reads few records however often processes are restarted. All records of a day expire together.
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
	minStreams   = 16   // of a day, before processes share them
	maxStreams   = 64   // of a day
	changeTries  = 100
	storeTimeout = 3 * time.Second
	maxAhead     = time.Minute // of the last entry of a stream that a process appends to

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
	process  string        // random
	flushing bool          // a goroutine writes
	failing  bool          // the last write failed
	round    chan struct{} // closed once what is pending now is written, or that has failed

	tail tail // of the goroutine that writes
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
	if j.process == "" {
		j.process = strings.ToLower(rand.Text()[:16])
	}
	j.pending = append(j.pending, item{At: j.last, By: j.process, Data: data})
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
