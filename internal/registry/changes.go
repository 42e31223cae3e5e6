package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
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
// after that. Revisions grow. A record that was lost, or cannot be read, is replaced by one of another epoch.
type changesRecord struct {
	Version  int      `json:"v,omitempty"`
	Epoch    string   `json:"epoch,omitempty"` // random
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
		c.Epoch, c.Floor = rand.Text(), now-1
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
		if isDamaged(err) {
			err = r.discard(ctx, changesKey, err)
		}
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
		return changesRecord{}, unreadable(changesKey, raw, err)
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
	epoch   string
	seen    int64
	pending map[int64]time.Time // when this process saw a pending change first, by its revision
	again   time.Time           // by when changes that were pending in a lost record are made, or have failed; zero without one
}

// Read returns the entries that may have changed since the last Read; all is true if any may have, such as for the first Read. A
// change that is pending is returned by each Read for 30 seconds, since its process may have ended after writing the entry.
//
// A record that cannot be read is removed, and reported to [Registry.OnHeal]. That of a later release is [ErrNewer], with all set
// if it has changed.
func (f *Feed) Read(ctx context.Context) (changed []Ref, all bool, err error) {
	now := time.Now()
	if !f.again.IsZero() && !now.Before(f.again) {
		f.again, all = time.Time{}, true
	}
	raw, ok, err := f.Registry.get(ctx, changesKey)
	if err == nil && f.begun && ok && len(f.pending) == 0 && bytes.Equal(raw, f.last) {
		return nil, all, nil
	}
	var c changesRecord
	if err == nil {
		c, err = decodeChanges(raw, ok)
	}
	switch {
	case isDamaged(err):
		if err = f.Registry.discard(ctx, changesKey, err); err == nil {
			f.forget(nil, now)
		}
		return nil, true, err
	case errors.Is(err, ErrNewer):
		if !bytes.Equal(raw, f.last) {
			f.forget(raw, now)
			all = true
		}
		return nil, all, err
	case err != nil:
		return nil, all, err
	}
	if f.begun && c.Epoch != f.epoch {
		f.forget(nil, now)
		all = true
	}
	all = all || !f.begun || c.Revision < f.seen || f.seen < c.Floor
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
	f.begun, f.last, f.epoch, f.seen, f.pending = true, raw, c.Epoch, c.Revision, pending
	return changed, all, nil
}

// forget forgets the record as it was read, which is lost. Changes that were pending there may still be made.
func (f *Feed) forget(raw []byte, now time.Time) {
	f.last, f.epoch, f.seen, f.pending = raw, "", 0, nil
	f.again = now.Add(pendingLife)
}
