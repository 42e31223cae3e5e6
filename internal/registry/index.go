package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// maxListed is the number of entries that may have the same term.
const maxListed = 4096

// nameRecord leads from a name to an entry. It is written before the entry.
type nameRecord struct {
	Version  int    `json:"v,omitempty"`
	ID       string `json:"id"`
	Reserved int64  `json:"reserved_at"` // Unix milliseconds
}

// listRecord leads from a term to entries.
type listRecord struct {
	Version int              `json:"v,omitempty"`
	IDs     map[string]int64 `json:"ids"` // the Unix second at which each was added
}

func nameKey(kind Kind, name string) string { return "registry/" + string(kind) + "-name/" + name }
func listKey(kind Kind, term string) string { return "registry/" + string(kind) + "-list/" + term }

// readName returns the record of a name, or nil.
func (r *Registry) readName(ctx context.Context, kind Kind, name string) (*nameRecord, []byte, error) {
	if !validID(name) {
		return nil, nil, nil
	}
	raw, ok, err := r.get(ctx, nameKey(kind, name))
	if err != nil || !ok {
		return nil, nil, err
	}
	n := new(nameRecord)
	if err := decode(raw, n, func() int { return n.Version }); err != nil {
		return nil, nil, unreadable(nameKey(kind, name), raw, err)
	}
	return n, raw, nil
}

// reserveName has the name of e lead to it, unless it belongs to another entry. renew is set for a name that e does not have
// yet: the reservation then begins now, so that no process removes it before the record is written.
func (r *Registry) reserveName(ctx context.Context, kind Kind, e *Entry, renew bool) error {
	for try := range changeTries {
		n, raw, err := r.readName(ctx, kind, e.Name)
		if isDamaged(err) {
			if err = r.healName(ctx, kind, e.Name, err); err == nil {
				continue
			}
		}
		if err != nil || n != nil && n.ID == e.ID && !renew {
			return err
		}
		if n != nil && n.ID != e.ID {
			if free, err := r.isFree(ctx, kind, e.Name, n); err != nil {
				return err
			} else if !free {
				return ErrNameTaken
			}
		}
		next, err := json.Marshal(nameRecord{Version: recordVersion, ID: e.ID, Reserved: time.Now().UnixMilli()})
		if err != nil {
			return fmt.Errorf("registry: reserve a name: %w", err)
		}
		swapped, err := r.Store.Swap(ctx, nameKey(kind, e.Name), raw, next, 0)
		if err != nil {
			return fmt.Errorf("registry: reserve a name: %w", err)
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

// isFree reports whether a name may be taken from the entry that n leads to: that entry does not have it, and no process is
// about to write such an entry.
func (r *Registry) isFree(ctx context.Context, kind Kind, name string, n *nameRecord) (bool, error) {
	other, err := r.read(ctx, kind, n.ID)
	if err != nil {
		return false, err
	}
	now := time.Now()
	return (other == nil || !other.claims(name, now)) && isSettled(time.UnixMilli(n.Reserved), now), nil
}

// isSettled reports whether the entry that an index leads to was written, if its process is alive.
func isSettled(indexed, now time.Time) bool { return now.Sub(indexed).Abs() > reservationAge }

// releaseName removes a name that leads to id. A name that stays is taken over by the next entry that wants it.
func (r *Registry) releaseName(ctx context.Context, kind Kind, name, id string) {
	n, raw, err := r.readName(ctx, kind, name)
	if isDamaged(err) {
		_ = r.healName(ctx, kind, name, err)
	}
	if err == nil && n != nil && n.ID == id && isSettled(time.UnixMilli(n.Reserved), time.Now()) {
		_, _ = r.Store.Swap(ctx, nameKey(kind, name), raw, nil, 0)
	}
}

// readList returns the ids under a term.
func (r *Registry) readList(ctx context.Context, kind Kind, term string) (l listRecord, raw []byte, err error) {
	raw, ok, err := r.get(ctx, listKey(kind, term))
	if err != nil || !ok {
		return l, nil, err
	}
	if err := decode(raw, &l, func() int { return l.Version }); err != nil {
		return listRecord{}, nil, unreadable(listKey(kind, term), raw, err)
	}
	return l, raw, nil
}

// addToList adds an id to a list. renew is set for a term that the entry does not have yet, as for reserveName.
func (r *Registry) addToList(ctx context.Context, kind Kind, term, id string, renew bool) error {
	return r.changeList(ctx, kind, term, func(ids map[string]int64) (changed bool, err error) {
		if _, found := ids[id]; found && !renew {
			return false, nil
		}
		if len(ids) >= maxListed {
			if err := r.dropUnconfirmed(ctx, kind, term, ids); err != nil {
				return false, err
			}
			if len(ids) >= maxListed {
				return false, fmt.Errorf("%w: want at most %d entries with the same %.20s", ErrTooLarge, maxListed, term)
			}
		}
		ids[id] = time.Now().Unix()
		return true, nil
	})
}

// removeFromList removes an id from a list, unless it was added a moment ago.
func (r *Registry) removeFromList(ctx context.Context, kind Kind, term, id string) error {
	return r.changeList(ctx, kind, term, func(ids map[string]int64) (changed bool, err error) {
		at, found := ids[id]
		if !found || !isSettled(time.Unix(at, 0), time.Now()) {
			return false, nil
		}
		delete(ids, id)
		return true, nil
	})
}

// Unlist removes an id from the list under a term, if its entry is gone or does not have the term.
func (r *Registry) Unlist(ctx context.Context, kind Kind, term, id string) error {
	return r.changeList(ctx, kind, term, func(ids map[string]int64) (changed bool, err error) {
		at, found := ids[id]
		if !found || !isSettled(time.Unix(at, 0), time.Now()) {
			return false, nil
		}
		e, err := r.read(ctx, kind, id)
		if err != nil || e != nil && slices.Contains(e.Terms, term) {
			return false, err
		}
		delete(ids, id)
		return true, nil
	})
}

// dropUnconfirmed removes the ids whose entries do not have a term.
func (r *Registry) dropUnconfirmed(ctx context.Context, kind Kind, term string, ids map[string]int64) error {
	now := time.Now()
	for id, at := range ids {
		if !isSettled(time.Unix(at, 0), now) {
			continue
		}
		e, err := r.read(ctx, kind, id)
		if err != nil {
			return err
		}
		if e == nil || !slices.Contains(e.Terms, term) {
			delete(ids, id)
		}
	}
	return nil
}

// changeList changes the ids under a term. A list without ids is removed.
func (r *Registry) changeList(ctx context.Context, kind Kind, term string, change func(map[string]int64) (changed bool, err error)) error {
	for try := range changeTries {
		l, raw, err := r.readList(ctx, kind, term)
		if isDamaged(err) {
			if err = r.healList(ctx, kind, term, err); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		if l.IDs == nil {
			l.IDs = make(map[string]int64)
		}
		if changed, err := change(l.IDs); err != nil || !changed {
			return err
		}
		var next []byte
		if len(l.IDs) > 0 {
			l.Version = recordVersion
			if next, err = json.Marshal(l); err != nil {
				return fmt.Errorf("registry: change a list: %w", err)
			}
		}
		swapped, err := r.Store.Swap(ctx, listKey(kind, term), raw, next, 0)
		if err != nil {
			return fmt.Errorf("registry: change a list: %w", err)
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

// waitForOthers waits a random time, longer with each try, after another process was faster.
func waitForOthers(ctx context.Context, try int) error {
	t := time.NewTimer(rand.N(min(time.Duration(try+1)*2*time.Millisecond, 50*time.Millisecond)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
