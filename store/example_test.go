package store_test

import (
	"context"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/store"
)

// A value that expires, and a one-time code that only one of two callers can use.
func Example() {
	ctx := context.Background()
	s := new(store.Memory)

	_ = s.Set(ctx, "token/wx0123456789abcdef/stable", []byte("a token"), 2*time.Hour)
	value, ok, _ := s.Get(ctx, "token/wx0123456789abcdef/stable")
	fmt.Println(string(value), ok)

	_ = s.Set(ctx, "oauth/shop/code/1", []byte("openid"), time.Minute)
	first, _ := s.Swap(ctx, "oauth/shop/code/1", []byte("openid"), nil, 0)
	second, _ := s.Swap(ctx, "oauth/shop/code/1", []byte("openid"), nil, 0)
	fmt.Println(first, second)

	// Output:
	// a token true
	// true false
}

func ExampleTryLease() {
	ctx := context.Background()
	s := new(store.Memory)

	lease, ok, err := store.TryLease(ctx, s, "token/wx0123456789abcdef/lease", 10*time.Second)
	if err != nil || !ok {
		return // ask again later
	}
	_, others, _ := store.TryLease(ctx, s, "token/wx0123456789abcdef/lease", 10*time.Second)
	fmt.Println("somebody else got it:", others)

	_ = lease.Release(context.WithoutCancel(ctx))
	_, others, _ = store.TryLease(ctx, s, "token/wx0123456789abcdef/lease", 10*time.Second)
	fmt.Println("somebody else got it:", others)

	// Output:
	// somebody else got it: false
	// somebody else got it: true
}

func ExampleSealed() {
	ctx := context.Background()
	keys, err := store.ParseKeys("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") // openssl rand -base64 32
	if err != nil {
		fmt.Println(err)
		return
	}
	shared := new(store.Memory) // a store that others can read
	s := &store.Sealed{Store: shared, KeyRing: keys}

	_ = s.Set(ctx, "token/wx0123456789abcdef/stable", []byte("a token"), time.Hour)
	value, _, _ := s.Get(ctx, "token/wx0123456789abcdef/stable")
	fmt.Println(string(value))

	// Moving it to another key does not make it another token.
	raw, _, _ := shared.Get(ctx, "token/wx0123456789abcdef/stable")
	_ = shared.Set(ctx, "token/wxfedcba9876543210/stable", raw, time.Hour)
	_, ok, err := s.Get(ctx, "token/wxfedcba9876543210/stable")
	fmt.Println(ok, err)

	// Output:
	// a token
	// false store: sealed: the value was changed, cut short or moved from another key
}
