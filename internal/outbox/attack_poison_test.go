package outbox_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/store"
)

// TestAttackOneItemThatIsAlwaysRefusedDelaysTheNextItems: the target is healthy, but refuses one item for ever.
func TestAttackOneItemThatIsAlwaysRefusedDelaysTheNextItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		took := map[string]time.Time{}
		o := &outbox.Outbox{Store: new(store.Memory), Forever: true, OnError: func(context.Context, error) {}, Send: func(_ context.Context, item outbox.Item) error {
			if item.ID == "poison" {
				return errors.New("the backend replied errcode 1")
			}
			mu.Lock()
			defer mu.Unlock()
			took[item.ID] = time.Now()
			return nil
		}}
		defer runOutbox(t, o)()
		add(t, o, "poison", "http://shop/paid")
		<-time.After(time.Hour)
		var worst time.Duration
		for _, id := range []string{"a", "b", "c", "d", "e"} { // one payment about every two hours
			begun := time.Now()
			add(t, o, id, "http://shop/paid")
			<-time.After(2*time.Hour + 7*time.Minute)
			mu.Lock()
			worst = max(worst, took[id].Sub(begun))
			mu.Unlock()
		}
		t.Logf("worst delay of an item that the target accepts: %s", worst)
		require.Less(t, worst, 10*time.Second)
	})
}
