// Package store keeps the values that several processes share: tokens, tickets, leases, one-time codes and marks.
//
// Every package of wetoken that keeps values takes a [Store]. [Memory] serves one process:
//
//	tokens := &token.Manager{AppID: id, Secret: secret, Store: new(store.Memory)}
//
// store/redisstore (a separate module) and store/sqlstore serve many. [Sealed] encrypts the values of any Store,
// [TryLease] takes a [Lease] in any Store, and store/storetest tests a Store of your own.
package store

import (
	"context"
	"iter"
	"time"
)

// Store is a small key-value store whose values may expire. Its methods use standard types only, so that an adapter
// need not import this package, and are safe for concurrent use. Keys have the form package/app/what, such as
// token/wx0123456789abcdef/stable: 1 to 512 bytes of UTF-8, compared byte by byte. Values are any bytes, including
// none. Lives are accurate to the millisecond or better. An error means that the result is unknown, such as when ctx is
// done: it is never a miss.
type Store interface {
	// Get returns the value of key, which the caller may change. A key that is absent or expired is ok == false with a
	// nil error.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)

	// Set stores value for ttl, without keeping a reference to it. A ttl of 0 keeps the value until it is deleted. A
	// ttl below 0 is an error.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Swap replaces old by new in one step, only if the value is old, and reports whether it did. A nil old requires
	// that the key be absent. A nil new deletes the key. A ttl below 0 keeps the remaining life, which for a key that
	// was absent is for ever. Swapping a value for the same one counts. Leases, one-time codes, deduplication and "only
	// if newer" are built on Swap.
	Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error)

	// Delete removes key. Deleting an absent key is no error.
	Delete(ctx context.Context, key string) error

	// Keys yields each live key that begins with prefix, once, in no order. Keys that are written or removed meanwhile,
	// also by the loop itself, may or may not be yielded. An error ends the sequence.
	Keys(ctx context.Context, prefix string) iter.Seq2[string, error]
}
