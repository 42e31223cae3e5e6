package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	scanEvery = 3 * time.Second  // for items of other processes, alive or dead, and those of this one's last life
	waitFirst = time.Second      // after a first failure …
	waitMost  = 10 * time.Minute // … doubling to this, less up to a quarter by chance
	farewell  = 3 * time.Second  // for deliveries under way when Keep has to end
	maxReady  = 256              // keys of one lane held in memory; the store has the others
	maxRest   = 1024
	maxOne    = 4 // deliveries to one target at a time
)

// Keep delivers until ctx ends, and then returns its cause once the deliveries under way are done or cut short. A Send
// that does not heed its ctx holds Keep up.
func (o *Outbox) Keep(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	d := &desk{
		Outbox: o, lanes: make(map[string]*lane), scanAt: time.Now(),
		done: make(chan result), found: make(chan string), scanned: make(chan error),
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		d.start(ctx, work, now)
		timer.Reset(time.Until(d.next(now)))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case key := <-o.added():
			d.note(key)
		case key := <-d.found:
			d.note(key)
		case err := <-d.scanned:
			d.endScan(ctx, err)
		case r := <-d.done:
			d.settle(ctx, r)
		}
	}
	defer time.AfterFunc(farewell, cancel).Stop()
	for d.running > 0 || d.scanning {
		select {
		case <-d.done:
			d.running--
		case <-d.found:
		case <-d.scanned:
			d.scanning = false
		}
	}
	return context.Cause(ctx)
}

// desk is what one Keep knows. It belongs to one goroutine, to which the workers and the scan report.
type desk struct {
	*Outbox
	lanes   map[string]*lane
	running int
	probing int // of those running, the ones to targets that fail
	done    chan result

	scanAt   time.Time
	scanning bool
	scan     int // its number
	began    time.Time
	found    chan string
	scanned  chan error
	sick     bool // the store did not answer last time

	toldLater bool // it was reported that items are of a later release
}

// note takes in a key that was added or found.
func (d *desk) note(key string) {
	if len(key) != len(d.items())+2*digestLen+1 {
		return // not one of ours
	}
	id := d.laneOf(key)
	l := d.lanes[id]
	if l == nil {
		l = &lane{known: make(map[string]*waiting)}
		d.lanes[id] = l
	}
	l.seen = d.scan
	if l.known[key] != nil {
		return
	}
	if len(l.ready) >= maxReady {
		l.more = true
		return
	}
	l.known[key] = new(waiting)
	l.ready = append(l.ready, key)
}

// start sets to work what may be set to work, and scans when it is time.
func (d *desk) start(ctx, work context.Context, now time.Time) {
	for _, l := range d.lanes {
		l.rouse(now)
		for len(l.ready) > 0 && d.may(l, now) {
			key, probe := l.ready[0], l.failures > 0
			l.ready = l.ready[1:]
			l.running++
			d.running++
			if probe {
				d.probing++
			}
			last := l.last
			go func() {
				r := d.deliver(work, key, last)
				r.probe = probe
				d.done <- r
			}()
		}
		if l.more && len(l.ready) == 0 && !d.scanning {
			l.more, d.scanAt = false, now
		}
	}
	if !d.scanning && !now.Before(d.scanAt) {
		d.scanning, d.began = true, now
		d.scan++
		go func() { d.scanned <- d.look(ctx) }()
	}
}

// may reports whether l may have one more delivery under way. A target that fails has one, and all of them together half
// of what there is, as they may take their time to fail.
func (d *desk) may(l *lane, now time.Time) bool {
	switch limit := d.limit(); {
	case d.running >= limit || now.Before(l.next):
		return false
	case l.failures > 0:
		return l.running == 0 && d.probing < limit/2
	default:
		return l.running < min(max(limit/8, 1), maxOne)
	}
}

// next is when there is something to do if nothing happens. What is due by now waits for a delivery to end.
func (d *desk) next(now time.Time) time.Time {
	next := now.Add(waitMost)
	if !d.scanning {
		next = d.scanAt
	}
	for _, l := range d.lanes {
		at := l.next
		if len(l.ready) == 0 {
			if l.resting == 0 {
				continue
			}
			if at.Before(l.wake) {
				at = l.wake
			}
		}
		if at.After(now) && at.Before(next) {
			next = at
		}
	}
	return next
}

// settle takes in what a worker did.
func (d *desk) settle(ctx context.Context, r result) {
	now, id := time.Now(), d.laneOf(r.key)
	l := d.lanes[id]
	w := l.known[r.key]
	d.running--
	l.running--
	if r.probe {
		d.probing--
	}
	d.health(ctx, r.outcome == lost, r.err)
	switch r.outcome {
	case delivered:
		l.failures, l.last, l.next = 0, nil, time.Time{}
		delete(l.known, r.key)
	case gone:
		delete(l.known, r.key)
	case busy:
		l.rest(r.key, now.Add(leaseBeat))
	case later:
		w.tries++
		l.rest(r.key, now.Add(pause(w.tries, rand.Float64())))
		if !d.toldLater {
			d.toldLater = true
			d.report(ctx, fmt.Errorf("outbox: items wait for a process that can read them: %w", r.err))
		}
	case lost:
		w.tries++
		l.rest(r.key, now.Add(pause(w.tries, rand.Float64())))
	case failed:
		w.tries++
		l.last = r.err
		chance := rand.Float64()
		l.rest(r.key, now.Add(pause(w.tries, chance)))
		if r.started.Before(l.failed) {
			break // under way when the failure was counted: it is the same one
		}
		l.failures++
		l.failed, l.next = now, now.Add(pause(l.failures, chance))
		if l.failures == 1 {
			d.report(ctx, fmt.Errorf("outbox: %s fails, what is for it waits: %w", r.target, r.err))
		}
	}
	if len(l.known) == 0 && l.failures == 0 && !l.more {
		delete(d.lanes, id)
	}
}

// look finds the items in the store.
func (d *desk) look(ctx context.Context) error {
	for key, err := range d.Store.Keys(ctx, d.items()) {
		if err != nil {
			return fmt.Errorf("outbox: look for items: %w", err)
		}
		select {
		case d.found <- key:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// endScan plans the next scan, so that scanning takes a small part of the time however much there is to scan, and
// forgets targets of which nothing is left.
func (d *desk) endScan(ctx context.Context, err error) {
	now := time.Now()
	d.scanning, d.scanAt = false, now.Add(max(scanEvery, 5*now.Sub(d.began)))
	d.health(ctx, err != nil, err)
	if err != nil {
		return
	}
	for id, l := range d.lanes {
		if len(l.known) == 0 && l.seen != d.scan {
			delete(d.lanes, id)
		}
	}
}

// health reports a store that does not answer, once.
func (d *desk) health(ctx context.Context, sick bool, err error) {
	if sick && !d.sick && ctx.Err() == nil {
		d.report(ctx, err)
	}
	d.sick = sick
}
