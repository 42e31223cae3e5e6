package gateway

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	maxRenewals     = 16 // apps that are renewed at once
	maxRetries      = 12 // of them, those whose last renewal failed: others need not wait for calls that time out
	defaultKeepRate = 50 // of keep_rate
	maxKeepRate     = 100000
)

// renewalSchedule visits the apps with keep when they are due, a few at a time, and first in random order. It holds an id and
// a time of each. An app that changes is visited at once: the visit reads what it has become. The schedule belongs to one
// goroutine, to which the visits report.
type renewalSchedule struct {
	gateway *Gateway
	pace    *pace
	current *snapshot
	due     visits            // waiting
	retries visits            // waiting after a failure
	known   map[string]*visit // waiting or in progress, by id
	running int               // visits in progress
	retried int               // of them, those after a failure

	work    sync.WaitGroup
	done    chan *visit
	lists   chan keptList
	listing bool // the ids of the registered apps with keep are being read
	relist  bool // and have to be read again after that
}

// runRenewals visits apps until ctx ends, and returns once the visits in progress have ended.
func (g *Gateway) runRenewals(ctx context.Context) {
	r := &renewalSchedule{
		gateway: g, pace: newPace(g.keepRate), current: new(snapshot), known: make(map[string]*visit),
		done: make(chan *visit, maxRenewals), lists: make(chan keptList),
	}
	defer r.work.Wait()
	var changed <-chan struct{} // nil without registered apps
	if g.registered != nil {
		changed = g.registered.changed.wake
	}
	r.followSnapshot()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		for v := r.startNext(); v != nil; v = r.startNext() {
			r.work.Go(func() {
				v.run(ctx, g, r.pace)
				r.done <- v
			})
		}
		if at, ok := r.nextStart(); ok {
			timer.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case v := <-r.done:
			r.finish(v)
		case <-r.current.replaced:
			r.followSnapshot()
		case <-changed:
			r.followChanges(ctx)
		case l := <-r.lists:
			r.followList(ctx, l)
		}
	}
}

// followSnapshot makes the apps due that the current snapshot has anew, or has lost.
func (r *renewalSchedule) followSnapshot() {
	last := r.current
	r.current = r.gateway.served.Load()
	for id, a := range last.apps {
		if a.keep && r.current.apps[id] == nil {
			r.makeDue(id)
		}
	}
	for id, a := range r.current.apps {
		if a != last.apps[id] && (a.keep || r.known[id] != nil) {
			r.makeDue(id)
		}
	}
}

// followChanges makes the registered apps due that have changed.
func (r *renewalSchedule) followChanges(ctx context.Context) {
	ids, all := r.gateway.registered.changed.take()
	for _, id := range ids {
		r.makeDue(id)
	}
	if !all {
		return
	}
	if r.relist = r.listing; r.listing {
		return
	}
	r.listing = true
	r.work.Go(func() { r.gateway.registered.listKept(ctx, r.lists) })
}

// followList makes the registered apps due, after an unknown number of them has changed.
func (r *renewalSchedule) followList(ctx context.Context, l keptList) {
	for _, id := range l.ids {
		r.makeDue(id)
		r.known[id].kept.Store(true)
	}
	if l.first {
		for id := range r.known {
			if r.current.apps[id] == nil {
				r.makeDue(id)
			}
		}
	}
	if r.listing = !l.last; !r.listing && r.relist {
		r.gateway.registered.changed.addAll()
	}
}

// makeDue has an app visited at once.
func (r *renewalSchedule) makeDue(id string) {
	now := time.Now().Add(-rand.N(time.Second)) // so that apps of one moment are visited in random order
	v := r.known[id]
	switch {
	case v == nil:
		v = &visit{id: id, at: now}
		r.known[id] = v
		heap.Push(&r.due, v)
	case v.index < 0:
		v.again = true
	case now.Before(v.at):
		v.at = now
		heap.Fix(r.heapOf(v), v.index)
	}
}

// heapOf returns the heap in which a visit waits.
func (r *renewalSchedule) heapOf(v *visit) *visits {
	if v.wait > 0 {
		return &r.retries
	}
	return &r.due
}

// startNext returns the visit that is due, or nil if none may begin.
func (r *renewalSchedule) startNext() *visit {
	h := r.next()
	if h == nil || time.Now().Before((*h)[0].at) {
		return nil
	}
	v := heap.Pop(h).(*visit)
	r.running++
	if v.retry = h == &r.retries; v.retry {
		r.retried++
	}
	return v
}

// nextStart returns when the next visit may begin, unless the end of another one decides.
func (r *renewalSchedule) nextStart() (at time.Time, ok bool) {
	h := r.next()
	if h == nil {
		return at, false
	}
	return (*h)[0].at, true
}

// next returns the heap that has the next visit, or nil if none may begin.
func (r *renewalSchedule) next() *visits {
	retry := len(r.retries) > 0 && r.retried < maxRetries
	switch {
	case r.running == maxRenewals || len(r.due) == 0 && !retry:
		return nil
	case retry && (len(r.due) == 0 || r.retries[0].at.Before(r.due[0].at)):
		return &r.retries
	}
	return &r.due
}

// finish schedules the next visit after v.
func (r *renewalSchedule) finish(v *visit) {
	r.running--
	if v.retry {
		r.retried--
	}
	switch {
	case v.again:
		v.at, v.again = time.Now(), false
	case v.gone:
		delete(r.known, v.id)
		return
	}
	heap.Push(r.heapOf(v), v)
}
