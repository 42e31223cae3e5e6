package compat_test

import (
	"crypto/sha1"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/push"
)

// Each test of this file is about a weakness of wechat-proxy's messages.

func TestNobodyCanHaveThisServerCallWhatTheAppDoesNotList(t *testing.T) {
	inside := newBackend(t, answering(replyText("inside")))
	redirecting := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+inside.host+"/", http.StatusTemporaryRedirect)
	})
	_, port, _ := strings.Cut(inside.host, ":")
	w := newProxyWorld(t, []string{redirecting.host})
	for _, call := range []string{inside.host, "http://" + inside.host + "/x", "http://" + redirecting.host + "@" + inside.host + "/", "localhost:" + port, "[::1]:" + port,
		"http://169.254.169.254/latest/meta-data/", "169.254.169.254", "file:///etc/passwd", "gopher://" + redirecting.host, "http://" + inside.host + "\\@" + redirecting.host, ""} {
		got := w.send(w.callback("/app/shop/msg", call), push.Message{Content: call})
		require.Equal(t, http.StatusForbidden, got.Tries[0].Status, call)
		require.NotContains(t, got.Tries[0].Body, "inside")
	}
	got := w.send(w.callback("/app/shop/msg", redirecting.host), push.Message{})
	require.Equal(t, 500, got.Tries[0].Status, "a redirect is not followed")
	require.Len(t, redirecting.got, 1)
	require.Empty(t, inside.got)

	w = newProxyWorld(t, []string{inside.host, "localhost:" + port, "169.254.169.254"}, func(o *gateway.Options) { o.Config.Apps["shop"].Message.AllowPrivate = false })
	for _, call := range []string{inside.host, "localhost:" + port, "169.254.169.254/latest/meta-data/"} {
		got := w.send(w.callback("/app/shop/msg", call), push.Message{Content: call})
		require.Equal(t, 500, got.Tries[0].Status, "%s is not public", call)
	}
	require.Empty(t, inside.got)

	w = newProxyWorld(t, []string{inside.host}, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.ForwardSignature = false
		o.Config.Apps["shop"] = a
	})
	got = w.send(w.callback("/app/shop/msg", inside.host), push.Message{})
	require.Equal(t, http.StatusForbidden, got.Tries[0].Status, "the backend could verify neither signature")
	require.Empty(t, inside.got)
}

func TestACallNeedsWeChatsSignature(t *testing.T) {
	b := newBackend(t, answering(replyText("inside")))
	for _, key := range []string{aesKey, ""} {
		w := newProxyWorld(t, []string{b.host}, func(o *gateway.Options) { o.Config.Apps["shop"].Message.AESKey = key })
		for name, change := range map[string]func(*push.Callback){
			"another token": func(c *push.Callback) { c.Token = "anothertokenthantheapps" },
			"another app":   func(c *push.Callback) { c.Sealed = newsID },
			"another key":   func(c *push.Callback) { c.EncodingAESKey = strings.Repeat("A", 43) },
			"not encrypted": func(c *push.Callback) { c.Mode = "plain" },
		} {
			if key == "" && name != "another token" {
				continue
			}
			c := w.callback("/app/shop/msg", b.host)
			c.EncodingAESKey = key
			change(c)
			got := w.send(c, push.Message{})
			require.Contains(t, []int{400, 401, 403}, got.Tries[0].Status, "%s: %s", name, got.Tries[0].Body)
		}
		for _, query := range []string{"", "&signature=&timestamp=&nonce=", "&encrypt_type=aes&msg_signature="} {
			resp, err := http.Post(w.public+"/app/shop/msg?call="+url.QueryEscape(b.host)+query, "text/xml", strings.NewReader(replyText("forged")))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, 401, resp.StatusCode)
		}
	}
	require.Empty(t, b.got)
}

