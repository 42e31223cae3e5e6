package gateway

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	keptLists       = 256              // terms that list the registered apps with keep
	maxChangedApps  = 1024             // that are named; of more than that all count as changed
	minListInterval = 10 * time.Second // between readings of the lists
	maxListErrors   = 3                // in a row, after which the records count as away
)

// keptTerm returns the term of an app with keep. The ids are in many lists, so that none becomes long.
func keptTerm(id string) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return nthKeptTerm(int(h.Sum32() % keptLists))
}

func nthKeptTerm(n int) string { return fmt.Sprintf("keep/%02x", n) }

// changedApps are the ids of the registered apps that have changed, until somebody takes them.
type changedApps struct {
	wake chan struct{} // has a value while there is something to take

	mu  sync.Mutex
	ids map[string]bool
	all bool // any may have changed
}

func newChangedApps() *changedApps {
	return &changedApps{wake: make(chan struct{}, 1), ids: make(map[string]bool)}
}

func (c *changedApps) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.all {
		c.ids[id] = true
		c.all = len(c.ids) > maxChangedApps
	}
	c.signal()
}

func (c *changedApps) addAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = true
	c.signal()
}

func (c *changedApps) signal() {
	if c.all {
		clear(c.ids)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *changedApps) take() (ids []string, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids, all = slices.Collect(maps.Keys(c.ids)), c.all
	clear(c.ids)
	c.all = false
	return ids, all
}

// keptList is the ids of registered apps that were listed as kept: all of them in the first and last one.
type keptList struct {
	ids         []string
	first, last bool
}

// listKept sends the ids of the registered apps with keep. Those in lists that cannot be read follow later.
func (r *registered) listKept(ctx context.Context, to chan<- keptList) {
	if wait := time.Until(r.listedAt.Add(minListInterval)); wait > 0 && !pause(ctx, wait) {
		return
	}
	missing := make([]string, keptLists)
	for n := range missing {
		missing[n] = nthKeptTerm(n)
	}
	wait := minRetryInterval
	for first := true; first || len(missing) > 0; first = false {
		l := keptList{first: first}
		var err error
		l.ids, missing, err = r.readKept(ctx, missing)
		if err != nil && first && ctx.Err() == nil {
			r.gateway.log.WarnContext(ctx, "some registered apps are not renewed ahead, since they cannot be listed", "lists", len(missing), "error", err)
		}
		l.last = len(missing) == 0
		r.listedAt = time.Now()
		select {
		case to <- l:
		case <-ctx.Done():
			return
		}
		if !l.last {
			if !pause(ctx, wait) {
				return
			}
			wait = min(2*wait, maxRetryInterval)
		}
	}
}

// readKept returns the ids in the lists of terms, those lists that cannot be read, and why not.
func (r *registered) readKept(ctx context.Context, terms []string) (ids, missing []string, err error) {
	errors := 0
	for n, term := range terms {
		if errors == maxListErrors {
			return ids, append(missing, terms[n:]...), err
		}
		listed, failed := r.Listed(ctx, appKind, term)
		if failed != nil {
			missing, err = append(missing, term), failed
			errors++
			continue
		}
		errors = 0
		ids = append(ids, listed...)
	}
	return ids, missing, err
}

// unlistKept removes the id of an app that is not kept from the lists. What it leaves behind is found again.
func (r *registered) unlistKept(ctx context.Context, id string) {
	_ = r.Unlist(ctx, appKind, keptTerm(id), id)
}

// pause waits for d, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
