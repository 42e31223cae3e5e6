// Package storetest tells whether a [store.Store] keeps its word. An adapter's own test is a few lines:
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

// check is one sentence of the Store's comment, as a test.
type check struct {
	sentence string
	run      func(t *testing.T, s store.Store)
}

// Run runs one subtest for each sentence of the comment of [store.Store], and returns when all are done. open returns a
// store that holds nothing, or a part of one that nothing else uses: a table or a prefix of its own. The subtests run
// in parallel, so open must allow that, and each keeps its store until its t ends. Run takes a few seconds, since
// values have to expire by the store's own clock.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("store", func(t *testing.T) {
		for _, c := range slices.Concat(values, lives, swaps, keys, leases) {
			t.Run(c.sentence, func(t *testing.T) {
				t.Parallel()
				c.run(t, open(t))
			})
		}
	})
}
