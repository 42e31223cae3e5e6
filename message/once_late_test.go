package message_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

// deliverThroughAnOutage delivers a message to two processes whose backends may reply late. The first process cannot use the store from
// 1.2 to 5.7 seconds after the message, so its claim ends, and the second process calls its own backend at 5 seconds. It returns the
// result of the delivery, and the bodies of the replies sent as customer service messages.
func deliverThroughAnOutage(t *testing.T, first, second http.HandlerFunc) (push.Result, []string) {
	b1, b2, wx := new(backends), new(backends), new(wechattest.Server)
	b1.set("a", first)
	b2.set("a", second)
	api := lateClient(t, wx)
	shared := new(store.Memory)
	s := &failingStore{Store: shared}
	late := func() []message.Backend {
		return []message.Backend{{Answer: true, Late: true, Timeout: 5 * time.Minute}}
	}
	one, _ := forwarding(t, b1, late(), func(m *message.Config) { m.Forward.API, m.Store = api, s })
	two, _ := forwarding(t, b2, late(), func(m *message.Config) { m.Forward.API, m.Store = api, shared })
	go func() {
		<-time.After(1200 * time.Millisecond)
		s.dead.Store(true)
		<-time.After(4500 * time.Millisecond)
		s.dead.Store(false)
	}()
	p := deliver(t, callback(roundRobin(one, two)), push.Message{Content: "hi", From: "oFrom"})
	<-time.After(6 * time.Minute)
	var sent []string
	for _, m := range wx.Sent() {
		sent = append(sent, string(m.Body))
	}
	return p, sent
}

func TestAReplyThatWasTakenIsNotFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, sent := deliverThroughAnOutage(t, respondAfter(6*time.Second, replyJSON("one")), respondAfter(3*time.Second, replyJSON("two")))
		require.Equal(t, "two", p.Shown, p.Fault)
		require.Empty(t, sent)
	})
}

func TestAFailedRunLeavesTheLateReplyOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(15 * time.Second)
			w.WriteHeader(http.StatusBadRequest)
		}
		_, sent := deliverThroughAnOutage(t, fails, respondAfter(20*time.Second, replyJSON("two")))
		require.Len(t, sent, 1)
		require.Contains(t, sent[0], "two")
	})
}
