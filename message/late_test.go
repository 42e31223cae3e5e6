package message_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	wire "github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestBackendMayTakeEightSecondsAndGetsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), new(store.Memory)
		b.set("a", respondAfter(8*time.Second, replyJSON("slow but sure")))
		targets := []message.Backend{{Answer: true, Timeout: 12 * time.Second}}
		one, _ := forwarding(t, b, targets, func(c *message.Config) { c.Store = s })
		two, _ := forwarding(t, b, targets, func(c *message.Config) { c.Store = s })
		begun := time.Now()
		p := deliver(t, callback(roundRobin(one, two)), push.Message{Content: "hi"})
		require.Equal(t, "slow but sure", p.Shown, p.Fault)
		require.Len(t, p.Tries, 2)
		require.InDelta(t, 8, time.Since(begun).Seconds(), 0.1)
		require.Len(t, b.requests("a"), 1)
	})
}

// fixedToken is a token that does not expire.
type fixedToken string

func (f fixedToken) Token(context.Context) (wire.Credential, error) {
	return wire.Credential{Value: string(f), Expires: time.Now().Add(time.Hour)}, nil
}

func (f fixedToken) Renew(ctx context.Context, _ string) (wire.Credential, error) {
	return f.Token(ctx)
}

// client returns a Client of wx with the token of an app.
func client(t testing.TB, wx *wechattest.Server, app wechattest.App) *wire.Client {
	wx.Add(app)
	path, query := "/cgi-bin/token", url.Values{"grant_type": {"client_credential"}, "appid": {app.ID}, "secret": {app.Secret}}
	c := &wire.Client{HTTP: wx.Client()}
	if app.Kind == wechattest.Work {
		path, query, c.BaseURL = "/cgi-bin/gettoken", url.Values{"corpid": {app.ID}, "corpsecret": {app.Secret}}, wire.WorkURL
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, c.Get(t.Context(), path, query, &answer))
	c.Tokens = fixedToken(answer.Token)
	return c
}

// lateClient returns a Client of wx for late replies.
func lateClient(t testing.TB, wx *wechattest.Server) *wire.Client {
	return client(t, wx, wechattest.App{ID: official().id, Secret: "app secret"})
}

func TestLateReplyIsSentOnceIfConfigured(t *testing.T) {
	for _, c := range []struct {
		takes time.Duration
		late  bool
		tries int // that WeChat makes
		shown string
		sent  int
	}{
		{8 * time.Second, true, 3, "the reply", 0},
		{14 * time.Second, true, 3, "the reply", 0},
		{14450 * time.Millisecond, true, 3, "the reply", 0}, // just in time
		{14700 * time.Millisecond, true, 3, "", 1},
		{20 * time.Second, true, 3, "", 1},
		{4 * time.Minute, true, 3, "", 1},
		{8 * time.Second, true, 1, push.Unavailable, 1}, // no further try
		{13900 * time.Millisecond, false, 3, "the reply", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, wx, s := new(backends), new(wechattest.Server), new(store.Memory)
			b.set("a", respondAfter(c.takes, replyJSON("the reply")))
			target := message.Backend{Answer: true, Timeout: 14 * time.Second}
			if c.late {
				target.Late, target.Timeout = true, 5*time.Minute
			}
			api := lateClient(t, wx)
			var all []http.Handler
			for range 2 {
				in, _ := forwarding(t, b, []message.Backend{target}, func(m *message.Config) { m.Forward.API, m.Store = api, s })
				all = append(all, in)
			}
			w := callback(roundRobin(all...))
			w.Tries = c.tries
			p := deliver(t, w, push.Message{Content: "hi", From: "oFrom"})
			require.Equal(t, c.shown, p.Shown, "%s: %s", c.takes, p.Fault)
			<-time.After(5 * time.Minute)
			require.Len(t, wx.Sent(), c.sent, "%s", c.takes)
			for _, m := range wx.Sent() {
				require.Equal(t, "/cgi-bin/message/custom/send", m.Path)
				require.JSONEq(t, `{"touser":"oFrom","msgtype":"text","text":{"content":"the reply"}}`, string(m.Body))
			}
			require.Len(t, b.requests("a"), 1)
		})
	}
}

func TestReplyAtTheDeadlineIsTheFirstAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, wx := new(backends), new(wechattest.Server)
		b.set("a", respondAfter(time.Minute, replyJSON("much later")))
		b.set("b", respondAfter(time.Second, replyJSON("at hand")))
		in, _ := forwarding(t, b, []message.Backend{{Answer: true, Late: true, Timeout: 2 * time.Minute}, {Answer: true}},
			func(m *message.Config) { m.Forward.API = lateClient(t, wx) })
		p := deliver(t, callback(in), push.Message{Content: "hi"})
		require.Equal(t, "at hand", p.Shown)
		<-time.After(5 * time.Minute)
		require.Empty(t, wx.Sent(), "one message, one reply")
	})
}

func TestMiniProgramReplyIsSentAtOnceIfConfigured(t *testing.T) {
	for _, json := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b, wx := new(backends), new(wechattest.Server)
			b.set("a", respondAfter(0, replyJSON("hello")))
			in, _ := forwarding(t, b, []message.Backend{{Answer: true, Late: true}}, func(m *message.Config) {
				if m.Forward.API = lateClient(t, wx); !json {
					m.Kind = wire.Mini
				}
			})
			c := callback(in)
			c.Kind, c.JSON = push.Mini, json
			p := deliver(t, c, push.Message{Content: "hi", From: "oFrom"})
			require.Empty(t, p.Fault)
			require.Equal(t, "success", p.Tries[0].Body)
			synctest.Wait()
			require.Len(t, wx.Sent(), 1)
			require.JSONEq(t, `{"touser":"oFrom","msgtype":"text","text":{"content":"hello"}}`, string(wx.Sent()[0].Body))
		})
	}
}

func TestLateReplyWithoutMediaIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, wx := new(backends), new(wechattest.Server)
		b.set("a", respondAfter(0, `{"MsgType":"image","Image":{}}`))
		b.set("b", respondAfter(0, replyJSON("good")))
		in, log := forwarding(t, b, []message.Backend{{Answer: true, Late: true}, {Answer: true}}, func(m *message.Config) { m.Forward.API = lateClient(t, wx) })
		require.Equal(t, "good", deliver(t, callback(in), push.Message{Content: "hi"}).Shown)
		<-time.After(time.Minute)
		require.Empty(t, wx.Sent())
		require.Contains(t, log.String(), "Image.MediaId is missing")
	})
}
