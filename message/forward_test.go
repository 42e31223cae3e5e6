package message_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestReplyIsTheFirstInConfiguredOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		says []http.HandlerFunc // nil is dead
		want string
		in   time.Duration
	}{
		{"the first though it is slower", []http.HandlerFunc{respondAfter(2*time.Second, replyJSON("one")), respondAfter(0, replyJSON("two"))}, "one", 2 * time.Second},
		{"the second as the first has none", []http.HandlerFunc{respondAfter(time.Second, ""), respondAfter(0, replyJSON("two"))}, "two", time.Second},
		{"success is none", []http.HandlerFunc{respondAfter(0, " success\n"), respondAfter(time.Second, replyJSON("two"))}, "two", time.Second},
		{"an empty text is none", []http.HandlerFunc{respondAfter(0, replyJSON("")), respondAfter(0, replyJSON("two"))}, "two", 0},
		{"no backend has one", []http.HandlerFunc{respondAfter(0, ""), respondAfter(time.Second, "success")}, "", time.Second},
		{"dead", []http.HandlerFunc{nil, respondAfter(time.Second, replyJSON("two"))}, "two", time.Second},
		{"garbage", []http.HandlerFunc{respondAfter(0, "<html><body>oh</body></html>"), respondAfter(0, replyJSON("two"))}, "two", 0},
		{"not well-formed", []http.HandlerFunc{respondAfter(0, "<xml><MsgType>"), respondAfter(0, replyJSON("two"))}, "two", 0},
		{"text", []http.HandlerFunc{respondAfter(0, "ok"), respondAfter(0, replyJSON("two"))}, "two", 0},
		{"an empty object", []http.HandlerFunc{respondAfter(0, `{"code":0}`), respondAfter(0, replyJSON("two"))}, "two", 0},
		{"an image without its id", []http.HandlerFunc{respondAfter(0, `{"MsgType":"image"}`), respondAfter(0, replyJSON("two"))}, "two", 0},
		{"slow", []http.HandlerFunc{respondAfter(time.Hour, ""), respondAfter(0, replyJSON("two"))}, "two", 4 * time.Second},
		{"two slow ones are no slower", []http.HandlerFunc{respondAfter(time.Hour, ""), respondAfter(time.Hour, ""), respondAfter(0, replyJSON("three"))}, "three", 4 * time.Second},
		{"a slow one behind delays nothing", []http.HandlerFunc{respondAfter(0, replyJSON("one")), respondAfter(time.Hour, "")}, "one", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := new(backends)
			for i, h := range c.says {
				b.set(string(rune('a'+i)), h)
			}
			in, _ := forwarding(t, b, ask(len(c.says)))
			begun := time.Now()
			p := deliver(t, callback(in), push.Message{Content: "hi"})
			require.Equal(t, c.want, p.Shown, "%s: %s", c.name, p.Fault)
			require.Empty(t, p.Fault, c.name)
			require.Equal(t, c.in, time.Since(begun), c.name)
			<-time.After(10 * time.Second) // all goroutines have ended, or the bubble would fail
		})
	}
}

func TestStatusOtherThan2xxIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(backends)
		b.set("a", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://inside/")
			w.WriteHeader(307)
			io.WriteString(w, replyJSON("a"))
		})
		b.set("b", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(404)
			io.WriteString(w, replyJSON("b"))
		})
		b.set("c", respondAfter(0, replyJSON("c")))
		in, log := forwarding(t, b, ask(3))
		require.Equal(t, "c", deliver(t, callback(in), push.Message{Content: "hi"}).Shown)
		require.Empty(t, b.requests("inside"))
		require.Contains(t, log.String(), "redirects are not followed")
		require.NotContains(t, log.String(), "inside")
		require.NotContains(t, log.String(), "hi")
	})
}

func TestBackendThatFailsBrieflyIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(backends)
		in, _ := forwarding(t, b, ask(1))
		go func() {
			<-time.After(2 * time.Second)
			b.set("a", respondAfter(0, replyJSON("back")))
		}()
		begun := time.Now()
		p := deliver(t, callback(in), push.Message{Content: "hi"})
		require.Equal(t, "back", p.Shown, p.Fault)
		require.InDelta(t, 2.3, time.Since(begun).Seconds(), 0.4)
		require.Len(t, p.Tries, 1)
	})
}

func TestMessageThatNoBackendAcceptedIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(backends)
		in, _ := forwarding(t, b, ask(2))
		p := deliver(t, callback(in), push.Message{Content: "hi"})
		require.Equal(t, push.Unavailable, p.Shown)
		for _, try := range p.Tries {
			require.Equal(t, 500, try.Status)
		}
		require.Len(t, p.Tries, 3)

		b.set("b", respondAfter(0, "")) // one accepting backend is enough
		p = deliver(t, callback(in), push.Message{Content: "hi"})
		require.Empty(t, p.Fault)
		require.Len(t, p.Tries, 1)
	})
}

func TestWhenSelectsTheBackends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(backends)
		for _, host := range []string{"a", "b", "c"} {
			b.set(host, respondAfter(0, replyJSON(host)))
		}
		in, _ := forwarding(t, b, []message.Backend{
			{Answer: true, When: message.All(message.OnType("text"), message.OnKeyword("price"))},
			{Answer: true, When: message.OnEvent("CLICK")},
			{Answer: true, When: message.All()},
		})
		require.Equal(t, "a", deliver(t, callback(in), push.Message{Content: "the price"}).Shown)
		require.Equal(t, "b", deliver(t, callback(in), push.Message{Event: "CLICK"}).Shown)
		require.Equal(t, "c", deliver(t, callback(in), push.Message{Content: "hi"}).Shown)
		synctest.Wait()
		require.Len(t, b.requests("a"), 1)
		require.Len(t, b.requests("b"), 1)
		require.Len(t, b.requests("c"), 3)
	})
}

func TestReplyOfAHandlerComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(backends)
		b.set("a", respondAfter(time.Second, replyJSON("backend")))
		in, _ := forwarding(t, b, ask(1))
		in.Handle(message.OnText("own"), say("own"))
		in.Handle(message.OnText("silent"), func(context.Context, *message.Message) (message.Reply, error) { return nil, nil })
		require.Equal(t, "own", deliver(t, callback(in), push.Message{Content: "own"}).Shown)
		require.Equal(t, "backend", deliver(t, callback(in), push.Message{Content: "silent"}).Shown)
		require.Equal(t, "backend", deliver(t, callback(in), push.Message{Content: "other"}).Shown)
		require.Len(t, b.requests("a"), 3, "the backend has them all")
	})
}

func TestEachFormHasItsContentAndNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := new(backends), official()
		var raw string
		b.set("a", func(rw http.ResponseWriter, r *http.Request) { // has the app's key, and encrypts its reply
			body, _ := io.ReadAll(r.Body)
			raw = string(body)
			q := r.URL.Query()
			other, err := message.New(w.config())
			require.NoError(t, err)
			m, err := other.Open(q, body)
			require.NoError(t, err)
			sealed, err := other.Seal(m, message.Text("sealed by the backend"))
			require.NoError(t, err)
			rw.Write(sealed)
		})
		b.set("b", respondAfter(0, ""))
		b.set("c", respondAfter(0, ""))
		in, _ := forwarding(t, b, []message.Backend{
			{Answer: true, Form: message.FormRaw},
			{Answer: true, URL: "http://b/wx?own=1"},
			{Answer: true, Form: message.FormJSON},
		}, func(c *message.Config) { c.Forward.SignKeys = []string{"sign key", "old key"} })
		p := deliver(t, callback(in), push.Message{Content: "<hi> & 你好", MsgID: 1<<62 + 1, From: "oFrom"})
		require.Equal(t, "sealed by the backend", p.Shown, p.Fault)
		synctest.Wait()

		one, two, three := b.requests("a")[0], b.requests("b")[0], b.requests("c")[0]
		require.Contains(t, raw, "<Encrypt>")
		require.NotContains(t, raw, "你好")
		require.Equal(t, p.Document, two.Body)
		require.JSONEq(t, `{"ToUserName":"gh_wechattest","FromUserName":"oFrom","CreateTime":`+stamp()+
			`,"MsgType":"text","MsgId":4611686018427387905,"MsgIdStr":"4611686018427387905","Content":"<hi> & 你好"}`, three.Body)
		require.Equal(t, []string{"text/xml; charset=utf-8", "text/xml; charset=utf-8", "application/json"},
			[]string{one.Header.Get("Content-Type"), two.Header.Get("Content-Type"), three.Header.Get("Content-Type")})
		for i, s := range []received{one, two, three} {
			q := s.URL.Query()
			require.Equal(t, w.id, q.Get("appid"))
			require.Equal(t, "oFrom", q.Get("openid"))
			require.NotEmpty(t, q.Get("timestamp"))
			require.Equal(t, i == 0, q.Has("signature"), "it would be valid for any body")
			require.Equal(t, i == 0, q.Has("msg_signature"))
			require.Equal(t, i == 0, q.Has("encrypt_type"))
			require.Equal(t, i == 1, q.Has("own"))

			signature := s.Header.Get("Wetoken-Signature")
			at, _, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",")
			want := "t=" + at
			for _, key := range []string{"sign key", "old key"} {
				mac := hmac.New(sha256.New, []byte(key))
				io.WriteString(mac, at+"."+s.Body)
				want += ",v1=" + hex.EncodeToString(mac.Sum(nil))
			}
			require.Equal(t, want, signature)
			var all strings.Builder
			require.NoError(t, s.Header.Write(&all))
			for _, secret := range []string{w.token, w.key, "sign key", "old key"} {
				require.NotContains(t, all.String()+s.URL.String()+s.Body, secret)
			}
		}
	})
}

