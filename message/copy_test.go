package message_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
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

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestCopyIsStoredBeforeTheReplyAndDeliveredUntilAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), new(store.Memory)
		b.set("b", respondAfter(0, replyJSON("answer")))
		targets := []message.Backend{{Form: message.FormJSON}, {Answer: true}}
		share := func(c *message.Config) { c.Store = s }
		first, _ := forwarding(t, b, targets, share)
		p := deliver(t, callback(first), push.Message{Content: "hi", MsgID: 42})
		require.Equal(t, "answer", p.Shown)
		require.Empty(t, b.requests("a"), "no Run delivers it yet")

		// Another process starts with a new sign key. The backend is down for an hour.
		second, log := forwarding(t, b, targets, share, func(c *message.Config) { c.Forward.SignKeys = []string{"newer key", "sign key"} })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- second.Run(ctx) }()
		<-time.After(time.Hour)
		b.set("a", respondAfter(0, replyJSON("a copy's reply is not used")))
		<-time.After(11 * time.Minute)
		all := b.requests("a")
		require.Contains(t, all[len(all)-1].Body, `"MsgId":42`)
		mac := hmac.New(sha256.New, []byte("newer key"))
		at, v1, _ := strings.Cut(strings.TrimPrefix(all[len(all)-1].Header.Get("Wetoken-Signature"), "t="), ",v1=")
		io.WriteString(mac, at+"."+all[len(all)-1].Body)
		require.Equal(t, hex.EncodeToString(mac.Sum(nil)), v1[:64], "signed with the key at the time of sending")
		require.Contains(t, log.String(), "delivery to a failed")
		n := len(all)
		<-time.After(time.Hour)
		require.Len(t, b.requests("a"), n, "and then it is done")
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestMessageIsNotAcknowledgedIfItsCopyIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), &failingStore{Store: new(store.Memory)}
		b.set("b", respondAfter(0, replyJSON("answer")))
		in, _ := forwarding(t, b, []message.Backend{{}, {Answer: true}}, func(c *message.Config) { c.Forward.Records = s })
		s.dead.Store(true)
		go func() {
			<-time.After(7 * time.Second)
			s.dead.Store(false)
		}()
		p := deliver(t, callback(in), push.Message{Content: "hi"})
		require.Equal(t, []int{500, 500, 200}, []int{p.Tries[0].Status, p.Tries[1].Status, p.Tries[2].Status})
		require.Equal(t, "answer", p.Shown)
		require.Len(t, b.requests("b"), 1, "backends are called after the copy is stored")
	})
}

func TestReceiversOfOneCorpAreSeparatedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), new(store.Memory)
		for _, name := range []string{"crm", "hr"} {
			var runs atomic.Int32
			in, _ := forwarding(t, b, []message.Backend{{URL: "http://" + name + "/"}}, func(c *message.Config) { c.Store, c.Name = s, name })
			in.Handle(message.Any, slow(0, &runs))
			deliver(t, callback(in), push.Message{Content: "hi", MsgID: 7})
			require.EqualValues(t, 1, runs.Load())
		}
		hr, _ := forwarding(t, b, []message.Backend{{URL: "http://hr/"}}, func(c *message.Config) { c.Store, c.Name = s, "hr" })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, hr.Run(ctx), context.DeadlineExceeded)
		require.NotEmpty(t, b.requests("hr"))
		require.Empty(t, b.requests("crm"))
	})
}

func TestCopiesArriveAfterTheirTargetIsRemovedFromTheConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), new(store.Memory)
		share := func(c *message.Config) { c.Store = s }
		before, _ := forwarding(t, b, []message.Backend{{}}, share)
		deliver(t, callback(before), push.Message{Content: "hi"})
		b.set("a", respondAfter(0, ""))
		now, _ := forwarding(t, b, []message.Backend{{Answer: true}}, share)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go now.Run(ctx)
		<-time.After(time.Minute)
		require.Len(t, b.requests("a"), 1)
		cancel()
		synctest.Wait()
	})
}

