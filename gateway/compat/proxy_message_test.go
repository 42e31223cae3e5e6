package compat_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestTheFirstAnswerInTheOrderOfCallsIsTheReply(t *testing.T) {
	secondAsked := make(chan struct{})
	backends := map[string]*oldBackend{
		"a": newBackend(t, answering(replyText("A"))),
		"b": newBackend(t, answering(replyText("B"))),
		"waits for second": newBackend(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-secondAsked:
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, replyText("slow A"))
		}),
		"second":  newBackend(t, func(w http.ResponseWriter, _ *http.Request) { close(secondAsked); answering(replyText("B"))(w, nil) }),
		"empty":   newBackend(t, nil),
		"success": newBackend(t, answering("success")),
		"failing": newBackend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); answering(replyText("500"))(w, nil) }),
		"missing": newBackend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); answering(replyText("404"))(w, nil) }),
		"created": newBackend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); answering(replyText("201"))(w, nil) }),
		"invalid": newBackend(t, answering("<html>not a reply</html>")),
		"hanging": newBackend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
	}
	dead := httptest.NewServer(nil)
	dead.Close()
	backends["dead"] = &oldBackend{host: strings.TrimPrefix(dead.URL, "http://")}
	var hosts []string
	for _, b := range backends {
		hosts = append(hosts, b.host)
	}
	w := newProxyWorld(t, hosts)
	for _, c := range []struct {
		calls  []string
		shown  string
		status int
	}{
		{calls: []string{"a", "b"}, shown: "A"},
		{calls: []string{"b", "a"}, shown: "B"},
		{calls: []string{"waits for second", "second"}, shown: "slow A"},
		{calls: []string{"empty", "b"}, shown: "B"},
		{calls: []string{"failing", "b"}, shown: "B"},
		{calls: []string{"missing", "created", "invalid", "b"}, shown: "B"},
		{calls: []string{"dead", "empty", "a"}, shown: "A"},
		{calls: []string{"success", "b"}, shown: ""},
		{calls: []string{"hanging", "b"}, shown: "B"},
		{calls: []string{"empty", "created"}, shown: ""},
		{calls: nil, shown: ""},
		{calls: []string{"missing"}, shown: push.Unavailable, status: 500}, // WeChat sends the message again
	} {
		t.Run(strings.Join(c.calls, ","), func(t *testing.T) {
			t.Parallel()
			var calls []string
			for _, name := range c.calls {
				calls = append(calls, backends[name].host+"/wx?from=console")
			}
			got, err := w.callback("/app/shop/msg", calls...).Push(t.Context(), push.Message{Content: "hi"})
			require.NoError(t, err)
			require.Equal(t, c.shown, got.Shown)
			require.Equal(t, max(c.status, 200), got.Tries[0].Status)
		})
	}
}

func TestACallGetsTheMessageAsXMLOrJSONAndTheQueryOfWeChat(t *testing.T) {
	b := newBackend(t, nil)
	w := newProxyWorld(t, []string{b.host})
	at := time.Unix(1714112445, 0)
	for path, want := range map[string]struct{ kind, body string }{
		"/app/shop/msg": {"text/xml; charset=utf-8", "<xml><ToUserName><![CDATA[gh_wechattest]]></ToUserName>\n<FromUserName><![CDATA[oUser]]></FromUserName>\n" +
			"<CreateTime>1714112445</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[hi]]></Content>\n<MsgId>7000000000000000001</MsgId>\n</xml>"},
		"/app/shop/msg/json/": {"application/json", `{"ToUserName":"gh_wechattest","FromUserName":"oUser","CreateTime":1714112445,"MsgType":"text",` +
			`"MsgId":7000000000000000001,"MsgIdStr":"7000000000000000001","Content":"hi"}`},
	} {
		id := int64(7000000000000000001)
		c := w.callback(path, "http://"+b.host+"/wx?from=console")
		from := "oUser"
		if strings.Contains(path, "json") { // another message than the one before
			from, want.body = "oOther", strings.Replace(want.body, `"oUser"`, `"oOther"`, 1)
		}
		require.Equal(t, 200, w.send(c, push.Message{From: from, Content: "hi", MsgID: id, Time: at}).Tries[0].Status)
		got := b.next(t)
		require.Equal(t, "POST /wx", got.path)
		require.Equal(t, want.kind, got.kind)
		require.Equal(t, want.body, got.body)
		require.Equal(t, "console", got.query.Get("from"))
		require.Equal(t, shopID, got.query.Get("appid"))
		require.Equal(t, "aes", got.query.Get("encrypt_type"))
		for _, name := range []string{"signature", "timestamp", "nonce", "msg_signature"} {
			require.NotEmpty(t, got.query.Get(name), name)
		}
		require.False(t, got.query.Has("secret") || got.query.Has("call"))
	}

	w = newProxyWorld(t, []string{b.host}, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.ForwardSignature, a.SignKey = false, "the-sign-key-of-this-test"
		o.Config.Apps["shop"] = a
	})
	w.send(w.callback("/app/shop/msg", b.host), push.Message{})
	got := b.next(t)
	require.False(t, got.query.Has("signature"), "without forward_signature")
	require.NotEmpty(t, got.header.Get("Wetoken-Signature"))
}

