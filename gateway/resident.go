package gateway

import (
	"container/list"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	absentLife    = 2 * time.Second // how long an unknown name is remembered
	maxAbsent     = 10000           // names that are remembered so
	maxLoads      = 64              // reads of the records at once
	maxLoadTime   = 5 * time.Second
	maxTermsAtOne = 64 // names and terms by which one value is found
)

// resident holds values that were read from the records, such as apps, up to a limit. Each is found by its id and by terms: its
// name, its appid. Those that were not used for a while make room for others. A term that leads to nothing is remembered for 2
// seconds. Requests that need the same value wait for one read of it.
type resident[V any] struct {
	limit int
	slots chan struct{} // of loads

	found sync.Map // term to *heldValue[V]

	mu     sync.Mutex
	byID   map[string]*list.Element // of order
	order  *list.List               // of *heldValue[V]; the front is to go next
	loads  map[string]*load[V]
	absent map[string]time.Time // term to the end of its memory
}

type heldValue[V any] struct {
	id    string
	value V
	terms []string
	used  atomic.Bool // since it came to the back of order
}

// load is a read in progress.
type load[V any] struct {
	done  chan struct{}
	stale bool               // a change came meanwhile: the value is not held
	spare func(value V) bool // not nil if nobody but a visit waits: the value is held if this is true, and there is room
	value V
	ok    bool
	err   error
}

func newResident[V any](limit int) *resident[V] {
	r := &resident[V]{limit: limit, slots: make(chan struct{}, maxLoads)}
	r.reset()
	return r
}

func (r *resident[V]) reset() {
	r.found.Clear()
	r.byID, r.order, r.absent = make(map[string]*list.Element), list.New(), make(map[string]time.Time)
	for _, l := range r.loads {
		l.stale = true
	}
	r.loads = make(map[string]*load[V])
}

// get returns the value that a term leads to. read returns it from the records, with its id.
func (r *resident[V]) get(ctx context.Context, term string, read func(context.Context) (id string, v V, ok bool, err error)) (v V, ok bool, err error) {
	if v, ok = r.held(term); ok {
		return v, true, nil
	}
	r.mu.Lock()
	if v, ok = r.held(term); ok { // a read of it has just ended
		r.mu.Unlock()
		return v, true, nil
	}
	if until, known := r.absent[term]; known && time.Now().Before(until) {
		r.mu.Unlock()
		return v, false, nil
	}
	return r.load(ctx, term, nil, read)
}

// visit is get for the value with an id, by work in the background. It does not count as use. A value that it reads is held only
// if there is room, and if hold, which reports whether it is worth that.
func (r *resident[V]) visit(ctx context.Context, id, term string, read func(context.Context) (string, V, bool, error), hold func(V) bool) (v V, ok bool, err error) {
	r.mu.Lock()
	if at, ok := r.byID[id]; ok {
		r.mu.Unlock()
		return at.Value.(*heldValue[V]).value, true, nil
	}
	return r.load(ctx, term, hold, read)
}

// holds reports whether the value with an id is held.
func (r *resident[V]) holds(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id] != nil
}

// load waits for the read of a term that is in progress, or begins one. r.mu is locked, and unlocked before that.
func (r *resident[V]) load(ctx context.Context, term string, spare func(V) bool, read func(context.Context) (string, V, bool, error)) (v V, ok bool, err error) {
	l := r.loads[term]
	if l != nil {
		if spare == nil {
			l.spare = nil
		}
		r.mu.Unlock()
		select {
		case <-l.done:
			return l.value, l.ok, l.err
		case <-ctx.Done():
			return v, false, context.Cause(ctx)
		}
	}
	l = &load[V]{done: make(chan struct{}), spare: spare}
	r.loads[term] = l
	r.mu.Unlock()
	r.run(ctx, term, l, read)
	return l.value, l.ok, l.err
}

func (r *resident[V]) held(term string) (v V, ok bool) {
	at, ok := r.found.Load(term)
	if !ok {
		return v, false
	}
	h := at.(*heldValue[V])
	if !h.used.Load() {
		h.used.Store(true)
	}
	return h.value, true
}

// run makes a load, which does not end with the request that began it, since others wait for it.
func (r *resident[V]) run(ctx context.Context, term string, l *load[V], read func(context.Context) (string, V, bool, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxLoadTime)
	defer cancel()
	defer close(l.done)
	var id string
	select {
	case r.slots <- struct{}{}:
		id, l.value, l.ok, l.err = read(ctx)
		<-r.slots
	case <-ctx.Done():
		l.err = context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.stale {
		return
	}
	delete(r.loads, term)
	switch {
	case l.ok && l.err == nil && l.spare != nil && (len(r.byID) >= r.limit && r.byID[id] == nil || !l.spare(l.value)):
	case l.ok && l.err == nil:
		l.value = r.hold(id, term, l.value, l.spare == nil)
	case l.err == nil:
		if len(r.absent) >= maxAbsent {
			clear(r.absent)
		}
		r.absent[term] = time.Now().Add(absentLife)
	}
}

// hold holds a value, or returns the one with its id that is held already. One that is not in use is the next to go.
func (r *resident[V]) hold(id, term string, v V, inUse bool) V {
	var h *heldValue[V]
	if at, ok := r.byID[id]; ok {
		h = at.Value.(*heldValue[V])
		h.used.Store(h.used.Load() || inUse)
	} else {
		h = &heldValue[V]{id: id, value: v}
		if inUse {
			r.byID[id] = r.order.PushBack(h)
		} else {
			r.byID[id] = r.order.PushFront(h)
		}
	}
	if len(h.terms) < maxTermsAtOne {
		h.terms = append(h.terms, term)
		r.found.Store(term, h)
	}
	for len(r.byID) > r.limit {
		next := r.order.Front()
		if next.Value.(*heldValue[V]).used.CompareAndSwap(true, false) {
			r.order.MoveToBack(next)
			continue
		}
		r.remove(next)
	}
	return h.value
}

func (r *resident[V]) remove(at *list.Element) {
	h := r.order.Remove(at).(*heldValue[V])
	delete(r.byID, h.id)
	for _, term := range h.terms {
		r.found.Delete(term)
	}
}

// unlink has the terms with a prefix no longer lead to what is held, nor to nothing.
func (r *resident[V]) unlink(prefix string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found.Range(func(term, at any) bool {
		if strings.HasPrefix(term.(string), prefix) {
			r.found.Delete(term)
			h := at.(*heldValue[V])
			h.terms = slices.DeleteFunc(h.terms, func(t string) bool { return t == term })
		}
		return true
	})
	r.forgetReads()
}

// drop forgets the value with an id, and which terms lead to nothing. A read in progress is not held.
func (r *resident[V]) drop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.byID[id]; ok {
		r.remove(at)
	}
	r.forgetReads()
}

// forgetReads forgets which terms lead to nothing. A read in progress is not held.
func (r *resident[V]) forgetReads() {
	clear(r.absent)
	for _, l := range r.loads {
		l.stale = true
	}
	clear(r.loads)
}

// dropAll forgets everything.
func (r *resident[V]) dropAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reset()
}

// values returns the values that are held now.
func (r *resident[V]) values() (all []V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at := r.order.Front(); at != nil; at = at.Next() {
		all = append(all, at.Value.(*heldValue[V]).value)
	}
	return all
}
