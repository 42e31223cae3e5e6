package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/store"
)

func TestAnItemThatIsAlwaysRefusedDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		took := map[string]time.Time{}
		o := &outbox.Outbox{Store: new(store.Memory), Forever: true, OnError: func(context.Context, error) {}, Send: func(_ context.Context, item outbox.Item) error {
			if item.ID == "poison" {
				return outbox.Replied(errors.New("errcode 1"))
			}
			mu.Lock()
			defer mu.Unlock()
			took[item.ID] = time.Now()
			return nil
		}}
		defer runOutbox(t, o)()
		add(t, o, "poison", "http://shop/paid")
		<-time.After(time.Hour)
		synctest.Wait()
		var worst time.Duration
		for _, id := range []string{"a", "b", "c", "d", "e"} { // one payment about every two hours
			begun := time.Now()
			add(t, o, id, "http://shop/paid")
			<-time.After(2*time.Hour + 7*time.Minute)
			synctest.Wait()
			mu.Lock()
			worst = max(worst, took[id].Sub(begun))
			mu.Unlock()
		}
		t.Logf("worst delay of an item that the target accepts: %s", worst)
		require.Less(t, worst, 10*time.Second)
	})
}

// TestSlowTargetsOfOneAppDelayNoOtherApp: the orders of app slow name a notify_to with a query, such as ?order=1, so each is a target.
func TestSlowTargetsOfOneAppDelayNoOtherApp(t *testing.T) {
	for name, query := range map[string]string{"one target": "", "one target for each order": "?order=%d"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took := make(chan time.Time, 1)
				o := &outbox.Outbox{Store: new(store.Memory), Forever: true, OnError: func(context.Context, error) {}, Send: func(ctx context.Context, item outbox.Item) error {
					if item.App == "slow" {
						select {
						case <-time.After(25 * time.Second):
							return nil
						case <-ctx.Done():
							return ctx.Err()
						}
					}
					took <- time.Now()
					return nil
				}}
				defer runOutbox(t, o)()
				for i := range 400 {
					target := "http://slow/paid"
					if query != "" {
						target += fmt.Sprintf(query, i)
					}
					require.NoError(t, o.Add(t.Context(), outbox.Item{App: "slow", ID: fmt.Sprint(i), Target: target, Body: []byte("x")}))
				}
				<-time.After(5 * time.Second)
				begun := time.Now()
				require.NoError(t, o.Add(t.Context(), outbox.Item{App: "shop", ID: "a", Target: "http://shop/paid", Body: []byte("x")}))
				delay := (<-took).Sub(begun)
				t.Logf("the report of another app is sent after %s", delay)
				require.Less(t, delay, 5*time.Second)
			})
		})
	}
}
