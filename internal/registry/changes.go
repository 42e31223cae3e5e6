package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	changesKey  = "registry/changes"
	maxChanges  = 256              // that the record of changes names
	pendingLife = 30 * time.Second // a change that is pending for longer has failed
)

// changesRecord names the entries that were changed last. A change is named as pending before the entry is written, and again
// after that. Revisions grow, even across a store that lost everything: the first is the time.
type changesRecord struct {
	Version  int      `json:"v,omitempty"`
	Revision int64    `json:"revision"`
	Floor    int64    `json:"floor"` // the record names every change after this revision
	Changes  []change `json:"changes"`
}

type change struct {
	Revision int64  `json:"revision"`
	Of       string `json:"of"` // kind/id
	Pending  bool   `json:"pending,omitempty"`
}

// markPending names an entry that is about to be changed. It returns the revision of that mark.
func (r *Registry) markPending(ctx context.Context, kind Kind, id string) (revision int64, err error) {
	err = r.changeChanges(ctx, func(c *changesRecord) {
		c.add(change{Of: string(kind) + "/" + id, Pending: true})
		revision = c.Revision
	})
	return revision, err
}

// markDone names an entry that was changed, in place of the mark with a revision.
func (r *Registry) markDone(ctx context.Context, kind Kind, id string, pending int64) error {
	of := string(kind) + "/" + id
	return r.changeChanges(ctx, func(c *changesRecord) {
		c.Changes = slices.DeleteFunc(c.Changes, func(o change) bool { return o.Revision == pending || o.Of == of && !o.Pending })
		c.add(change{Of: of})
	})
}

// add appends the mark n. Of more than maxChanges it drops the oldest one that is done, or has failed.
func (c *changesRecord) add(n change) {
	now := time.Now().UnixMilli()
	if c.Revision == 0 {
		c.Floor = now - 1
	}
	c.Revision = max(c.Revision+1, now)
	n.Revision = c.Revision
	c.Changes = append(c.Changes, n)
	for len(c.Changes) > maxChanges {
		at := max(slices.IndexFunc(c.Changes, func(o change) bool {
			return !o.Pending || c.Revision-o.Revision > 2*pendingLife.Milliseconds()
		}), 0)
		c.Floor = max(c.Floor, c.Changes[at].Revision)
		c.Changes = slices.Delete(c.Changes, at, at+1)
	}
}

func (r *Registry) changeChanges(ctx context.Context, change func(*changesRecord)) error {
	for try := range changeTries {
		c, raw, err := r.readChanges(ctx)
		if err != nil {
			return err
		}
		change(&c)
		c.Version = recordVersion
		next, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("registry: note a change: %w", err)
		}
		swapped, err := r.Store.Swap(ctx, changesKey, raw, next, 0)
		if err != nil {
			return fmt.Errorf("registry: note a change: %w", err)
		}
		if swapped {
			return nil
		}
		if err := waitForOthers(ctx, try); err != nil {
			return err
		}
	}
	return ErrBusy
}

func (r *Registry) readChanges(ctx context.Context) (c changesRecord, raw []byte, err error) {
	raw, ok, err := r.get(ctx, changesKey)
	if err != nil || !ok {
		return c, nil, err
	}
	c, err = decodeChanges(raw, ok)
	return c, raw, err
}

// decodeChanges reads the record of changes; without one there are none.
func decodeChanges(raw []byte, ok bool) (c changesRecord, err error) {
	if !ok {
		return c, nil
	}
	if err := decode(raw, &c, func() int { return c.Version }); err != nil {
		return changesRecord{}, fmt.Errorf("%w, under %q", err, changesKey)
	}
	return c, nil
}

// Ref names an entry.
type Ref struct {
	Kind Kind
	ID   string
}

// Feed tells a process which entries others have changed. It belongs to one goroutine at a time.
type Feed struct {
	Registry *Registry

	begun   bool
	last    []byte // the record as it was read last
	seen    int64
	pending map[int64]time.Time // when this process saw a pending change first, by its revision
}

// Read returns the entries that may have changed since the last Read; all is true if any may have, such as for the first Read. A
// change that is pending is returned by each Read for 30 seconds, since its process may have ended after writing the entry.
func (f *Feed) Read(ctx context.Context) (changed []Ref, all bool, err error) {
	raw, ok, err := f.Registry.get(ctx, changesKey)
	if err != nil {
		return nil, false, err
	}
	if f.begun && ok && len(f.pending) == 0 && bytes.Equal(raw, f.last) {
		return nil, false, nil
	}
	c, err := decodeChanges(raw, ok)
	if err != nil {
		return nil, false, err
	}
	all = !f.begun || c.Revision < f.seen || f.seen < c.Floor
	now := time.Now()
	pending := make(map[int64]time.Time)
	for _, one := range c.Changes {
		again := false
		if one.Pending {
			first, known := f.pending[one.Revision]
			if !known {
				first = now
			}
			pending[one.Revision], again = first, now.Sub(first) <= pendingLife
		}
		if kind, id, ok := strings.Cut(one.Of, "/"); ok && (again || one.Revision > f.seen) {
			changed = append(changed, Ref{Kind(kind), id})
		}
	}
	f.begun, f.last, f.seen, f.pending = true, raw, c.Revision, pending
	return changed, all, nil
}
