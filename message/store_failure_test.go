package message_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

// flush empties a store, like a restart of a store in memory.
func flush(s store.Store) {
	for key := range s.Keys(context.Background(), "") {
		_ = s.Delete(context.Background(), key)
	}
}

// storeFailures are failures of a store while a message is answered.
var storeFailures = map[string]func(s *failingStore){
	"none":          func(*failingStore) {},
	"down at first": func(s *failingStore) { s.dead.Store(true); time.AfterFunc(2*time.Second, s.recover) },
	"down early":    func(s *failingStore) { time.AfterFunc(2*time.Second, s.fail); time.AfterFunc(6*time.Second, s.recover) },
	"down late": func(s *failingStore) {
		time.AfterFunc(16*time.Second, s.fail)
		time.AfterFunc(20*time.Second, s.recover)
	},
	"emptied early":   func(s *failingStore) { time.AfterFunc(1500*time.Millisecond, func() { flush(s.Store) }) },
	"emptied late":    func(s *failingStore) { time.AfterFunc(20*time.Second, func() { flush(s.Store) }) },
	"emptied at once": func(s *failingStore) { time.AfterFunc(10*time.Millisecond, func() { flush(s.Store) }) },
}

func (d *failingStore) fail()    { d.dead.Store(true) }
func (d *failingStore) recover() { d.dead.Store(false) }

func TestStoreFailuresLoseNoLateReply(t *testing.T) {
	for name, begin := range storeFailures {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, wx, s := new(backends), new(wechattest.Server), &failingStore{Store: new(store.Memory)}
				b.set("a", respondAfter(30*time.Second, replyJSON("the reply")))
				api := lateClient(t, wx)
				in, log := forwarding(t, b, []message.Backend{{Answer: true, Late: true, Timeout: time.Minute}}, func(c *message.Config) {
					c.Forward.API, c.Store = api, s
				})
				begin(s)
				deliver(t, callback(in), push.Message{Content: "hi", From: "oFrom"})
				<-time.After(5 * time.Minute)
				require.Len(t, wx.Sent(), 1, log)
				if name != "down early" { // during a try, which then does not find the claim
					require.Len(t, b.requests("a"), 1)
				}
			})
		})
	}
}

func TestHandlerRunsOnceIfTheStoreIsEmptied(t *testing.T) {
	for _, name := range []string{"emptied early", "emptied at once"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int32
				s := &failingStore{Store: new(store.Memory)}
				in, _ := receiver(t, func(c *message.Config) { c.Store = s })
				in.Handle(message.Any, slow(8*time.Second, &runs))
				storeFailures[name](s)
				p := deliver(t, callback(in), push.Message{Content: "hi"})
				<-time.After(20 * time.Second)
				require.EqualValues(t, 1, runs.Load())
				require.Equal(t, "answer to hi", p.Shown)
			})
		})
	}
}

func TestHangingStoreDoesNotMakeWeChatReportAFailure(t *testing.T) {
	for _, takes := range []time.Duration{3300 * time.Millisecond, 3800 * time.Millisecond, 6 * time.Second} {
		t.Run(takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int32
				in, _ := receiver(t, func(c *message.Config) { c.Store = hangingStore{} })
				in.Handle(message.Any, slow(takes, &runs))
				p := deliver(t, callback(in), push.Message{Content: "hi"})
				require.EqualValues(t, 1, runs.Load())
				require.Len(t, p.Tries, 1)
				require.Empty(t, p.Fault)
				<-time.After(20 * time.Second)
			})
		})
	}
}

// hangingWrites is a store whose writes never return.
type hangingWrites struct{ store.Store }

func (u hangingWrites) Swap(ctx context.Context, _ string, _, _ []byte, _ time.Duration) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// failingCount is a store that fails to count tries.
type failingCount struct{ store.Store }

func (u failingCount) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if strings.HasSuffix(key, "/round") {
		return false, errors.New("store failed")
	}
	return u.Store.Swap(ctx, key, old, new, ttl)
}

func TestMessageIsNotAcknowledgedWhileItsCopiesAreNotStored(t *testing.T) {
	down := &failingStore{Store: new(store.Memory)}
	down.fail()
	for name, s := range map[string]store.Store{"down": down, "fails to count": failingCount{new(store.Memory)}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, log := forwarding(t, new(backends), []message.Backend{{}}, func(c *message.Config) {
					c.Store, c.Forward.Records = s, hangingWrites{new(store.Memory)}
				})
				p := deliver(t, callback(in), push.Message{Content: "hi"})
				require.Len(t, p.Tries, 3, "WeChat sends it again")
				for _, try := range p.Tries {
					require.NotEqual(t, "success", try.Body)
				}
				require.Contains(t, log.String(), "copies could not be stored in time")
				<-time.After(20 * time.Second)
			})
		})
	}
}
