package push_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/push"
)

func TestAPlainPushIsSignedAndItsReplyShown(t *testing.T) {
	c := plainCallback(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		require.Equal(t, sha("tok", q.Get("timestamp"), q.Get("nonce")), q.Get("signature"))
		require.Equal(t, "oUser", q.Get("openid"))
		require.Empty(t, q.Get("encrypt_type"))
		var m struct {
			ToUserName, FromUserName, MsgType, Content string
			CreateTime, MsgId                          int64
		}
		require.NoError(t, xml.NewDecoder(r.Body).Decode(&m))
		require.Equal(t, "gh_wechattest oUser text a]]>b<&", m.ToUserName+" "+m.FromUserName+" "+m.MsgType+" "+m.Content)
		require.Greater(t, m.MsgId, int64(1)<<53)
		require.InDelta(t, time.Now().Unix(), m.CreateTime, 2)
		io.WriteString(w, textReply("hi"))
	})
	p, err := c.Push(t.Context(), push.Message{Content: "a]]>b<&"})
	require.NoError(t, err)
	require.Empty(t, p.Fault)
	require.Equal(t, "text hi", p.Type+" "+p.Shown)
	require.Len(t, p.Tries, 1)
}

func TestASlowAppIsAskedThreeTimesFiveSecondsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		nonces := make(chan string, 3)
		hungUp := make(chan time.Duration, 3)
		c := plainCallback(func(_ http.ResponseWriter, r *http.Request) {
			nonces <- r.URL.Query().Get("nonce")
			<-r.Context().Done()
			hungUp <- time.Since(begun)
		})
		p, err := c.Push(t.Context(), push.Message{Content: "x"})
		require.NoError(t, err)
		require.Equal(t, 15*time.Second, time.Since(begun))
		require.Equal(t, push.Unavailable, p.Shown)
		require.Contains(t, p.Fault, "no reply with status 200 in 3 tries")
		require.Len(t, p.Tries, 3)
		for i, try := range p.Tries {
			require.Equal(t, 5*time.Duration(i)*time.Second, try.Start.Sub(begun))
			require.Equal(t, i+1, try.Number)
			require.Equal(t, "no reply within 5s", try.Err)
			require.Equal(t, 5*time.Duration(i+1)*time.Second, <-hungUp)
		}
		require.NotEqual(t, <-nonces, <-nonces, "each try is signed anew")
	})
}

func TestAnAppThatFailsIsAskedAgainAndMayStillAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var calls int
		var bodies []string
		c := plainCallback(func(w http.ResponseWriter, r *http.Request) {
			calls++
			body, _ := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			switch calls {
			case 1:
				w.WriteHeader(500)
			case 2:
				panic(http.ErrAbortHandler)
			default:
				io.WriteString(w, textReply("at last"))
			}
		})
		p, err := c.Push(t.Context(), push.Message{Content: "x"})
		require.NoError(t, err)
		require.Equal(t, "at last", p.Shown)
		require.Empty(t, p.Fault)
		require.Equal(t, 10*time.Second, time.Since(begun))
		require.Equal(t, bodies[0], bodies[2], "the same message, with the same MsgId and CreateTime")
		require.Equal(t, []int{500, 0, 200}, []int{p.Tries[0].Status, p.Tries[1].Status, p.Tries[2].Status})
	})
}

func TestDuplicatesArriveAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		c := plainCallback(func(http.ResponseWriter, *http.Request) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(time.Second)
			now.Add(-1)
		})
		p, err := c.Push(t.Context(), push.Message{Duplicates: 2})
		require.NoError(t, err)
		require.EqualValues(t, 3, most.Load())
		require.Len(t, p.Tries, 3)
		require.Empty(t, p.Shown)
	})
}

func TestSealedPushesOfEachKindAreReadAndAnswered(t *testing.T) {
	reply := func(from string) string {
		return strings.ReplaceAll(textReply("sealed hi"), "gh_wechattest", from)
	}
	wrap := func(text, id string) string {
		sealed, signature := sealReply(t, text, id)
		return "<xml><Encrypt>" + sealed + "</Encrypt><MsgSignature>" + signature + "</MsgSignature><TimeStamp>1700000000</TimeStamp><Nonce>nonce</Nonce></xml>"
	}
	var got struct{ Encrypt, ToUserName, Content, AgentID string }
	var query map[string][]string
	var answer string
	take := func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.Query()
		got.Encrypt, got.Content, got.AgentID = "", "", ""
		require.NoError(t, xml.NewDecoder(r.Body).Decode(&got))
		io.WriteString(w, answer)
	}
	check := func(id string) string {
		text, receiver := unseal(t, got.Encrypt)
		require.Equal(t, id, receiver)
		q := r(query)
		require.Equal(t, sha("tok", q("timestamp"), q("nonce"), got.Encrypt), q("msg_signature"))
		return text
	}

	c := &push.Callback{AppID: "wx1", Token: "tok", EncodingAESKey: pushKey, Handler: http.HandlerFunc(take)}
	answer = wrap(reply("gh_wechattest"), "wx1")
	p, err := c.Push(t.Context(), push.Message{Content: "hello"})
	require.NoError(t, err)
	require.Equal(t, "sealed hi", p.Shown, p.Fault)
	require.Empty(t, got.Content, "secure mode shows nothing")
	require.Contains(t, check("wx1"), "<![CDATA[hello]]>")
	require.Equal(t, "aes", r(query)("encrypt_type"))
	require.NotEmpty(t, r(query)("signature"))

	c.Mode = "compatible"
	p, err = c.Push(t.Context(), push.Message{Content: "hello"})
	require.NoError(t, err)
	require.Equal(t, "sealed hi", p.Shown, p.Fault)
	require.Equal(t, "hello", got.Content)
	require.Contains(t, check("wx1"), "<![CDATA[hello]]>")

	c = &push.Callback{AppID: "ww1", Kind: push.Work, AgentID: 7, Token: "tok", EncodingAESKey: pushKey, Handler: http.HandlerFunc(take)}
	answer = wrap(reply("ww1"), "ww1")
	p, err = c.Push(t.Context(), push.Message{Event: "click", EventKey: "k"})
	require.NoError(t, err)
	require.Equal(t, "sealed hi", p.Shown, p.Fault)
	require.Equal(t, "7", got.AgentID)
	text := check("ww1")
	require.Contains(t, text, "<AgentID>7</AgentID>")
	require.NotContains(t, text, "MsgId", "an event has none")
	require.Empty(t, r(query)("signature"))
}

