// Package registry keeps named entries, such as apps and caller keys, in a store that many processes share. It finds an
// entry by its id, its name, and by terms: texts such as an appid that several entries may have.
//
// It needs no transactions: each step is one Swap, and a process may end between any two of them. The record of an entry
// decides. An index is written before the record that it leads to, and is believed only if the record agrees.
package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/store"
)

// Errors of [Registry.Change]. A record of a later release is ErrNewer for every call.
var (
	ErrNameTaken = errors.New("registry: another entry has this name, or had it recently")
	ErrIDTaken   = errors.New("registry: another entry has this id")
	ErrNewer     = errors.New("registry: the record was written by a later release: use that release")
	ErrBusy      = errors.New("registry: too many changes at once")
	ErrTooLarge  = errors.New("registry: the entry is too large")
)

const (
	changeTries    = 100              // attempts to change a record that others change, too
	storeTimeout   = 5 * time.Second  // of one call of the store
	writeTimeout   = 20 * time.Second // of the steps of a change; less than pendingLife
	reservationAge = time.Minute      // an index that leads to no entry may be removed or taken over after that
	formerLife     = 30 * 24 * time.Hour
)

// Kind is a kind of entries. Names and ids are unique within a kind.
type Kind string

// Registry is the entries in a store. Its methods are safe for concurrent use.
type Registry struct {
	Store store.Store

	// OnHeal is called after a record that cannot be read, as err says, was replaced: an index, or that of the changes. Default none.
	OnHeal func(ctx context.Context, err error)
}

// ByID returns the entry with an id.
func (r *Registry) ByID(ctx context.Context, kind Kind, id string) (e *Entry, ok bool, err error) {
	e, err = r.read(ctx, kind, id)
	return e, e != nil, err
}

// ByName returns the entry that has a name, or had it in the last 30 days.
func (r *Registry) ByName(ctx context.Context, kind Kind, name string) (e *Entry, ok bool, err error) {
	n, _, err := r.readName(ctx, kind, name)
	if err != nil || n == nil {
		return nil, false, err
	}
	e, err = r.read(ctx, kind, n.ID)
	if err != nil || e == nil || !e.claims(name, time.Now()) {
		return nil, false, err
	}
	return e, true, nil
}

// ByTerm returns at most limit entries that have a term.
func (r *Registry) ByTerm(ctx context.Context, kind Kind, term string, limit int) (list []*Entry, err error) {
	for e, err := range r.WithTerm(ctx, kind, term) {
		if err != nil {
			return nil, err
		}
		if list = append(list, e); len(list) == limit {
			break
		}
	}
	return list, nil
}

// WithTerm yields the entries that have a term, in the order of their ids, and the errors of those that cannot be read.
func (r *Registry) WithTerm(ctx context.Context, kind Kind, term string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		ids, err := r.Listed(ctx, kind, term)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, id := range ids {
			e, err := r.read(ctx, kind, id)
			if (err != nil || e != nil && slices.Contains(e.Terms, term)) && !yield(e, err) {
				return
			}
		}
	}
}

// Listed returns the ids that are listed under a term. Their entries may be gone, or no longer have it.
func (r *Registry) Listed(ctx context.Context, kind Kind, term string) ([]string, error) {
	l, _, err := r.readList(ctx, kind, term)
	return slices.Sorted(maps.Keys(l.IDs)), err
}

// ListedTerms yields the terms with a prefix under which ids are listed, in no order.
func (r *Registry) ListedTerms(ctx context.Context, kind Kind, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range r.Store.Keys(ctx, listKey(kind, prefix)) {
			if err != nil {
				yield("", fmt.Errorf("registry: list: %w", err))
				return
			}
			if !yield(key[len(listKey(kind, "")):], nil) {
				return
			}
		}
	}
}

// All yields the entries of a kind, in no order. Entries that are changed meanwhile may or may not be yielded.
func (r *Registry) All(ctx context.Context, kind Kind) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		prefix := recordKey(kind, "")
		for key, err := range r.Store.Keys(ctx, prefix) {
			if err != nil {
				yield(nil, fmt.Errorf("registry: list: %w", err))
				return
			}
			e, err := r.read(ctx, kind, key[len(prefix):])
			if (e != nil || err != nil) && !yield(e, err) {
				return
			}
		}
	}
}

// Page returns at most limit ids of entries, in order, from the first one after the id after. more reports whether others
// follow. It reads the keys of all entries, and no entry.
func (r *Registry) Page(ctx context.Context, kind Kind, after string, limit int) (ids []string, more bool, err error) {
	prefix := recordKey(kind, "")
	for key, err := range r.Store.Keys(ctx, prefix) {
		if err != nil {
			return nil, false, fmt.Errorf("registry: list: %w", err)
		}
		id := key[len(prefix):]
		if id <= after || len(ids) > limit && id >= ids[limit] {
			continue
		}
		at, _ := slices.BinarySearch(ids, id)
		ids = slices.Insert(ids, at, id)
		ids = ids[:min(len(ids), limit+1)]
	}
	if len(ids) > limit {
		return ids[:limit], true, nil
	}
	return ids, false, nil
}

