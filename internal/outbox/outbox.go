// Package outbox delivers what must arrive: copies of messages, logins, payments. What was added is kept in a store
// until its target has taken it, through restarts, crashes and days without the target.
//
// The store is not trusted: an item carries an HMAC under the keys of its app, and one that no key of the app
// authenticates is not sent.
//
// Delivery is at least once. An item is never delivered by two processes at a time, as long as none of them stalls for
// longer than a lease lasts; it is delivered once more when a process ends between a delivery and its mark. Items
// arrive in any order.
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

// Outbox is a queue in a store. Processes that share it use the same Store and Prefix. Add may be called at any time and
// from anywhere; Keep delivers, and one of it runs in each process.
type Outbox struct {
	Store  store.Store                       // one that lasts
	Prefix string                            // of its keys, such as outbox/wx0123456789abcdef/message/; 400 bytes at most
	Send   func(context.Context, Item) error // delivers; without an error the item is gone

	// Keys returns the keys that authenticate the items of an app: those of now first, then those before, and none where
	// the app has none, whose items Send must judge. An error says that this process does not know the app: its items wait
	// for a process that does, until they are given up. Default none for all apps.
	Keys func(app string) ([]string, error)

	Age     time.Duration                // after which an item is given up; default 24 h
	Timeout time.Duration                // of one delivery; default 30 s
	Limit   int                          // deliveries at a time in this process; default 32, of which at most 4 to one target
	Report  func(context.Context, error) // told of targets that begin to fail and of items given up; default slog.Default

	once  sync.Once
	fresh chan string // keys added in this process
}

// Item is something to be delivered. ID and Target are required.
type Item struct {
	App         string    `json:"app,omitempty"` // whose keys authenticate it
	ID          string    `json:"id"`            // adding an item that already waits for the same target does nothing
	Target      string    `json:"target"`        // the address; items of one target wait together while it fails
	Query       string    `json:"query"`         // goes with the address, and makes no other target of it
	ContentType string    `json:"type"`
	Body        []byte    `json:"body"`
	Added       time.Time `json:"added"`          // set by Add
	MACs        [][]byte  `json:"macs,omitempty"` // set by Add
	Version     int       `json:"v,omitempty"`    // of the record, set by Add: see recordVersion
}

// recordVersion is the version of the records that Add writes. The records of the first release have none, which is 0. A
// release that changes their form counts on, and reads all before. A record of a later release waits for a process of
// that release.
const recordVersion = 0

// Bounds of an item.
const (
	MaxBody   = 4 << 20
	maxTexts  = 64 << 10                        // of the other fields together
	maxRecord = MaxBody*4/3 + 6*maxTexts + 1024 // in base64, and with each character escaped
)

// Add stores an item, and returns when it is stored. After an error it may be stored or not: add it again.
func (o *Outbox) Add(ctx context.Context, item Item) error {
	if err := item.bounded(); err != nil {
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
	// Given up at Age by whoever looks, with a report; at twice that by the store, should nobody ever look.
	if _, err := o.Store.Swap(ctx, key, nil, record, 2*o.age()); err != nil {
		return fmt.Errorf("outbox: add: %w", err)
	}
	select {
	case o.added() <- key:
	default: // the next scan finds it
	}
	return nil
}

// bounded returns an error if i is not an item, or exceeds the bounds of one.
func (i *Item) bounded() error {
	texts := i.App + i.ID + i.Target + i.Query + i.ContentType
	switch {
	case i.ID == "" || i.Target == "":
		return errors.New("ID and Target must be set")
	case len(i.Body) > MaxBody:
		return fmt.Errorf("the body has more than %d bytes", MaxBody)
	case len(texts) > maxTexts:
		return fmt.Errorf("the address and the names have more than %d bytes", maxTexts)
	case !utf8.ValidString(texts):
		return errors.New("the address and the names must be UTF-8")
	}
	return nil
}

// Waiting reports whether there is anything to deliver. While the store does not answer it is taken for granted.
func (o *Outbox) Waiting(ctx context.Context) bool {
	for range o.Store.Keys(ctx, o.items()) {
		return true
	}
	return false
}

// added is the way from Add to Keep.
func (o *Outbox) added() chan string {
	o.once.Do(func() { o.fresh = make(chan string, 256) })
	return o.fresh
}

// An item stands under Prefix/item/lane/id, where the lane is one for each app and target, so that a scan tells targets
// apart without reading a single item, and the items of one app never wait for those of another.
func (o *Outbox) itemKey(item Item) string {
	return o.items() + digest(item.App+"\n"+item.Target) + "/" + digest(item.ID)
}

func (o *Outbox) items() string { return o.Prefix + "item/" }

// laneOf is the lane of an item's key.
func (o *Outbox) laneOf(key string) string { return key[:len(key)-len("/")-digestLen] }

func (o *Outbox) leaseKey(key string) string { return o.Prefix + "lease/" + key[len(o.items()):] }

const digestLen = 24

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:digestLen/2])
}

func (o *Outbox) age() time.Duration     { return cmp.Or(o.Age, 24*time.Hour) }
func (o *Outbox) timeout() time.Duration { return cmp.Or(o.Timeout, 30*time.Second) }
func (o *Outbox) limit() int             { return max(cmp.Or(o.Limit, 32), 2) }

func (o *Outbox) report(ctx context.Context, err error) {
	if o.Report != nil {
		o.Report(ctx, err)
		return
	}
	slog.Default().WarnContext(ctx, err.Error())
}