// r reads a query.
func r(query map[string][]string) func(string) string {
	return func(name string) string {
		if v := query[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
}

func TestAMiniProgramPushesJSON(t *testing.T) {
	c := &push.Callback{AppID: "wx2", Kind: push.Mini, JSON: true, Token: "tok"}
	var got map[string]any
	c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		dec := json.NewDecoder(r.Body)
		dec.UseNumber()
		require.NoError(t, dec.Decode(&got))
		io.WriteString(w, `{"ToUserName":"oUser","FromUserName":"gh_wechattest","CreateTime":1,"MsgType":"transfer_customer_service"}`)
	})
	p, err := c.Push(t.Context(), push.Message{Event: "wxa_media_check", Fields: map[string]any{"result": map[string]any{"label": 100, "suggest": "pass"}}})
	require.NoError(t, err)
	require.Equal(t, "transfer_customer_service", p.Type, p.Fault)
	require.Equal(t, map[string]any{"label": json.Number("100"), "suggest": "pass"}, got["result"])

	c.EncodingAESKey, c.Mode = pushKey, "compatible"
	c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, json.NewDecoder(r.Body).Decode(&got))
		text, _ := unseal(t, got["Encrypt"].(string))
		require.Contains(t, text, `"Content":"<hi>"`)
		require.Equal(t, "<hi>", got["Content"])
	})
	p, err = c.Push(t.Context(), push.Message{Content: "<hi>"})
	require.NoError(t, err)
	require.Empty(t, p.Shown+p.Fault)
}

func TestTheURLIsVerified(t *testing.T) {
	ok := func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		require.Equal(t, "GET", r.Method)
		require.Equal(t, sha("tok", q.Get("timestamp"), q.Get("nonce")), q.Get("signature"))
		io.WriteString(w, q.Get("echostr"))
	}
	c := plainCallback(ok)
	require.NoError(t, c.Verify(t.Context()))
	c.EncodingAESKey = pushKey // readable in secure mode too
	require.NoError(t, c.Verify(t.Context()))

	c = &push.Callback{AppID: "ww1", Kind: push.Work, Token: "tok", EncodingAESKey: pushKey}
	c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		require.Equal(t, sha("tok", q.Get("timestamp"), q.Get("nonce"), q.Get("echostr")), q.Get("msg_signature"))
		text, _ := unseal(t, q.Get("echostr"))
		io.WriteString(w, text)
	})
	require.NoError(t, c.Verify(t.Context()))

	c = plainCallback(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `"`+r.URL.Query().Get("echostr")+`"`) })
	require.ErrorContains(t, c.Verify(t.Context()), "the reply is not the echostr")
	c = plainCallback(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) })
	require.ErrorContains(t, c.Verify(t.Context()), "HTTP status 403")
}

func TestAnInvalidCallbackIsAnError(t *testing.T) {
	h := http.NotFoundHandler()
	for want, c := range map[string]push.Callback{
		"AppID and Token must be set":          {Handler: h},
		"invalid Callback.URL":                 {AppID: "a", Token: "t", URL: "/x"},
		"invalid Callback.Kind: want official": {AppID: "a", Token: "t", Handler: h, Kind: "x"},
		"invalid Callback.Mode: want plain":    {AppID: "a", Token: "t", Handler: h, Mode: "x"},
		"invalid Callback.Mode: want secure":   {AppID: "a", Token: "t", Handler: h, Kind: push.Work, Mode: "plain"},
		"want 43 characters":                   {AppID: "a", Token: "t", Handler: h, Kind: push.Work},
		"official accounts get XML":            {AppID: "a", Token: "t", Handler: h, JSON: true},
	} {
		_, err := c.Push(t.Context(), push.Message{})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, c.Verify(t.Context()), want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := plainCallback(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }).Push(ctx, push.Message{})
	require.ErrorIs(t, err, context.Canceled)
}