func TestSignatureOfWeChatIsForwardedOnlyIfConfigured(t *testing.T) {
	for _, handed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b, w := new(backends), official()
			for _, host := range []string{"a", "b", "c", "d", "e"} {
				b.set(host, respondAfter(0, ""))
			}
			in, _ := forwarding(t, b, []message.Backend{
				{Answer: true}, {Answer: true, Form: message.FormJSON}, {Answer: true, Form: message.FormRaw}, {},
			}, func(c *message.Config) {
				c.Forward.Signature, c.Forward.Hosts, c.Forward.AllowPrivate = handed, []string{"e"}, true
			})
			c := callback(in.Calls(message.FormJSON, nil))
			c.URL = "http://wx.example/message?call=e"
			ctx, cancel := context.WithCancel(t.Context())
			go in.Run(ctx)
			deliver(t, c, push.Message{Content: "hi"})
			synctest.Wait()
			cancel()
			for _, host := range []string{"a", "b", "c", "d", "e"} {
				q := b.requests(host)[0].URL.Query()
				right := q.Get("signature") == sign(w.token, q.Get("timestamp"), q.Get("nonce"))
				require.Equal(t, handed || host == "c", right, host)
				require.Equal(t, handed || host == "c", q.Has("signature"), host)
			}
		})
	}
}

func TestRepeatedDeliveriesHaveTheSameID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := new(backends), new(store.Memory)
		ids := make(map[string]bool) // of different messages and apps
		for _, name := range []string{"shop", "other"} {
			for _, p := range []push.Message{{Content: "hi", MsgID: 7}, {Content: "hi", MsgID: 8}, {Event: "CLICK", EventKey: "a"}, {Event: "CLICK", EventKey: "b"}} {
				b.received = nil
				b.set("a", nil)
				in, _ := forwarding(t, b, []message.Backend{{Answer: true}, {Form: message.FormJSON}, {Form: message.FormRaw, URL: "http://b/wx"}},
					func(c *message.Config) { c.Store, c.Name = s, name })
				deliver(t, callback(in), p) // three times, as the first backend is down
				b.set("a", respondAfter(0, ""))
				b.set("b", respondAfter(0, ""))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				require.ErrorIs(t, in.Run(ctx), context.DeadlineExceeded)
				cancel()
				id := b.requests("a")[0].Header.Get("Wetoken-Delivery")
				require.Regexp(t, "^[0-9a-f]{32}$", id)
				require.Greater(t, len(b.requests("a")), 3)
				require.NotEmpty(t, b.requests("b"))
				for _, host := range []string{"a", "b"} {
					for _, r := range b.requests(host) {
						require.Equal(t, id, r.Header.Get("Wetoken-Delivery"))
					}
				}
				require.False(t, ids[id])
				ids[id] = true
			}
		}
	})
}

func TestJSONMessageIsForwardedInEachForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(backends)
		for _, host := range []string{"a", "b", "c"} {
			b.set(host, respondAfter(0, ""))
		}
		b.set("c", respondAfter(0, `{"MsgType":"transfer_customer_service"}`))
		in, _ := forwarding(t, b, []message.Backend{
			{Answer: true}, {Answer: true, Form: message.FormJSON}, {Answer: true, Form: message.FormRaw},
		})
		c := callback(in)
		c.Kind, c.JSON = push.Mini, true
		p := deliver(t, c, push.Message{Event: "wxa_media_check", Fields: map[string]any{
			"result": map[string]any{"suggest": "pass]]>", "label": 100}, "detail": []any{map[string]any{"a": 1}, map[string]any{"a": 2}}, "1 odd<name>": "x"}})
		require.Equal(t, "transfer_customer_service", p.Type, p.Fault)
		xml := b.requests("a")[0].Body
		require.Contains(t, xml, "<result><label>100</label><suggest><![CDATA[pass]]]]><![CDATA[>]]></suggest></result>")
		require.Contains(t, xml, "<detail><a>1</a></detail><detail><a>2</a></detail>")
		require.Contains(t, xml, "<_1_odd_name_><![CDATA[x]]></_1_odd_name_>")
		other, err := message.New(message.Config{AppID: "x", Token: "AAAAA"})
		require.NoError(t, err)
		m, err := other.Open(official().plain(), []byte(xml))
		require.NoError(t, err, "the output is XML")
		require.Equal(t, "wxa_media_check", m.Event)
		require.Contains(t, b.requests("b")[0].Body, `"result":{"label":100,"suggest":"pass]]>"}`)
		require.Contains(t, b.requests("c")[0].Body, `"Encrypt":"`)
		require.Equal(t, "application/json", b.requests("c")[0].Header.Get("Content-Type"))
	})
}

