package storetest_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/wetoken/wetoken/store"
)

// prefixed is an adapter: a part of another store, whose keys begin with a prefix.
type prefixed struct {
	base   store.Store
	prefix string
}

func (p prefixed) Get(ctx context.Context, key string) ([]byte, bool, error) {
	return p.base.Get(ctx, p.prefix+key)
}

func (p prefixed) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return p.base.Set(ctx, p.prefix+key, value, ttl)
}

func (p prefixed) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	return p.base.Swap(ctx, p.prefix+key, old, new, ttl)
}

func (p prefixed) Delete(ctx context.Context, key string) error {
	return p.base.Delete(ctx, p.prefix+key)
}

func (p prefixed) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range p.base.Keys(ctx, p.prefix+prefix) {
			if !yield(strings.TrimPrefix(key, p.prefix), err) {
				return
			}
		}
	}
}

// An adapter, and its whole test:
//
//	func TestPrefixed(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store {
//			return prefixed{base: new(store.Memory), prefix: "shop/"}
//		})
//	}
func ExampleRun() {
	ctx := context.Background()
	shared := new(store.Memory)
	s := prefixed{base: shared, prefix: "shop/"}
	if err := s.Set(ctx, "token/wx0123456789abcdef/stable", []byte("a token"), time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	for key, err := range s.Keys(ctx, "token/") {
		fmt.Println(key, err)
	}
	for key, err := range shared.Keys(ctx, "") {
		fmt.Println(key, err)
	}
	// Output:
	// token/wx0123456789abcdef/stable <nil>
	// shop/token/wx0123456789abcdef/stable <nil>
}
