// Package store keeps what several processes share: tokens, tickets, leases, one-time codes and marks.
//
// Every room of wetoken takes a [Store]. [Memory] serves one process:
//
//	tokens := &token.Manager{AppID: id, Secret: secret, Store: new(store.Memory)}
//
// store/redisstore (a module of its own) and store/sqlstore serve many. [Sealed] encrypts what any of them holds,
// [Take] makes a [Lease] on any of them, and store/storetest tells whether a Store of your own does what is asked here.
package store

import (
	"context"
	"iter"
	"time"
)

// Store is a small key-value store whose values may expire. Its methods use standard types alone, so that an
// adapter need not import this package, and are safe for concurrent use. Keys read room/app/what, such as
// token/wx0123456789abcdef/stable: 1 to 512 bytes of UTF-8, told apart byte by byte. Values are any bytes, or none.
// A life is kept to the millisecond or better. An error always means that the store could not say, as when ctx is
// done: it is never a miss.
type Store interface {
	// Get returns the value of key, which then belongs to the caller. A key that is absent or expired is
	// ok == false with a nil error.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)

	// Set writes value, which the store does not keep hold of, for ttl. A ttl of 0 keeps it until it is deleted;
	// one below 0 is an error.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Swap replaces old by new in one step, only if the value still is old, and tells whether it did. A nil old
	// asks that the key be absent; a nil new deletes it; a ttl below 0 keeps the life that is left, which for a key
	// that was absent is for ever. Swapping a value for the same one counts. Swap is what leases, one-time codes,
	// deduplication and "only if newer" are made of.
	Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error)

	// Delete removes key. Deleting an absent key is no error.
	Delete(ctx context.Context, key string) error

	// Keys yields each live key that begins with prefix, once, in no order. Keys written or removed meanwhile, by
	// the loop itself too, may or may not be among them. An error ends the sequence.
	Keys(ctx context.Context, prefix string) iter.Seq2[string, error]
}
