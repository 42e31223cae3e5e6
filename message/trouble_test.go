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

// flush empties a store, as a restart does that keeps nothing.
func flush(s store.Store) {
	for key := range s.Keys(context.Background(), "") {
		_ = s.Delete(context.Background(), key)
	}
}

// trouble is what becomes of a store while a message is being answered.
var trouble = map[string]func(s *mortal){
	"none":            func(*mortal) {},
	"down at first":   func(s *mortal) { s.dead.Store(true); time.AfterFunc(2*time.Second, s.revive) },
	"down early":      func(s *mortal) { time.AfterFunc(2*time.Second, s.die); time.AfterFunc(6*time.Second, s.revive) },
	"down late":       func(s *mortal) { time.AfterFunc(16*time.Second, s.die); time.AfterFunc(20*time.Second, s.revive) },
	"emptied early":   func(s *mortal) { time.AfterFunc(1500*time.Millisecond, func() { flush(s.Store) }) },
	"emptied late":    func(s *mortal) { time.AfterFunc(20*time.Second, func() { flush(s.Store) }) },
	"emptied at once": func(s *mortal) { time.AfterFunc(10*time.Millisecond, func() { flush(s.Store) }) },
}

func (d *mortal) die()    { d.dead.Store(true) }
func (d *mortal) revive() { d.dead.Store(false) }

func TestNoLateReplyIsLostByAStoreInTrouble(t *testing.T) {
	for name, begin := range trouble {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, wx, s := new(backends), new(wechattest.Server), &mortal{Store: new(store.Memory)}
				b.set("a", says(30*time.Second, replyJSON("the reply")))
				api := late(t, wx)
				in, log := forwarding(t, b, []message.Backend{{Answer: true, Late: true, Timeout: time.Minute}}, func(c *message.Config) {
					c.Forward.API, c.Store = api, s
				})
				begin(s)
				deliver(t, callback(in), push.Message{Content: "hi", From: "oFrom"})
				<-time.After(5 * time.Minute)
				require.Len(t, wx.Sent(), 1, log)
				if name != "down early" { // over one of WeChat's tries, which then finds nothing of the first
					require.Len(t, b.at("a"), 1)
				}
			})
		})
	}
}

func TestAHandlerRunsOnceThoughTheStoreIsEmptied(t *testing.T) {
	for _, name := range []string{"emptied early", "emptied at once"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int32
				s := &mortal{Store: new(store.Memory)}
				in, _ := receiver(t, func(c *message.Config) { c.Store = s })
				in.Handle(message.Any, slow(8*time.Second, &runs))
				trouble[name](s)
				p := deliver(t, callback(in), push.Message{Content: "hi"})
				<-time.After(20 * time.Second)
				require.EqualValues(t, 1, runs.Load())
				require.Equal(t, "answer to hi", p.Shown)
			})
		})
	}
}

func TestWithAStoreThatHangsTheUserIsNotToldThatTheServiceIsDown(t *testing.T) {
	for _, takes := range []time.Duration{3300 * time.Millisecond, 3800 * time.Millisecond, 6 * time.Second} {
		t.Run(takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int32
				in, _ := receiver(t, func(c *message.Config) { c.Store = hanging{} })
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

// unwritable is a store that does not finish writing.
type unwritable struct{ store.Store }

func (u unwritable) Swap(ctx context.Context, _ string, _, _ []byte, _ time.Duration) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// uncounted is a store that fails to count tries.
type uncounted struct{ store.Store }

func (u uncounted) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if strings.HasSuffix(key, "/round") {
		return false, errors.New("a moment's trouble")
	}
	return u.Store.Swap(ctx, key, old, new, ttl)
}

func TestAMessageWhoseCopiesAreNotStoredIsNotAcknowledged(t *testing.T) {
	down := &mortal{Store: new(store.Memory)}
	down.die()
	for name, s := range map[string]store.Store{"down": down, "in trouble for a moment": uncounted{new(store.Memory)}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, log := forwarding(t, new(backends), []message.Backend{{}}, func(c *message.Config) {
					c.Store, c.Forward.Records = s, unwritable{new(store.Memory)}
				})
				p := deliver(t, callback(in), push.Message{Content: "hi"})
				require.Len(t, p.Tries, 3, "WeChat sends it again")
				for _, try := range p.Tries {
					require.NotEqual(t, "success", try.Body)
				}
				require.Contains(t, log.String(), "its copies could not be stored in time")
				<-time.After(20 * time.Second)
			})
		})
	}
}
