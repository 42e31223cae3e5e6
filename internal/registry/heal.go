package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A program that can write to the store, but cannot seal values, can replace any record by one that nobody can read. Such a record
// does not keep entries from being changed or removed: indexes are rebuilt from the entries, which takes a read of each.

// discard removes the record under a key, which cannot be read because of damage, unless another process has replaced it.
func (r *Registry) discard(ctx context.Context, key string, damage error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	removed, err := r.deleteUnreadable(ctx, key, damage)
	if err != nil {
		return fmt.Errorf("registry: replace a record that cannot be read: %w", err)
	}
	if removed && r.OnHeal != nil {
		r.OnHeal(ctx, damage)
	}
	return nil
}

func (r *Registry) deleteUnreadable(ctx context.Context, key string, damage error) (removed bool, err error) {
	if e := (*recordError)(nil); errors.As(damage, &e) && e.raw != nil {
		return r.Store.Swap(ctx, key, e.raw, nil, 0)
	}
	if sealed, ok := r.Store.(interface {
		DeleteUnreadable(ctx context.Context, key string) (bool, error)
	}); ok {
		return sealed.DeleteUnreadable(ctx, key)
	}
	return true, r.Store.Delete(ctx, key)
}

// healName replaces the record of a name, which cannot be read because of damage.
func (r *Registry) healName(ctx context.Context, kind Kind, name string, damage error) error {
	if err := r.discard(ctx, nameKey(kind, name), damage); err != nil {
		return err
	}
	now, id := time.Now(), ""
	err := r.eachReadable(ctx, kind, func(e *Entry) {
		if e.Name == name || id == "" && e.claims(name, now) {
			id = e.ID
		}
	})
	if err != nil || id == "" {
		return err
	}
	return r.restore(ctx, nameKey(kind, name), nameRecord{Version: recordVersion, ID: id, Reserved: now.UnixMilli()})
}

// healList replaces the list of a term, which cannot be read because of damage.
func (r *Registry) healList(ctx context.Context, kind Kind, term string, damage error) error {
	if err := r.discard(ctx, listKey(kind, term), damage); err != nil {
		return err
	}
	l := listRecord{Version: recordVersion, IDs: make(map[string]int64)}
	err := r.eachReadable(ctx, kind, func(e *Entry) {
		if slices.Contains(e.Terms, term) {
			l.IDs[e.ID] = time.Now().Unix()
		}
	})
	if err != nil || len(l.IDs) == 0 {
		return err
	}
	return r.restore(ctx, listKey(kind, term), l)
}

// restore writes an index that was discarded, unless another process has written it since.
func (r *Registry) restore(ctx context.Context, key string, index any) error {
	raw, err := json.Marshal(index)
	if err == nil {
		_, err = r.Store.Swap(ctx, key, nil, raw, 0)
	}
	if err != nil {
		return fmt.Errorf("registry: restore an index: %w", err)
	}
	return nil
}

// eachReadable calls f for all entries of a kind that can be read.
func (r *Registry) eachReadable(ctx context.Context, kind Kind, f func(*Entry)) error {
	for e, err := range r.All(ctx, kind) {
		switch {
		case err == nil:
			f(e)
		case !IsUnreadable(err):
			return err
		}
	}
	return nil
}

// FindUnreadable returns the id of the entry that a name leads to, and the reason, if its record cannot be read. Without an index,
// that is the entry with the id otherID. Without such an entry, the reason is nil.
func (r *Registry) FindUnreadable(ctx context.Context, kind Kind, name, otherID string) (id string, reason, err error) {
	n, _, err := r.readName(ctx, kind, name)
	if err != nil && !IsUnreadable(err) {
		return "", nil, err
	}
	ids := []string{otherID}
	if n != nil {
		ids = []string{n.ID, otherID}
	}
	for _, id := range ids {
		_, err := r.read(ctx, kind, id)
		switch {
		case IsUnreadable(err):
			return id, err, nil
		case err != nil:
			return "", nil, err
		}
	}
	return "", nil, nil
}

// Discard removes the record of an entry that cannot be read, and the indexes that lead to it. It does nothing if another process has
// replaced that record.
func (r *Registry) Discard(ctx context.Context, kind Kind, name, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	pending, err := r.markPending(ctx, kind, id)
	if err != nil {
		return err
	}
	_, reason := r.read(ctx, kind, id)
	if !IsUnreadable(reason) {
		_ = r.markDone(ctx, kind, id, pending)
		return reason
	}
	if _, err := r.deleteUnreadable(ctx, recordKey(kind, id), reason); err != nil {
		return fmt.Errorf("registry: remove a record that cannot be read: %w", err)
	}
	_ = r.markDone(ctx, kind, id, pending) // otherwise the change stays pending, which is seen, too
	r.releaseName(ctx, kind, name, id)
	for term, err := range r.ListedTerms(ctx, kind, "") { // those that stay are not believed
		if err != nil || ctx.Err() != nil {
			break
		}
		_ = r.Unlist(ctx, kind, term, id)
	}
	return nil
}
