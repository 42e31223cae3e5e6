package pay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wetoken/wetoken/store"
)

// Watch does the work of [Cashier.Run] for many Cashiers that share Records. Its memory does not grow with the number of
// Cashiers, orders, refunds and transfers.
type Watch struct {
	Store   store.Store
	Records store.Store // default Store

	// Cashier returns the Cashier of an App, or nil if this process has none. Its records then wait for another process.
	Cashier func(app string) *Cashier

	OnError func(context.Context, error) // default slog.Default
}

const (
	checkInterval   = 10 * time.Second
	leaseTTL        = 15 * time.Second // after a process was killed, another one waits this long
	maxChecks       = 16               // concurrent checks
	maxPerList      = 256              // entries of one list in one round
	maxRetryDelay   = 10 * time.Minute
	unreadableDelay = time.Minute // until the next check of a record that cannot be read
)

// Run queries unpaid orders 10 s, 30 s, 1, 3, 5, 10 and 30 minutes after they were placed, then hourly until they expire, and then
// closes them. It calls hooks again after errors, sends refunds when their turn comes, and queries refunds and transfers until
// they are final. It returns the cause of ctx when ctx ends.
//
// Each process may call it; one process works at a time.
func (c *Cashier) Run(ctx context.Context) error {
	w := &watcher{
		Watch: Watch{Store: c.claims(), Records: c.records(), OnError: c.OnError, Cashier: func(app string) *Cashier {
			if app == c.App {
				return c
			}
			return nil
		}},
		leaseKey: "pay/run/" + c.App,
	}
	return w.run(ctx)
}

// Run does the work of [Cashier.Run] for all Cashiers, whose own Run is then not needed.
func (w *Watch) Run(ctx context.Context) error {
	all := &watcher{Watch: *w, leaseKey: "pay/run"}
	if all.Records == nil {
		all.Records = all.Store
	}
	return all.run(ctx)
}

// watcher is the state of one Run.
type watcher struct {
	Watch
	leaseKey   string
	lease      *store.Lease
	lastFailed bool // the last round failed
}

func (w *watcher) run(ctx context.Context) error {
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		err := w.round(ctx)
		if err != nil && !w.lastFailed && ctx.Err() == nil {
			w.report(ctx, err)
		}
		w.lastFailed = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			if w.lease != nil {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
				defer cancel()
				_ = w.lease.Release(ctx) // otherwise it expires
			}
			return context.Cause(ctx)
		}
	}
}

// round checks all due records, unless another process does.
func (w *watcher) round(ctx context.Context) error {
	held, err := w.holdLease(ctx)
	if err != nil || !held {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go w.keepLease(ctx, cancel, w.lease)
	lists, err := w.readDue(ctx)
	if err != nil {
		return err
	}
	w.checkAll(ctx, lists)
	var failed error
	for i, changes := range lists {
		if len(changes) > 0 {
			failed = errors.Join(failed, applyDueChanges(ctx, w.Records, dueListKey(i), changes))
		}
	}
	return failed
}

// holdLease takes or extends the lease on rounds, and reports whether this process has it.
func (w *watcher) holdLease(ctx context.Context) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if w.lease != nil {
		if still, err := w.lease.Extend(ctx, leaseTTL); err != nil || still {
			return still, err
		}
		w.lease = nil
	}
	w.lease, held, err = store.TryLease(ctx, w.Store, w.leaseKey, leaseTTL)
	return held, err
}

// keepLease extends the lease during a round, and ends the round if another process has taken it.
func (w *watcher) keepLease(ctx context.Context, end context.CancelFunc, lease *store.Lease) {
	tick := time.NewTicker(leaseTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			call, cancel := context.WithTimeout(ctx, storeTimeout)
			still, err := lease.Extend(call, leaseTTL)
			cancel()
			if err == nil && !still {
				end()
				return
			}
		}
	}
}

// readDue returns the due entries of each list, the oldest first.
func (w *watcher) readDue(ctx context.Context) (lists [dueLists][]dueChange, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := time.AfterFunc(storeTimeout, func() { cancel(context.DeadlineExceeded) }) // a context for each call costs more than the call
	defer limit.Stop()
	now := time.Now().Unix()
	for i := range lists {
		limit.Reset(storeTimeout)
		l, _, err := getRecord[dueList](ctx, w.Records, dueListKey(i))
		if err != nil {
			return lists, err
		}
		if l == nil {
			continue
		}
		for key, entry := range l.Due {
			if entry.At <= now && w.Cashier(entry.App) != nil {
				lists[i] = append(lists[i], dueChange{name: key, was: entry})
			}
		}
		slices.SortFunc(lists[i], func(a, b dueChange) int { return cmp.Compare(a.was.At, b.was.At) })
		lists[i] = lists[i][:min(len(lists[i]), maxPerList)]
	}
	return lists, nil
}

// checkAll checks the entries concurrently, and sets the time of their next check.
func (w *watcher) checkAll(ctx context.Context, lists [dueLists][]dueChange) {
	var all sync.WaitGroup
	free := make(chan struct{}, maxChecks)
	for i := range lists {
		for j := range lists[i] {
			change := &lists[i][j]
			free <- struct{}{}
			all.Go(func() {
				defer func() { <-free }()
				change.next = w.check(ctx, change)
			})
		}
	}
	all.Wait()
}

// check checks one entry, reports an error, and returns the time of the next check, or zero for none.
func (w *watcher) check(ctx context.Context, entry *dueChange) time.Time {
	if ctx.Err() != nil {
		return time.Unix(entry.was.At, 0) // unchanged
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	c := w.Cashier(entry.was.App)
	if c == nil { // since readDue
		return time.Unix(entry.was.At, 0)
	}
	next, err := c.check(ctx, entry)
	if err != nil && !errors.Is(err, errRunning) && !errors.Is(err, context.Canceled) {
		w.report(ctx, fmt.Errorf("pay: check %s: %w", entry.name, err))
	}
	return next
}

func (w *watcher) report(ctx context.Context, err error) {
	(&Cashier{OnError: w.OnError}).report(ctx, err)
}

// check checks a due record.
func (c *Cashier) check(ctx context.Context, entry *dueChange) (next time.Time, err error) {
	key := "pay/" + entry.name
	now := time.Now()
	_, kind, _, _ := splitKey(entry.name)
	switch kind {
	case kindOrder:
		return checkRecord(ctx, c, key, entry, now, c.checkOrder)
	case kindRefund:
		return checkRecord(ctx, c, key, entry, now, c.checkRefund)
	case kindTransfer:
		return checkRecord(ctx, c, key, entry, now, c.checkTransfer)
	}
	return now.Add(queryInterval), fmt.Errorf("unknown kind %q: want a later release", kind)
}

// checkRecord reads a record and calls checkOne with it. An entry without a record is dropped after orphanTTL, because another
// process may be about to write the record.
func checkRecord[T any, P interface {
	*T
	record
}](ctx context.Context, c *Cashier, key string, entry *dueChange, now time.Time, checkOne func(context.Context, string, P, time.Time) (time.Time, error)) (time.Time, error) {
	r, _, err := readRecord[T, P](ctx, c.records(), key)
	switch {
	case err != nil:
		return now.Add(unreadableDelay), err
	case r != nil:
		return checkOne(ctx, key, r, now)
	case now.Sub(time.Unix(entry.was.At, 0)) > orphanTTL:
		return time.Time{}, nil
	}
	return time.Unix(entry.was.At, 0), nil
}
