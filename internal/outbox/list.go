package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Listed is an item in the store.
type Listed struct {
	Handle string // names it for Retry and Drop
	Item          // empty if its record cannot be read
	Held   error  // why it is not sent; nil for an item that waits
}

// List returns the items in the store.
func (o *Outbox) List(ctx context.Context) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		for key, err := range o.Store.Keys(ctx, o.itemPrefix()) {
			if err != nil {
				yield(Listed{}, fmt.Errorf("outbox: list items: %w", err))
				return
			}
			l, ok, err := o.look(ctx, key)
			if err == nil && !ok {
				continue // it was delivered meanwhile
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// look reads the item under key. Its error is of the store.
func (o *Outbox) look(ctx context.Context, key string) (l Listed, ok bool, err error) {
	l.Handle = strings.TrimPrefix(key, o.itemPrefix())
	item, ok, err := o.readItem(ctx, key)
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, errNewer):
		l.Held = err
		return l, true, nil
	case err != nil || !ok:
		return l, ok, err
	}
	l.Item = item
	if err := o.checkItem(key, &item); errors.Is(err, ErrRefused) {
		l.Held = err
	}
	return l, true, nil
}

// Backlog is how much waits.
type Backlog struct {
	Count, Held int
	Oldest      time.Time // zero if nothing waits
}

// maxBacklog is the number of items that Backlog reads.
const maxBacklog = 2000

// Backlog counts the items in the store, up to some thousand.
func (o *Outbox) Backlog(ctx context.Context) (b Backlog, err error) {
	for l, err := range o.List(ctx) {
		if err != nil {
			return b, err
		}
		if b.Count++; l.Held != nil {
			b.Held++
		}
		if !l.Added.IsZero() && (b.Oldest.IsZero() || l.Added.Before(b.Oldest)) {
			b.Oldest = l.Added
		}
		if b.Count == maxBacklog {
			break
		}
	}
	return b, nil
}

// ErrNoItem is the error for a handle without an item.
var ErrNoItem = errors.New("outbox: no such item: it was delivered, or dropped")

// Retry authenticates an item with the present keys of its app, and delivers it now. An error means that it still waits.
func (o *Outbox) Retry(ctx context.Context, handle string) error {
	key := o.itemPrefix() + handle
	item, ok, err := o.readItem(ctx, key)
	if err != nil {
		return err
	}
	if !ok {
		return ErrNoItem
	}
	old, err := json.Marshal(item)
	if err != nil {
		return err
	}
	if err := o.authenticate(&item); err != nil {
		return err
	}
	record, err := json.Marshal(item)
	if err != nil {
		return err
	}
	if swapped, err := o.Store.Swap(ctx, key, old, record, -1); err != nil {
		return fmt.Errorf("outbox: %w", err)
	} else if !swapped {
		return errors.New("outbox: the item has changed, or was delivered: list it again")
	}
	switch r := o.deliver(ctx, key, nil, nil); r.outcome {
	case delivered, removed:
		return nil
	case leased:
		return errors.New("outbox: a server is delivering the item now: list it again in a minute")
	default:
		return r.err
	}
}

// Drop removes an item, which is then never delivered.
func (o *Outbox) Drop(ctx context.Context, handle string) error {
	key := o.itemPrefix() + handle
	item, ok, err := o.readItem(ctx, key)
	unreadable := errors.Is(err, ErrRefused) || errors.Is(err, errNewer)
	switch {
	case err != nil && !unreadable:
		return err
	case !ok && !unreadable:
		return ErrNoItem
	}
	if item.Mark || unreadable {
		if err := o.writeMark(ctx, key); err != nil {
			return err
		}
	}
	return o.removeItem(ctx, key)
}
