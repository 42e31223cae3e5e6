package storetest_test

import (
	"testing"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/storetest"
)

func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return new(store.Memory) })
}

func TestTheAdapterOfTheExampleIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return prefixed{base: new(store.Memory), prefix: "shop/"} })
}