func TestACallThatBeginsWithASlashIsServedInThisProcess(t *testing.T) {
	w := newProxyWorld(t, nil)
	require.Equal(t, "an echo", w.send(w.callback("/app/shop/msg", "/echo"), push.Message{Content: "an echo"}).Shown)
	require.Equal(t, "an echo", w.send(w.callback("/app/shop/msg/json", "/user", "/echo"), push.Message{Content: "an echo"}).Shown)
	got := w.send(w.callback("/app/shop/msg", "/user"), push.Message{Content: "hi"})
	require.Equal(t, "success", got.Tries[0].Body, "it did nothing, and does nothing")
	for _, call := range []string{"/app/shop/msg?call=/echo", "/app/shop/token", "/nowhere", "//" + strings.TrimPrefix(w.public, "http://") + "/echo"} {
		got := w.send(w.callback("/app/shop/msg", "/user", call), push.Message{Content: call})
		require.Empty(t, got.Shown, call)
		require.Equal(t, 200, got.Tries[0].Status)
	}

	w = newProxyWorld(t, nil, func(o *gateway.Options) { o.Config.Apps["shop"].Message.AESKey = "" })
	c := w.callback("/app/shop/msg", "/app/shop/msg?call=/echo", "/echo")
	c.EncodingAESKey = ""
	require.Equal(t, "hi", w.send(c, push.Message{Content: "hi"}).Shown)
	require.Contains(t, w.log.String(), "HTTP status 404", "the inner message would wait for the outer one, which is the same")
}

func TestWeChatsCheckOfTheURLIsVerified(t *testing.T) {
	w := newProxyWorld(t, nil)
	for _, path := range []string{"/app/shop/msg", "/app/shop/msg/", "/app/shop/msg/json", "/app/shop/msg/json/", "/app/" + shopID + "/msg", "/app/" + url.PathEscape(unicodeName) + "/msg"} {
		c := w.callback(path, "http://elsewhere.example/")
		require.NoError(t, c.Verify(t.Context()), path)
		c.Token = "anothertokenthantheapps"
		require.ErrorContains(t, c.Verify(t.Context()), "HTTP status 401", path)
	}
	resp, err := http.Get(w.public + "/app/shop/msg?echostr=%3Cscript%3E")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 401, resp.StatusCode)
	require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
}

func TestAnAppWithoutTheRouteIsNotFound(t *testing.T) {
	w := newProxyWorld(t, nil, func(o *gateway.Options) {
		shop := o.Config.Apps["shop"]
		shop.Allow = []string{"/msg/json", "/token"}
		o.Config.Apps["shop"] = shop
	})
	for path, status := range map[string]int{
		"/app/none/msg": 404, "/app/gone/msg": 404, "/app/shop/msg": 404, "/app/shop/msg/other": 404, "/msg": 404, "/msg/json": 404,
		"/app/shop/msg/json": 200, "/app/shop/msg/json/": 200, "/app/news/msg": 401, // without a message
	} {
		require.Equal(t, status, w.send(w.callback(path, "/user"), push.Message{}).Tries[0].Status, path)
	}
	got := w.send(w.callback("/app/none/msg"), push.Message{})
	require.Equal(t, `{"errcode": -10001, "errmsg": "not found"}`, got.Tries[0].Body)
	resp, err := http.Head(w.public + "/msg?call=http://127.0.0.1:1/")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 404, resp.StatusCode)
}

func TestARenamedAppGetsMessagesAtTheOldURL(t *testing.T) {
	w := newProxyWorld(t, nil)
	_, err := w.gateway.Apps().Put(t.Context(), "first", gateway.App{AppID: noneID, Secret: secret, Message: &gateway.Message{Token: messageToken}}, "")
	require.NoError(t, err)
	_, err = w.gateway.Apps().Rename(t.Context(), "first", "second", "")
	require.NoError(t, err)
	for _, name := range []string{"first", "second"} {
		c := w.callback("/app/"+name+"/msg", "/echo")
		c.EncodingAESKey = ""
		require.Equal(t, "hi "+name, w.send(c, push.Message{Content: "hi " + name}).Shown)
	}
}

func TestAMessageThatIsSentAgainIsCalledOnce(t *testing.T) {
	b := newBackend(t, answering(replyText("once")))
	w := newProxyWorld(t, []string{b.host})
	other := w.openPublic()
	c := w.callback("/app/shop/msg", b.host)
	m := push.Message{Content: "hi", MsgID: 7000000000000000001, Duplicates: 5}
	for _, base := range []string{w.public, other} {
		c.Addresses = []string{strings.TrimPrefix(base, "http://")}
		got := w.send(c, m)
		require.Equal(t, "once", got.Shown)
		require.Len(t, got.Tries, 6)
		for _, try := range got.Tries {
			require.Equal(t, 200, try.Status, "each is answered, since WeChat reads any of them")
		}
	}
	require.Len(t, b.got, 1)
}
