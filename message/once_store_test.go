package message_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/push"
)

// failingStore is a store that fails once dead is set.
type failingStore struct {
	store.Store
	dead atomic.Bool
}

var errStore = errors.New("store failed")

func (d *failingStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if d.dead.Load() {
		return false, errStore
	}
	return d.Store.Swap(ctx, key, old, new, ttl)
}

func (d *failingStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if d.dead.Load() {
		return nil, false, errStore
	}
	return d.Store.Get(ctx, key)
}

func TestMessageOfADeadProcessIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := new(store.Memory)
		s := &failingStore{Store: shared}
		var first, second atomic.Int32
		died := make(chan struct{})
		one, _ := receiver(t, func(c *message.Config) { c.Store = s })
		one.Handle(message.Any, func(ctx context.Context, _ *message.Message) (message.Reply, error) {
			first.Add(1)
			<-time.After(time.Second)
			s.dead.Store(true)
			close(died)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		dying := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			go one.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
			<-died
			panic(http.ErrAbortHandler) // closes the connection, like the end of a process
		})
		two, _ := receiver(t, func(c *message.Config) { c.Store = shared })
		two.Handle(message.Any, slow(time.Second, &second))
		p := deliver(t, callback(roundRobin(dying, two, two)), push.Message{Content: "hi"})
		require.Equal(t, "answer to hi", p.Shown, p.Fault)
		require.EqualValues(t, 1, first.Load())
		require.EqualValues(t, 1, second.Load())
		require.Len(t, p.Tries, 2)
		<-time.After(20 * time.Second)
	})
}

func TestReplyOfAProcessWhoseClaimEndedIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := new(store.Memory)
		s := &failingStore{Store: shared}
		var first, second atomic.Int32
		one, _ := receiver(t, func(c *message.Config) { c.Store = s })
		one.Handle(message.Any, slow(8*time.Second, &first))
		two, _ := receiver(t, func(c *message.Config) { c.Store = shared })
		two.Handle(message.Any, slow(12*time.Second, &second))
		go func() {
			<-time.After(1200 * time.Millisecond)
			s.dead.Store(true)
			<-time.After(5 * time.Second) // the claim ends meanwhile
			s.dead.Store(false)
		}()
		p := deliver(t, callback(roundRobin(one, two)), push.Message{Content: "hi"})
		require.Equal(t, "answer to hi", p.Shown, p.Fault)
		require.Len(t, p.Tries, 3)
		require.Less(t, p.Tries[2].End.Sub(p.Tries[2].Start), time.Second, "the reply was ready before the last try")
		require.EqualValues(t, 1, first.Load())
		require.EqualValues(t, 1, second.Load(), "the second process took over")
		<-time.After(20 * time.Second)
	})
}

func TestReceiverAnswersWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &failingStore{Store: new(store.Memory)}
		s.dead.Store(true)
		var runs atomic.Int32
		in, log := receiver(t, func(c *message.Config) { c.Store = s })
		in.Handle(message.OnText("quick"), slow(0, &runs))
		in.Handle(message.Any, slow(8*time.Second, &runs))
		require.Equal(t, "answer to quick", deliver(t, callback(in), push.Message{Content: "quick"}).Shown)
		require.Contains(t, log.String(), "store failed")

		p := deliver(t, callback(in), push.Message{Content: "slow"})
		require.Empty(t, p.Fault, "no later request could read the reply: the first try is the last")
		require.Len(t, p.Tries, 1)
		require.InDelta(t, 4.5, p.Tries[0].End.Sub(p.Tries[0].Start).Seconds(), 0.01)
		require.EqualValues(t, 2, runs.Load())
		<-time.After(20 * time.Second)
	})
}

func TestHangingStoreDelaysTheReplyByASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		in, _ := receiver(t, func(c *message.Config) { c.Store = hangingStore{} })
		in.Handle(message.Any, slow(0, &runs))
		p := deliver(t, callback(in), push.Message{Content: "hi"})
		require.Equal(t, "answer to hi", p.Shown, p.Fault)
		require.Less(t, p.Tries[0].End.Sub(p.Tries[0].Start), 4*time.Second)
		<-time.After(20 * time.Second)
	})
}

// hangingStore is a store whose calls never return.
type hangingStore struct{ store.Store }

func (hangingStore) Swap(ctx context.Context, _ string, _, _ []byte, _ time.Duration) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func (hangingStore) Get(ctx context.Context, _ string) ([]byte, bool, error) {
	<-ctx.Done()
	return nil, false, ctx.Err()
}