func TestBackendReplies(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"JSON news in wechat-proxy's shape": {`{"MsgType":"news","ArticleCount":1,"Articles":[{"Item":{"Title":"T","Url":"http://x/"}}]}`, "<item><Title><![CDATA[T]]></Title>"},
		"XML, with other names":             {"<xml><ToUserName>x</ToUserName><FromUserName>y</FromUserName><MsgType>text</MsgType><Content>&lt;hi&gt;</Content></xml>", "<Content><![CDATA[<hi>]]></Content>"},
		"music without a picture":           {`{"MsgType":"music","Music":{"Title":"T","ThumbMediaId":""}}`, "<Music><Title><![CDATA[T]]></Title></Music>"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := new(backends)
			b.set("a", respondAfter(0, c.body))
			in, _ := forwarding(t, b, ask(1))
			p := deliver(t, callback(in), push.Message{Content: "hi"})
			require.Empty(t, p.Fault, name)
			require.Contains(t, p.Reply, c.want, name)
		})
	}
}

func TestInvalidReplyToAnEventIsIgnored(t *testing.T) {
	for _, nonsense := range []string{"<xml><return_code>SUCCESS</return_code></xml>", "<xml><errcode>500</errcode></xml>", `{"code":0,"msg":"ok"}`, "{}", "<xml/>"} {
		synctest.Test(t, func(t *testing.T) {
			b := new(backends)
			b.set("a", respondAfter(0, nonsense))
			b.set("b", respondAfter(0, replyJSON("good")))
			in, _ := forwarding(t, b, ask(2))
			require.Equal(t, "good", deliver(t, callback(in), push.Message{Event: "subscribe"}).Shown, nonsense)
		})
	}
}

func TestEventSpecificReplyIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(backends)
		b.set("a", respondAfter(0, `{"ErrCode":0,"ErrMsg":"success"}`))
		in, _ := forwarding(t, b, ask(1))
		c := callback(in)
		c.Kind, c.JSON = push.Mini, true
		p := deliver(t, c, push.Message{Event: "xpay_goods_deliver_notify"})
		require.Equal(t, `{"ErrCode":0,"ErrMsg":"success"}`, p.Reply, p.Fault)
	})
}

func TestNewChecksForwarding(t *testing.T) {
	for want, c := range map[string]struct {
		target message.Backend
		change func(*message.Config)
	}{
		"[0].URL is not an absolute":          {target: message.Backend{URL: "/x"}},
		"[0].Form is \"soap\"":                {target: message.Backend{Form: "soap"}},
		"at most 14s":                         {target: message.Backend{Answer: true, Timeout: 15 * time.Second}},
		"at most 5m0s":                        {target: message.Backend{Timeout: 6 * time.Minute}},
		"Timeout is -1s":                      {target: message.Backend{Answer: true, Timeout: -time.Second}},
		"[0].Late is for":                     {target: message.Backend{Late: true}},
		"Forward.API is not set":              {target: message.Backend{Answer: true, Late: true}},
		"want at most 2":                      {change: func(c *message.Config) { c.Forward.SignKeys = []string{"a", "", "b", "c"} }},
		"want a persistent store":             {change: func(c *message.Config) { c.Store = nil }},
		"message: Config.Forward.Backends[0]": {target: message.Backend{URL: "ftp://x/"}},
	} {
		config := official().config()
		config.Store = new(store.Memory)
		if c.target.URL == "" {
			c.target.URL = "http://crm/"
		}
		config.Forward.Backends = []message.Backend{c.target}
		if c.change != nil {
			c.change(&config)
		}
		_, err := message.New(config)
		require.ErrorContains(t, err, want)
		requireField(t, err)
	}
}