func TestAPlainSignatureIsGoodForOneMessage(t *testing.T) {
	b := newBackend(t, nil)
	w := newProxyWorld(t, []string{b.host}, func(o *gateway.Options) { o.Config.Apps["shop"].Message.AESKey = "" })
	c := w.callback("/app/shop/msg", b.host)
	c.EncodingAESKey = ""
	w.send(c, push.Message{Content: "hi"})
	seen := b.next(t).query // a backend has the signature
	forged := url.Values{"call": {b.host}, "signature": seen["signature"], "timestamp": seen["timestamp"], "nonce": seen["nonce"]}
	resp, err := http.Post(w.public+"/app/shop/msg?"+forged.Encode(), "text/xml", strings.NewReader(replyText("forged")))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 401, resp.StatusCode)
	require.Empty(t, b.got)
}

func TestTheHostHeaderOfARequestIsNotUsed(t *testing.T) {
	evil := newBackend(t, answering(replyText("evil")))
	w := newProxyWorld(t, nil)
	c := w.callback("/app/shop/msg", "/echo")
	c.URL = strings.Replace(c.URL, strings.TrimPrefix(w.public, "http://"), evil.host, 1) // the Host
	c.Addresses = []string{strings.TrimPrefix(w.public, "http://")}
	require.Equal(t, "hi", w.send(c, push.Message{Content: "hi"}).Shown)
	require.Empty(t, evil.got)
}

func TestTheEchoOfTheURLIsNotAPage(t *testing.T) {
	w := newProxyWorld(t, nil)
	const script = "<script>alert(1)</script>"
	query := url.Values{"echostr": {script}, "timestamp": {strconv.FormatInt(time.Now().Unix(), 10)}, "nonce": {"n"}}
	ask := func() (status int, body, kind string) {
		resp, err := http.Get(w.public + "/app/shop/msg?" + query.Encode())
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
		return resp.StatusCode, string(b), resp.Header.Get("Content-Type")
	}
	status, body, _ := ask()
	require.Equal(t, 401, status)
	require.NotContains(t, body, "script")

	parts := []string{messageToken, query.Get("timestamp"), "n"}
	slices.Sort(parts)
	query.Set("signature", fmt.Sprintf("%x", sha1.Sum([]byte(strings.Join(parts, "")))))
	status, body, kind := ask()
	require.Equal(t, 200, status)
	require.Equal(t, script, body)
	require.Equal(t, "text/plain; charset=utf-8", kind)
}

func TestNoGoroutineIsLeftOfCallsThatCameTooLate(t *testing.T) {
	first, late := newBackend(t, answering(replyText("first"))), newBackend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w := newProxyWorld(t, []string{first.host, late.host})
	for range 20 {
		require.Equal(t, "first", w.send(w.callback("/app/shop/msg", first.host, late.host, late.host), push.Message{}).Shown)
	}
	stacks := func() string {
		text := make([]byte, 4<<20)
		return string(text[:runtime.Stack(text, true)])
	}
	require.Eventually(t, func() bool { return !strings.Contains(stacks(), "postWithRetry") }, 30*time.Second, 50*time.Millisecond, "each ends with its time")
}

func TestAnEmptyAnswerIsNotEncrypted(t *testing.T) {
	w := newProxyWorld(t, nil)
	got := w.send(w.callback("/app/shop/msg", "/user"), push.Message{})
	require.Equal(t, "success", got.Tries[0].Body)
}

func TestSecretsStayOutOfCallsAndTheLog(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	w := newProxyWorld(t, []string{b.host})
	w.send(w.callback("/app/shop/msg", b.host+"/path?password=of-the-call"), push.Message{})
	got := b.next(t)
	for _, hidden := range []string{secret, url.QueryEscape(secret), messageToken, aesKey} {
		require.NotContains(t, got.query.Encode()+got.body, hidden)
		require.NotContains(t, w.log.String(), hidden)
	}
	require.Contains(t, w.log.String(), "request to a backend failed")
	require.NotContains(t, w.log.String(), "of-the-call")
}
