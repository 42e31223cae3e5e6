package gateway

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/internal/renew"
)

const (
	minVisitInterval = 2500 * time.Millisecond // between visits to an app whose credential stays due
	minRetryInterval = 5 * time.Second         // before the visit after a failure; doubles to
	maxRetryInterval = time.Minute             // this, less up to a quarter at random
)

// visit is the next renewal of an app. It holds no settings: these are read once it is due.
type visit struct {
	id    string
	at    time.Time
	wait  time.Duration // after the last failure; 0 after a success
	index int           // in the heap of those that wait; -1 while it is in progress

	kept  atomic.Bool // the app is or was kept; a list may say so while the visit is in progress
	retry bool        // while it is in progress: it follows a failure
	again bool        // while it is in progress: the app has changed since it began
	gone  bool        // the app is not kept, or does not exist
}

// run renews the app's credentials where they are due, and sets the time of the next visit.
func (v *visit) run(ctx context.Context, g *Gateway, p *pace) {
	a, err := g.keptApp(ctx, v.id)
	if err != nil && v.wait == 0 && ctx.Err() == nil {
		g.log.WarnContext(ctx, "an app cannot be renewed, since its registration cannot be read", "id", v.id, "error", err)
	}
	if v.gone = a == nil && err == nil; v.gone {
		if v.kept.Load() && g.registered != nil {
			g.registered.unlistKept(ctx, v.id)
		}
		return
	}
	v.kept.Store(true)
	var due time.Time
	if err == nil {
		if !g.holds(v.id) {
			ctx = renew.Unheld(ctx)
		}
		due, err = a.refresh(ctx, p) // it has logged the error
	}
	now := time.Now()
	if err != nil {
		v.wait = min(max(2*v.wait, minRetryInterval), maxRetryInterval)
		v.at = now.Add(v.wait - rand.N(v.wait/4))
		return
	}
	v.wait, v.at = 0, due
	if soonest := now.Add(minVisitInterval); due.Before(soonest) {
		v.at = soonest
	}
}

// holds reports whether the app with an id stays in memory.
func (g *Gateway) holds(id string) bool {
	return g.served.Load().apps[id] != nil || g.registered != nil && g.registered.apps.holds(id)
}

// keptApp returns the app with an id, or nil if there is none that is kept.
func (g *Gateway) keptApp(ctx context.Context, id string) (*app, error) {
	a := g.served.Load().apps[id]
	if a == nil && g.registered != nil {
		var err error
		if a, err = g.registered.visitByID(ctx, id); err != nil {
			return nil, err
		}
	}
	if a == nil || !a.keep || a.expired() || a.isRevoked() {
		return nil, nil
	}
	return a, nil
}

// refresh renews the token and the configured tickets where they are due, each at its turn of p. It returns the time when the
// first of them is due next, and the first error.
func (a *app) refresh(ctx context.Context, p *pace) (due time.Time, err error) {
	m := a.managers()
	if m.platform != nil {
		return m.tokenDue.refresh(ctx, p, m.platform.Refresh)
	}
	due, err = m.tokenDue.refresh(ctx, p, m.tokens.Refresh)
	if err != nil {
		return due, err
	}
	for i, typ := range a.tickets {
		next, failed := m.ticketsDue[i].refresh(ctx, p, func(ctx context.Context) (time.Time, error) { return m.tickets.Refresh(ctx, typ) })
		if failed != nil && err == nil {
			err = failed
		}
		if next.Before(due) {
			due = next
		}
	}
	return due, err
}

// dueTime is the time when a credential is due next, in Unix milliseconds, or 0.
type dueTime struct{ at atomic.Int64 }

// refresh calls renew, which renews the credential if it is due: then at its turn of p.
func (d *dueTime) refresh(ctx context.Context, p *pace, renew func(context.Context) (time.Time, error)) (time.Time, error) {
	if time.Now().UnixMilli() >= d.at.Load() {
		if err := p.wait(ctx); err != nil {
			return time.Time{}, err
		}
	}
	due, err := renew(ctx)
	if err != nil {
		d.at.Store(0)
		return due, err
	}
	d.at.Store(due.UnixMilli())
	return due, nil
}

// visits is a heap, ordered by time.
type visits []*visit

func (v visits) Len() int           { return len(v) }
func (v visits) Less(i, j int) bool { return v[i].at.Before(v[j].at) }

func (v visits) Swap(i, j int) {
	v[i], v[j] = v[j], v[i]
	v[i].index, v[j].index = i, j
}

func (v *visits) Push(x any) {
	next := x.(*visit)
	next.index = len(*v)
	*v = append(*v, next)
}

func (v *visits) Pop() any {
	last := len(*v) - 1
	x := (*v)[last]
	*v, (*v)[last] = (*v)[:last], nil
	x.index = -1
	return x
}