// storeForged stores an item like its outbox, but without an authentication code.
func storeForged(t *testing.T, s store.Store, prefix, app, url string) {
	forged := &outbox.Outbox{Store: s, Prefix: prefix}
	require.NoError(t, forged.Add(t.Context(), outbox.Item{App: app, ID: rand.Text(), Target: url, ContentType: "text/xml", Body: []byte(hello)}))
}

func TestForgedCopyIsNotSent(t *testing.T) {
	for name, c := range map[string]struct {
		key        string
		configured bool // the forged item is for a configured target
		sent       int
	}{
		"with a key":                     {key: "sign key"},
		"with a key, to a configured":    {key: "sign key", configured: true},
		"without a key":                  {},
		"without a key, to a configured": {configured: true, sent: 1}, // unsigned, like all requests to this backend
	} {
		synctest.Test(t, func(t *testing.T) {
			b, s := new(backends), new(store.Memory)
			b.set("a", respondAfter(0, ""))
			b.set("evil", respondAfter(0, ""))
			in, log := forwarding(t, b, []message.Backend{{}, {Answer: true, URL: "http://evil/answers"}}, func(c2 *message.Config) { c2.Store, c2.Forward.SignKeys = s, []string{c.key} })
			for _, url := range []string{"http://evil/wx", "http://evil/answers"} {
				if c.configured {
					url = "http://a/wx"
				}
				storeForged(t, s, "message/"+official().id+"/copy/", official().id, url)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.ErrorIs(t, in.Run(ctx), context.DeadlineExceeded)
			require.Empty(t, b.requests("evil"), name)
			require.Len(t, b.requests("a"), 2*c.sent, name)
			for _, r := range b.requests("a") {
				require.Empty(t, r.Header.Get("Wetoken-Signature"), name)
			}
			require.Equal(t, 2-2*c.sent, strings.Count(log.String(), "dropped an item"), name)
		})
	}
}

func TestCopyIsSentWithTheKeysThatAuthenticateIt(t *testing.T) {
	for _, c := range []struct {
		now, before string
		arrives     bool
	}{{"sign key", "", true}, {"new", "sign key", true}, {"new", "older", false}} {
		synctest.Test(t, func(t *testing.T) {
			b, s := new(backends), new(store.Memory)
			in, _ := forwarding(t, b, []message.Backend{{}}, func(c *message.Config) { c.Store = s })
			deliver(t, callback(in), push.Message{Content: "hi"})
			b.set("a", respondAfter(0, ""))
			then, log := forwarding(t, b, []message.Backend{{}}, func(m *message.Config) { m.Store, m.Forward.SignKeys = s, []string{c.now, c.before} })
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.ErrorIs(t, then.Run(ctx), context.DeadlineExceeded)
			require.Equal(t, c.arrives, len(b.requests("a")) == 1, c)
			require.Equal(t, !c.arrives, strings.Contains(log.String(), "neither sign_key nor previous_sign_key"), c)
		})
	}
}

// sharedOutbox is an outbox that many Receivers share.
type sharedOutbox struct{ items []outbox.Item }

func (k *sharedOutbox) Add(_ context.Context, item outbox.Item) error {
	k.items = append(k.items, item)
	return nil
}

func TestCopiesGoToTheSharedOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, k := new(backends), new(sharedOutbox)
		b.set("a", respondAfter(0, ""))
		in, _ := forwarding(t, b, []message.Backend{{}}, func(c *message.Config) { c.Forward.Outbox, c.Name, c.Store = k, "shop", nil })
		deliver(t, callback(in), push.Message{Content: "hi"})
		require.Len(t, k.items, 1)
		require.Equal(t, "shop", k.items[0].App)
		require.Empty(t, b.requests("a"))
		require.NoError(t, in.Deliver(t.Context(), k.items[0]))
		require.Len(t, b.requests("a"), 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, in.Run(ctx), context.DeadlineExceeded)
	})
}

func TestRunWithoutCopiesWaitsForItsContext(t *testing.T) {
	in, _ := forwarding(t, new(backends), ask(1))
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("going down")
	cancel(cause)
	require.ErrorIs(t, in.Run(ctx), cause)
}
