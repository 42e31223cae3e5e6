package redisstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/redisstore"
)

func Example() {
	server, err := miniredis.Run() // in place of a Redis of your own
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	s, err := redisstore.Open("redis://" + server.Addr() + "/0?prefix=wetoken:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Client.Close()

	ctx := context.Background()
	lease, ok, err := store.TryLease(ctx, s, "token/wx0123456789abcdef/lease", 10*time.Second)
	fmt.Println(ok, err, server.Keys())
	fmt.Println(lease.Release(ctx), server.Keys())

	// Output:
	// true <nil> [wetoken:token/wx0123456789abcdef/lease]
	// <nil> []
}
