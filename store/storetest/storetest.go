// Package storetest tests that a [store.Store] does what its comment says. An adapter's own test is a few lines:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return mine.New(t) })
//	}
package storetest

import (
	"slices"
	"testing"

	"github.com/wetoken/wetoken/store"
)

// check is the test of one sentence of the comment of Store.
type check struct {
	sentence string
	run      func(t *testing.T, s store.Store)
}

// Run runs one subtest for each sentence of the comment of [store.Store], and returns when all are done. open returns
// an empty store, or an empty part of one that nothing else uses: a table or a prefix of its own. The subtests run in
// parallel, so open must be safe for concurrent use. A store must stay open until its t ends. Run takes a few seconds,
// since values must expire by the store's own clock.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("store", func(t *testing.T) {
		for _, c := range slices.Concat(valueChecks, lifeChecks, swapChecks, keyChecks, leaseChecks) {
			t.Run(c.sentence, func(t *testing.T) {
				t.Parallel()
				c.run(t, open(t))
			})
		}
	})
}
