package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	scanInterval    = 3 * time.Second  // between scans for items that this process did not add
	firstRetryDelay = time.Second      // doubles with each failure
	maxRetryDelay   = 10 * time.Minute // less up to a quarter at random
	stopTimeout     = 3 * time.Second  // for deliveries in progress when Run ends
	maxReadyKeys    = 256              // of one queue in memory; the others stay in the store
	maxDelayedKeys  = 1024             // of one queue in memory
	maxPerTarget    = 4                // deliveries to one target at a time
)

// Run delivers items until ctx ends, waits for the deliveries in progress or cancels them after 3 seconds, and returns
// the cause of ctx. A Send that ignores its ctx delays the return.
func (o *Outbox) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	d := &dispatcher{
		Outbox: o, queues: make(map[string]*targetQueue), apps: make(map[string]int), scanAt: time.Now(),
		done: make(chan result), asks: make(chan admission), found: make(chan string), scanned: make(chan error),
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		d.startReady(work, now)
		d.startScan(ctx, now)
		timer.Reset(time.Until(d.nextWake(now)))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case key := <-o.addedKeys():
			d.addKey(key)
		case key := <-d.found:
			d.addKey(key)
		case err := <-d.scanned:
			d.finishScan(ctx, err)
		case a := <-d.asks:
			a.allowed <- d.admit(a)
		case r := <-d.done:
			d.recordResult(ctx, r)
		}
	}
	defer time.AfterFunc(stopTimeout, cancel).Stop()
	d.drain()
	return context.Cause(ctx)
}

// dispatcher is the state of one Run. Only the goroutine of Run uses it; deliveries and the scan report over channels.
type dispatcher struct {
	*Outbox
	queues  map[string]*targetQueue
	running int            // deliveries in progress
	apps    map[string]int // of those, by app, once their items are read
	probes  int            // of those, to targets that fail
	done    chan result
	asks    chan admission

	scanAt      time.Time
	scanning    bool
	scanNumber  int
	scanStarted time.Time
	found       chan string
	scanned     chan error
	storeDown   bool // the last use of the store failed

	reportedNewer bool // items of a later release were reported
}

// drain waits for the deliveries and the scan in progress.
func (d *dispatcher) drain() {
	for d.running > 0 || d.scanning {
		select {
		case a := <-d.asks:
			a.allowed <- false
		case <-d.done:
			d.running--
		case <-d.found:
		case <-d.scanned:
			d.scanning = false
		}
	}
}

// addKey puts a key that was added or found into its queue.
func (d *dispatcher) addKey(key string) {
	if len(key) != len(d.itemPrefix())+2*digestLen+1 {
		return // not a key of an outbox
	}
	id := d.queueID(key)
	q := d.queues[id]
	if q == nil {
		q = &targetQueue{entries: make(map[string]*entry)}
		d.queues[id] = q
	}
	q.lastScan = d.scanNumber
	if q.entries[key] != nil {
		return
	}
	if len(q.ready) >= maxReadyKeys {
		q.overflowed = true
		return
	}
	q.entries[key] = new(entry)
	q.ready = append(q.ready, key)
}

// startReady starts the deliveries that may start now.
func (d *dispatcher) startReady(ctx context.Context, now time.Time) {
	for _, q := range d.queues {
		q.wakeDelayed(now)
		for len(q.ready) > 0 && d.canDeliver(q, now) {
			d.startDelivery(ctx, q)
		}
		if q.overflowed && len(q.ready) == 0 && !d.scanning {
			q.overflowed, d.scanAt = false, now
		}
	}
}

// startDelivery starts the delivery of the first ready key of q.
func (d *dispatcher) startDelivery(ctx context.Context, q *targetQueue) {
	key, probe, lastError := q.ready[0], q.failures > 0, q.lastError
	q.ready = q.ready[1:]
	q.running++
	d.running++
	if probe {
		d.probes++
	}
	admit, known := d.ask, q.app != ""
	if known {
		d.apps[q.app]++
		admit = nil
	}
	go func() {
		r := d.deliver(ctx, key, lastError, admit)
		r.probe, r.admitted = probe, r.admitted || known
		d.done <- r
	}()
}

// canDeliver reports whether q may have one more delivery in progress. A target that fails has one, and all of these
// together take half of the limit, as they may be slow to fail.
func (d *dispatcher) canDeliver(q *targetQueue, now time.Time) bool {
	switch limit := d.limit(); {
	case d.running >= limit || now.Before(q.retryAt) || d.isFull(q.app):
		return false
	case q.failures > 0:
		return q.running == 0 && d.probes < limit/2
	default:
		return q.running < min(max(limit/8, 1), maxPerTarget)
	}
}

// isFull reports whether an app has as many deliveries as it may: half of what the others leave, so that slow targets of one app do not
// delay those of another. The app of a queue is unknown, and empty, until an item of it is read.
func (d *dispatcher) isFull(app string) bool {
	own := d.apps[app]
	return app != "" && own > 0 && own >= (d.limit()-(d.running-own))/2
}

// admission asks whether an item that was read may be sent now.
type admission struct {
	key, app string
	allowed  chan bool
}

