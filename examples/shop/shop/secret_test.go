package shop_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/store"
)

func TestTheKeyIsMadeOnceForAllProcesses(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		var all sync.WaitGroup
		var mu sync.Mutex
		keys := map[string]int{}
		for range 4 {
			s, _ := shoptest.Open(t, name)
			all.Go(func() {
				key, err := shop.LoadKey(t.Context(), "", s.Shared)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || len(key) < 32 {
					t.Errorf("key of %d bytes, %v", len(key), err)
				}
				keys[string(key)]++
			})
		}
		all.Wait()
		require.Len(t, keys, 1)
	})
}

func TestAKeyThatIsGivenIsLongEnough(t *testing.T) {
	s := new(store.Memory)
	key, err := shop.LoadKey(t.Context(), string(shoptest.Key), s)
	require.NoError(t, err)
	require.Equal(t, shoptest.Key, key)
	_, err = shop.LoadKey(t.Context(), "s3cret", s)
	require.ErrorContains(t, err, "want at least 32")
	require.NotContains(t, err.Error(), "s3cret")
	require.NoError(t, s.Set(t.Context(), "shop/key", []byte("short"), 0))
	_, err = shop.LoadKey(t.Context(), "", s)
	require.ErrorContains(t, err, "want at least 32")
}

func TestAShopPrintsNoSecrets(t *testing.T) {
	s := &shop.Shop{Key: "s3cret-of-this-test", OldSalt: "s3cret-of-this-test"}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s %x", s, s, s, s.Key, s.OldSalt), "s3cret")
	require.NotContains(t, fmt.Sprintf("%x", s.Key), fmt.Sprintf("%x", "s3cret"))
}
