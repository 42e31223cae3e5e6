package pay_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/wetoken/wetoken/pay"
)

// books stores the payments of a shop by transaction id, and its refunds by number and state.
type books struct {
	isAway func(from, to time.Time) bool // reports whether the store was unavailable between two times

	mu       sync.Mutex
	settled  map[string]pay.Transaction // by transaction id
	refunds  map[string]pay.Refund      // the last state by out_refund_no
	asked    map[string]int64           // fen of the refunds asked for, by out_refund_no
	tries    map[string]int
	done     map[string]time.Time
	running  map[string]time.Time
	calls    int
	repeated int
	wrong    []string
}

func newBooks() *books {
	return &books{
		settled: make(map[string]pay.Transaction), refunds: make(map[string]pay.Refund), asked: make(map[string]int64),
		tries: make(map[string]int), done: make(map[string]time.Time), running: make(map[string]time.Time),
	}
}

func (b *books) onPaid(ctx context.Context, t pay.Transaction) error {
	return b.take(ctx, t.TransactionID, func() { b.settled[t.TransactionID] = t })
}

func (b *books) onRefund(ctx context.Context, f pay.Refund) error {
	return b.take(ctx, fmt.Sprint(f.OutRefundNo, " ", f.State), func() { b.refunds[f.OutRefundNo] = f })
}

var errHook = errors.New("the shop's database is away")

// take is a hook that commits once for an id. Some of its calls fail twice, and some are slow.
func (b *books) take(ctx context.Context, id string, commit func()) error {
	b.begin(id)
	defer b.end(id)
	if err := b.misbehave(ctx, id); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, done := b.done[id]; !done {
		commit()
		b.done[id] = time.Now()
	}
	return nil
}

func (b *books) begin(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.calls++
	b.tries[id]++
	if since, runs := b.running[id]; runs && !b.isAway(since, now) {
		b.wrong = append(b.wrong, fmt.Sprintf("%s: the hook runs twice at the same time, since %v and %v", id, since, now))
	}
	if done, again := b.done[id]; again {
		b.repeated++
		if !b.isAway(done, now) {
			b.wrong = append(b.wrong, fmt.Sprintf("%s: done at %v and called again at %v", id, done, now))
		}
	}
	b.running[id] = now
}

func (b *books) end(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, id)
}

func (b *books) misbehave(ctx context.Context, id string) error {
	b.mu.Lock()
	try := b.tries[id]
	b.mu.Unlock()
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	switch kind := h.Sum32() % 20; {
	case try > 2:
	case kind == 0:
		return errHook
	case kind == 1:
		panic("the shop has a bug")
	case kind == 2:
		<-ctx.Done()
		return ctx.Err()
	case kind == 3:
		<-time.After(8 * time.Second)
	case kind < 10:
		<-time.After(100 * time.Millisecond)
	}
	return nil
}