// Change reads the entry that has a name, and replaces it by the one that change returns. change gets nil where there is none,
// and returns nil to remove the entry. It must not modify the entry that it gets, may be called several times, and decides
// every field but Revision and Former. An entry keeps its id; one that gets another name keeps the old one, too, for 30 days.
//
// If the index of the name is lost, the entry with the id otherID is the one, if it has the name; "" is none.
//
// After an error of the store the change is made or not. Processes that follow the changes by [Feed] learn of it either way.
func (r *Registry) Change(ctx context.Context, kind Kind, name, otherID string, change func(old *Entry) (*Entry, error)) (*Entry, error) {
	for try := range changeTries {
		old, err := r.named(ctx, kind, name, otherID)
		if err != nil {
			return nil, err
		}
		next, err := change(old.clone())
		if err != nil || next == nil && old == nil {
			return nil, err
		}
		if next != nil {
			next = next.clone()
			if err := next.follow(old); err != nil {
				return nil, err
			}
		}
		if done, err := r.write(ctx, kind, old, next); done || err != nil {
			return next, err
		}
		if err := waitForOthers(ctx, try); err != nil {
			return nil, err
		}
	}
	return nil, ErrBusy
}

// named returns the entry whose present name is name, or nil.
func (r *Registry) named(ctx context.Context, kind Kind, name, otherID string) (*Entry, error) {
	n, _, err := r.readName(ctx, kind, name)
	if isDamaged(err) {
		if err = r.healName(ctx, kind, name, err); err == nil {
			n, _, err = r.readName(ctx, kind, name)
		}
	}
	if err != nil {
		return nil, err
	}
	id := otherID
	if n != nil {
		id = n.ID
	}
	e, err := r.read(ctx, kind, id)
	if err != nil || e == nil || e.Name != name {
		return nil, err
	}
	return e, nil
}

// follow sets the fields of e that Change decides, and checks it.
func (e *Entry) follow(old *Entry) error {
	e.Former, e.Revision = nil, rand.Text()
	now := time.Now()
	if old != nil {
		if e.ID != old.ID {
			return errors.New("registry: an entry keeps its id")
		}
		for _, f := range old.Former {
			if f.Name != e.Name && now.UnixMilli() < f.Until {
				e.Former = append(e.Former, f)
			}
		}
		if e.Name != old.Name {
			e.Former = append(e.Former, Former{Name: old.Name, Until: now.Add(formerLife).UnixMilli()})
		}
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("%w: %s", ErrTooLarge, strings.TrimPrefix(err.Error(), "registry: "))
	}
	return nil
}

// write makes the steps of a change, and reports false if another process has changed the entry meanwhile.
func (r *Registry) write(ctx context.Context, kind Kind, old, next *Entry) (done bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout) // a change that has begun is finished
	defer cancel()
	var before, after []byte
	id, ttl := "", time.Duration(0)
	if old != nil {
		before, id = old.raw, old.ID
	}
	if next != nil {
		id, ttl = next.ID, next.ttl(time.Now())
		if after, err = next.encode(); err != nil {
			return false, err
		}
		if old == nil {
			if err := r.checkUnused(ctx, kind, next); err != nil {
				return false, err
			}
		}
		if err := r.prepare(ctx, kind, old, next); err != nil {
			return false, err
		}
	}
	pending, err := r.markPending(ctx, kind, id)
	if err != nil {
		return false, err
	}
	if done, err = r.Store.Swap(ctx, recordKey(kind, id), before, after, ttl); err != nil {
		return false, fmt.Errorf("registry: write: %w", err)
	}
	_ = r.markDone(ctx, kind, id, pending) // otherwise the change stays pending, which is seen, too
	if !done && old == nil {
		return false, r.checkUnused(ctx, kind, next)
	}
	if done {
		r.tidy(ctx, kind, old, next)
	}
	return done, nil
}

// prepare writes the indexes that lead to an entry.
func (r *Registry) prepare(ctx context.Context, kind Kind, old, next *Entry) error {
	if err := r.reserveName(ctx, kind, next, old == nil || old.Name != next.Name); err != nil {
		return err
	}
	for _, term := range next.Terms {
		if err := r.addToList(ctx, kind, term, next.ID, old == nil || !slices.Contains(old.Terms, term)); err != nil {
			return err
		}
	}
	return nil
}

// checkUnused returns an error if an entry with another name has the id of e. One with the same name was made by another
// process meanwhile, which Change finds out.
func (r *Registry) checkUnused(ctx context.Context, kind Kind, e *Entry) error {
	other, err := r.read(ctx, kind, e.ID)
	if err != nil || other == nil || other.Name == e.Name {
		return err
	}
	return ErrIDTaken
}

// tidy removes the indexes that no longer lead to an entry. What it leaves behind is not believed.
func (r *Registry) tidy(ctx context.Context, kind Kind, old, next *Entry) {
	if old == nil {
		return
	}
	for _, term := range old.Terms {
		if next == nil || !slices.Contains(next.Terms, term) {
			_ = r.removeFromList(ctx, kind, term, old.ID)
		}
	}
	if next == nil {
		r.releaseName(ctx, kind, old.Name, old.ID)
		for _, f := range old.Former {
			r.releaseName(ctx, kind, f.Name, old.ID)
		}
	}
}
