// Package outbox delivers items that must not be lost: copies of messages, logins, payments. An item stays in a store
// until its target has accepted it, through restarts, crashes and hours without the target.
//
// The store is not trusted: an item has an HMAC under each key of its app, and an item that no key of the app
// authenticates is not sent.
//
// Delivery is at least once and in any order. Two processes never deliver an item at the same time, as long as no
// process stalls for longer than a lease lasts. An item is delivered again when a process ends between the delivery and
// the removal of the item.
package outbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/store"
)

// Outbox is a queue in a store. Processes that share it use the same Store and Prefix. Add is safe for concurrent use.
// Run delivers, and runs once in each process.
type Outbox struct {
	// Store is persistent, and Prefix begins the keys in it, such as outbox/wx0123456789abcdef/message/. It has at most 400
	// bytes.
	Store  store.Store
	Prefix string

	// Send delivers an item, which is removed when the error is nil. After another error, all items of the target wait, up to ten
	// minutes. See [Replied] for errors that concern the one item.
	Send func(context.Context, Item) error

	// Keys returns the keys that authenticate the items of an app, the current key first. Without keys, Send has to decide
	// whether an item may be sent. An error means that this process does not know the app: its items wait for another
	// process until they expire. Default no keys.
	Keys func(app string) ([]string, error)

	// Forever keeps each item until it was delivered, or Drop is called. An item that must not be sent is held: it is not sent
	// before Retry authenticates it again.
	Forever bool

	Age     time.Duration // an item whose target fails is given up after that; default 24 h
	Timeout time.Duration // of one delivery; default 30 s
	Limit   int           // deliveries at a time in this process, at most 4 to one target; default 32

	// OnError is called when a target begins to fail and when an item is given up. Default a warning to slog.Default.
	OnError func(context.Context, error)

	makeAdded sync.Once
	added     chan string // keys that this process added
}

// Item is a body to be delivered to a target. ID and Target are required.
type Item struct {
	App         string            `json:"app,omitempty"` // its keys authenticate the item
	ID          string            `json:"id"`            // adding an item that already waits for the same target does nothing
	Target      string            `json:"target"`        // the URL; items of one target wait together while it fails
	Query       string            `json:"query"`         // appended to Target; not a part of the target's identity
	ContentType string            `json:"type"`
	Body        []byte            `json:"body"`
	Headers     map[string]string `json:"headers,omitempty"` // more headers of the request
	Mark        bool              `json:"mark,omitempty"`    // leaves a mark for TakeMark when it has ended; not authenticated
	Added       time.Time         `json:"added"`             // set by Add
	MACs        [][]byte          `json:"macs,omitempty"`    // set by Add
	Version     int               `json:"v,omitempty"`       // of the record, set by Add: see recordVersion
}

// Bounds of an item, in bytes.
const (
	MaxBody  = 4 << 20
	maxTexts = 64 << 10 // of the other fields together
)

// Add stores an item, and returns when it is stored. After an error the item may be stored or not: add it again.
func (o *Outbox) Add(ctx context.Context, item Item) error {
	if err := item.checkBounds(); err != nil {
		return fmt.Errorf("outbox: add: %w", err)
	}
	item.Added, item.Version = time.Now(), recordVersion
	if err := o.authenticate(&item); err != nil {
		return fmt.Errorf("outbox: add: %w", err)
	}
	record, err := json.Marshal(item)
	if err != nil {
		return fmt.Errorf("outbox: add: %w", err)
	}
	key := o.itemKey(item)
	if _, err := o.Store.Swap(ctx, key, nil, record, o.life()); err != nil {
		return fmt.Errorf("outbox: add: %w", err)
	}
	select {
	case o.addedKeys() <- key:
	default: // the next scan finds it
	}
	return nil
}

// checkBounds returns an error if i lacks a required field or exceeds the bounds.
func (i *Item) checkBounds() error {
	texts := i.App + i.ID + i.Target + i.Query + i.ContentType
	for name, value := range i.Headers {
		texts += name + value
	}
	switch {
	case i.ID == "" || i.Target == "":
		return errors.New("empty ID or Target")
	case len(i.Body) > MaxBody:
		return fmt.Errorf("body has %d bytes: want at most %d", len(i.Body), MaxBody)
	case len(texts) > maxTexts:
		return fmt.Errorf("address and names have %d bytes: want at most %d", len(texts), maxTexts)
	case !utf8.ValidString(texts):
		return errors.New("address or a name is not UTF-8")
	}
	return nil
}

// Waiting reports whether the store has items. It returns true if the store fails.
func (o *Outbox) Waiting(ctx context.Context) bool {
	for range o.Store.Keys(ctx, o.itemPrefix()) {
		return true
	}
	return false
}

// addedKeys returns the channel from Add to Run.
func (o *Outbox) addedKeys() chan string {
	o.makeAdded.Do(func() { o.added = make(chan string, 256) })
	return o.added
}

// itemKey returns the key of an item, Prefix/item/queue/id. There is one queue for each app and target, so that a scan
// distinguishes targets without reading items.
func (o *Outbox) itemKey(item Item) string {
	return o.itemPrefix() + digest(item.App+"\n"+item.Target) + "/" + digest(item.ID)
}

func (o *Outbox) itemPrefix() string { return o.Prefix + "item/" }

// queueID returns the part of an item's key up to its queue.
func (o *Outbox) queueID(key string) string { return key[:len(key)-len("/")-digestLen] }

func (o *Outbox) leaseKey(key string) string { return o.Prefix + "lease/" + key[len(o.itemPrefix()):] }

const digestLen = 24

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:digestLen/2])
}

// life is how long the store keeps an item. Run gives it up after Age and reports it; the store removes it after twice that
// time, if Run never runs.
func (o *Outbox) life() time.Duration {
	if o.Forever {
		return 0
	}
	return 2 * o.age()
}

func (o *Outbox) age() time.Duration     { return cmp.Or(o.Age, 24*time.Hour) }
func (o *Outbox) timeout() time.Duration { return cmp.Or(o.Timeout, 30*time.Second) }
func (o *Outbox) limit() int             { return max(cmp.Or(o.Limit, 32), 2) }

func (o *Outbox) report(ctx context.Context, err error) {
	if o.OnError != nil {
		o.OnError(ctx, err)
		return
	}
	slog.Default().WarnContext(ctx, err.Error())
}
