package gateway

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wetoken/wetoken/ticket"
)

const (
	renewalsMax = 16                      // apps that are renewed at once
	dueStill    = 2500 * time.Millisecond // until the next visit to an app whose credential remains due
	failedFirst = 5 * time.Second         // until the next visit after a failure …
	failedMost  = time.Minute             // … doubling to this, less up to a quarter by chance
)

// checkTickets refuses tickets that the app's kind does not have, and those that nothing would keep.
func (a App) checkTickets() error {
	var has []string
	switch a.Kind {
	case "", Official:
		has = []string{ticket.JSAPI, ticket.WxCard}
	case Work:
		has = []string{ticket.JSAPI, ticket.AgentConfig}
	}
	for _, typ := range a.Tickets {
		switch {
		case len(has) == 0:
			return fmt.Errorf("tickets: an app of kind %s has none", a.Kind)
		case !slices.Contains(has, typ):
			return fmt.Errorf("tickets: invalid type %q: want %s", typ, strings.Join(has, " or "))
		case typ == ticket.AgentConfig && a.AgentID == 0:
			return errors.New("agent_id: must be set for tickets of type agent_config")
		}
	}
	if len(a.Tickets) > 0 && !a.Keep {
		return errors.New("tickets: needs keep: true beside it")
	}
	return nil
}

// renewKept renews the credentials of apps with keep: true ahead of their end until ctx ends, a few apps at a time and
// first in random order.
func (g *Gateway) renewKept(ctx context.Context) {
	var due visits
	now := time.Now()
	for name, a := range g.apps {
		if name == a.name && a.Keep {
			due = append(due, &visit{app: a, at: now})
		}
	}
	rand.Shuffle(len(due), due.Swap) // all are due now, so any order is that of a heap
	work, done := make(chan *visit), make(chan *visit, renewalsMax)
	var workers sync.WaitGroup
	for range min(renewalsMax, len(due)) {
		workers.Go(func() {
			for v := range work {
				v.make(ctx)
				done <- v
			}
		})
	}
	defer workers.Wait()
	defer close(work)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var first *visit
		var free chan<- *visit // nil while no visit is due
		if len(due) > 0 {
			if wait := time.Until(due[0].at); wait > 0 {
				timer.Reset(wait)
			} else {
				first, free = due[0], work
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case free <- first:
			heap.Pop(&due)
		case v := <-done:
			if !v.app.expired() {
				heap.Push(&due, v)
			}
		}
	}
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

// refresh renews the token and the configured tickets where they are due, and returns when the first of them is due next,
// and the first failure.
func (a *app) refresh(ctx context.Context) (due time.Time, err error) {
	r := a.rooms()
	if due, err = r.tokens.Refresh(ctx); err != nil {
		return due, err
	}
	for _, typ := range a.Tickets {
		next, failed := r.tickets.Refresh(ctx, typ)
		if failed != nil && err == nil {
			err = failed
		}
		if next.Before(due) {
			due = next
		}
	}
	return due, err
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