// ask returns the answer of admit to a delivery.
func (d *dispatcher) ask(key, app string) bool {
	a := admission{key, app, make(chan bool)}
	d.asks <- a
	return <-a.allowed
}

// admit records the app of a queue, and reports whether it may have one more delivery.
func (d *dispatcher) admit(a admission) bool {
	q := d.queues[d.queueID(a.key)]
	q.app = a.app
	if d.isFull(a.app) {
		return false
	}
	d.apps[a.app]++
	return true
}

// nextWake returns when Run has to continue if nothing is reported before. Keys that are due already wait for a
// delivery to end.
func (d *dispatcher) nextWake(now time.Time) time.Time {
	next := now.Add(maxRetryDelay)
	if !d.scanning {
		next = d.scanAt
	}
	for _, q := range d.queues {
		at := q.retryAt
		if len(q.ready) == 0 {
			if q.delayed == 0 {
				continue
			}
			if at.Before(q.wakeAt) {
				at = q.wakeAt
			}
		}
		if at.After(now) && at.Before(next) {
			next = at
		}
	}
	return next
}

// recordResult updates the queue of a key that a delivery is done with.
func (d *dispatcher) recordResult(ctx context.Context, r result) {
	now, id := time.Now(), d.queueID(r.key)
	q := d.queues[id]
	d.running--
	q.running--
	if r.admitted {
		if d.apps[q.app]--; d.apps[q.app] == 0 {
			delete(d.apps, q.app)
		}
	}
	if r.probe {
		d.probes--
	}
	d.recordStoreState(ctx, r.outcome == storeFailed, r.err)
	switch r.outcome {
	case delivered:
		q.failures, q.lastError, q.retryAt = 0, nil, time.Time{}
		delete(q.entries, r.key)
	case removed:
		delete(q.entries, r.key)
	case leased:
		q.delay(r.key, now.Add(leaseInterval))
	case waiting:
		q.ready = append([]string{r.key}, q.ready...)
	case newer, storeFailed:
		q.entries[r.key].tries++
		q.delay(r.key, now.Add(retryDelay(q.entries[r.key].tries, rand.Float64())))
	case failed:
		d.recordFailure(ctx, q, r, now)
	case held:
		if q.entries[r.key].tries++; q.entries[r.key].tries == 1 {
			d.report(ctx, r.err)
		}
		q.delay(r.key, now.Add(maxRetryDelay))
	}
	if r.outcome == newer && !d.reportedNewer {
		d.reportedNewer = true
		d.report(ctx, fmt.Errorf("outbox: items wait for a process of a later release: %w", r.err))
	}
	if len(q.entries) == 0 && q.failures == 0 && !q.overflowed {
		delete(d.queues, id)
	}
}

// recordFailure delays a key whose delivery failed, and the target: briefly if the target replied. Deliveries that were in
// progress when a failure was counted count as the same failure.
func (d *dispatcher) recordFailure(ctx context.Context, q *targetQueue, r result, now time.Time) {
	e, random := q.entries[r.key], rand.Float64()
	e.tries++
	q.lastError = r.err
	q.delay(r.key, now.Add(retryDelay(e.tries, random)))
	if r.started.Before(q.failedAt) {
		return
	}
	q.failures++
	q.failedAt, q.retryAt = now, now.Add(retryDelay(q.failures, random))
	if errors.As(r.err, new(replied)) {
		q.retryAt = now.Add(firstRetryDelay)
	}
	if q.failures == 1 {
		d.report(ctx, fmt.Errorf("outbox: delivery to %s failed: %w", r.target, r.err))
	}
}

// startScan starts a scan when it is time for one.
func (d *dispatcher) startScan(ctx context.Context, now time.Time) {
	if d.scanning || now.Before(d.scanAt) {
		return
	}
	d.scanning, d.scanStarted = true, now
	d.scanNumber++
	go func() { d.scanned <- d.scanStore(ctx) }()
}

// scanStore sends the keys of all items in the store to found.
func (d *dispatcher) scanStore(ctx context.Context) error {
	for key, err := range d.Store.Keys(ctx, d.itemPrefix()) {
		if err != nil {
			return fmt.Errorf("outbox: list items: %w", err)
		}
		select {
		case d.found <- key:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// finishScan plans the next scan, so that scans take at most a sixth of the time, and removes the queues that have no
// items left.
func (d *dispatcher) finishScan(ctx context.Context, err error) {
	now := time.Now()
	d.scanning, d.scanAt = false, now.Add(max(scanInterval, 5*now.Sub(d.scanStarted)))
	d.recordStoreState(ctx, err != nil, err)
	if err != nil {
		return
	}
	for id, q := range d.queues {
		if len(q.entries) == 0 && q.lastScan != d.scanNumber {
			delete(d.queues, id)
		}
	}
}

// recordStoreState reports err when the store begins to fail.
func (d *dispatcher) recordStoreState(ctx context.Context, down bool, err error) {
	if down && !d.storeDown && ctx.Err() == nil {
		d.report(ctx, err)
	}
	d.storeDown = down
}
