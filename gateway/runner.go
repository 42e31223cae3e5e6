package gateway

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	renewalsMax = 16                      // apps that are renewed at once
	dueStill    = 2500 * time.Millisecond // until the next visit to an app whose credential remains due
	failedFirst = 5 * time.Second         // until the next visit after a failure …
	failedMost  = time.Minute             // … doubling to this, less up to a quarter by chance
)

// runner visits the apps that have background work when it is due, a few at a time and first in random order. It follows
// the snapshot that is served: an app that this lacks is not visited again. It belongs to one goroutine, to which those of
// the visits report.
type runner struct {
	gateway *Gateway
	served  *snapshot
	due     visits        // those that wait
	known   map[*app]bool // apps with a visit that waits or is under way
	running int           // visits
	done    chan *visit
}

// run visits apps until ctx ends, and returns once the visits under way have ended.
func (g *Gateway) run(ctx context.Context) {
	r := &runner{gateway: g, known: make(map[*app]bool), done: make(chan *visit, renewalsMax)}
	var visits sync.WaitGroup
	defer visits.Wait()
	r.follow()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		for v := r.next(); v != nil; v = r.next() {
			visits.Go(func() {
				v.make(ctx)
				r.done <- v
			})
		}
		if len(r.due) > 0 && r.running < renewalsMax {
			timer.Reset(time.Until(r.due[0].at))
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case v := <-r.done:
			r.end(v)
		case <-r.served.replaced:
			r.follow()
		}
	}
}

// follow begins the work of apps that are new in the snapshot served, and ends that of those that it lacks.
func (r *runner) follow() {
	r.served = r.gateway.served.Load()
	waiting := r.due[:0]
	for _, v := range r.due {
		if r.works(v.app) {
			waiting = append(waiting, v)
		} else {
			delete(r.known, v.app)
		}
	}
	clear(r.due[len(waiting):])
	r.due = waiting
	now := time.Now()
	for _, a := range r.served.apps {
		if r.works(a) && !r.known[a] {
			r.known[a] = true
			r.due = append(r.due, &visit{app: a, at: now})
		}
	}
	rand.Shuffle(len(r.due), r.due.Swap) // a heap keeps the order of those that are due at one time
	heap.Init(&r.due)
}

// works reports whether a has background work.
func (r *runner) works(a *app) bool { return a.keep && !a.expired() && r.served.apps[a.id] == a }

// next takes the visit that is due, if one may begin.
func (r *runner) next() *visit {
	if len(r.due) == 0 || r.running == renewalsMax || time.Now().Before(r.due[0].at) {
		return nil
	}
	r.running++
	return heap.Pop(&r.due).(*visit)
}

// end plans the next visit after one.
func (r *runner) end(v *visit) {
	r.running--
	if !r.works(v.app) {
		delete(r.known, v.app)
		return
	}
	heap.Push(&r.due, v)
}

// visit is the next renewal of an app.
type visit struct {
	app  *app
	at   time.Time
	wait time.Duration // after the last failure; 0 after a success
}

// make renews the app's credentials where they are due, and sets the time of the next visit.
func (v *visit) make(ctx context.Context) {
	if v.app.expired() {
		return
	}
	due, err := v.app.refresh(ctx) // which has reported the failure
	now := time.Now()
	if err != nil {
		v.wait = min(max(2*v.wait, failedFirst), failedMost)
		v.at = now.Add(v.wait - rand.N(v.wait/4))
		return
	}
	v.wait, v.at = 0, due
	if soonest := now.Add(dueStill); due.Before(soonest) {
		v.at = soonest
	}
}

// visits is a heap of them, the earliest first.
type visits []*visit

func (v visits) Len() int           { return len(v) }
func (v visits) Less(i, j int) bool { return v[i].at.Before(v[j].at) }
func (v visits) Swap(i, j int)      { v[i], v[j] = v[j], v[i] }
func (v *visits) Push(x any)        { *v = append(*v, x.(*visit)) }

func (v *visits) Pop() any {
	last := len(*v) - 1
	x := (*v)[last]
	*v, (*v)[last] = (*v)[:last], nil
	return x
}
