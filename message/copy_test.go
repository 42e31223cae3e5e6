package message_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

func TestACopyIsStoredBeforeWeChatIsAnsweredAndDeliveredUntilItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), new(store.Memory)
		b.set("b", says(0, replyJSON("answer")))
		targets := []message.Target{{Form: message.FormJSON}, {Answer: true}}
		share := func(c *message.Config) { c.Store = s }
		first, _ := forwarding(t, b, targets, share)
		p := push(t, callback(first), wechattest.Push{Content: "hi", MsgID: 42})
		require.Equal(t, "answer", p.Shown)
		require.Empty(t, b.at("a"), "nobody keeps it yet")

		// The process ends here, and another one begins, whose sign key is new. The backend is down for an hour.
		second, log := forwarding(t, b, targets, share, func(c *message.Config) { c.SignKey = "newer key" })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- second.Keep(ctx) }()
		<-time.After(time.Hour)
		b.set("a", says(0, replyJSON("a copy's reply is not used")))
		<-time.After(11 * time.Minute)
		all := b.at("a")
		require.Contains(t, all[len(all)-1].Body, `"MsgId":42`)
		mac := hmac.New(sha256.New, []byte("newer key"))
		at, v1, _ := strings.Cut(strings.TrimPrefix(all[len(all)-1].Header.Get("Wetoken-Signature"), "t="), ",v1=")
		io.WriteString(mac, at+"."+all[len(all)-1].Body)
		require.Equal(t, hex.EncodeToString(mac.Sum(nil)), v1, "signed when it is sent, with the key of that time")
		require.Contains(t, log.String(), "a fails, what is for it waits")
		n := len(all)
		<-time.After(time.Hour)
		require.Len(t, b.at("a"), n, "and then it is done")
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestACopyThatCannotBeStoredIsNotReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), &mortal{Store: new(store.Memory)}
		b.set("b", says(0, replyJSON("answer")))
		in, _ := forwarding(t, b, []message.Target{{}, {Answer: true}}, func(c *message.Config) { c.Records = s })
		s.dead.Store(true)
		go func() {
			<-time.After(7 * time.Second)
			s.dead.Store(false)
		}()
		p := push(t, callback(in), wechattest.Push{Content: "hi"})
		require.Equal(t, []int{500, 500, 200}, []int{p.Tries[0].Status, p.Tries[1].Status, p.Tries[2].Status})
		require.Equal(t, "answer", p.Shown)
		require.Len(t, b.at("b"), 1, "nobody is asked before the copy is safe")
	})
}

func TestReceiversOfOneCorpKeepApartByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), new(store.Memory)
		for _, name := range []string{"crm", "hr"} {
			var runs atomic.Int32
			in, _ := forwarding(t, b, []message.Target{{URL: "http://" + name + "/"}}, func(c *message.Config) { c.Store, c.Name = s, name })
			in.Handle(message.Any, slow(0, &runs))
			push(t, callback(in), wechattest.Push{Content: "hi", MsgID: 7})
			require.EqualValues(t, 1, runs.Load())
		}
		hr, _ := forwarding(t, b, []message.Target{{URL: "http://hr/"}}, func(c *message.Config) { c.Store, c.Name = s, "hr" })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, hr.Keep(ctx), context.DeadlineExceeded)
		require.NotEmpty(t, b.at("hr"))
		require.Empty(t, b.at("crm"))
	})
}

func TestCopiesArriveThoughTheirTargetIsNoLongerConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), new(store.Memory)
		share := func(c *message.Config) { c.Store = s }
		before, _ := forwarding(t, b, []message.Target{{}}, share)
		push(t, callback(before), wechattest.Push{Content: "hi"})
		b.set("a", says(0, ""))
		now, _ := forwarding(t, b, []message.Target{{Answer: true}}, share)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go now.Keep(ctx)
		<-time.After(time.Minute)
		require.Len(t, b.at("a"), 1)
		cancel()
		synctest.Wait()
	})
}

func TestKeepWithoutCopiesOnlyWaits(t *testing.T) {
	in, _ := forwarding(t, new(backends), ask(1))
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("going down")
	cancel(cause)
	require.ErrorIs(t, in.Keep(ctx), cause)
}
