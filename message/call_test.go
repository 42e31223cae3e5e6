package message_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestCallsGoToAllowedHostsOnly(t *testing.T) {
	inside := make(chan struct{}, 10)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		io.WriteString(w, replyJSON("inside "+r.URL.Query().Get("appid")))
	}))
	defer web.Close()
	address := strings.TrimPrefix(web.URL, "http://")
	local := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == "POST" && r.URL.Path == "/user" && strings.HasPrefix(string(body), `{"ToUserName"`) {
			io.WriteString(w, replyJSON("local "+r.URL.Query().Get("encrypt_type")))
		}
	})
	build := func(private bool) *message.Receiver {
		in, _ := receiver(t, func(c *message.Config) {
			c.Forward = message.Forwarding{Hosts: []string{address}, AllowPrivate: private, SignKeys: []string{"sign key"}}
		})
		return in
	}
	one := func(in *message.Receiver, local http.Handler, calls ...string) push.Result {
		c := callback(in.Calls(message.FormJSON, local))
		c.URL, c.Tries = "http://wx.example/msg?"+url.Values{"call": calls}.Encode(), 1
		require.NoError(t, c.Verify(t.Context()))
		return deliver(t, c, push.Message{Content: "hi"})
	}

	require.Equal(t, "inside "+official().id, one(build(true), nil, address+"/x").Shown)
	require.Equal(t, "inside "+official().id, one(build(true), nil, "http://"+address+"/x?y=1#z").Shown)
	require.Equal(t, "local aes", one(build(false), local, "/user").Shown)
	require.Equal(t, "local aes", one(build(true), local, "/elsewhere", "/user").Shown)
	require.Len(t, inside, 2)
	for range 2 {
		<-inside
	}
	p := one(build(false), nil, address+"/x")
	require.Equal(t, 500, p.Tries[0].Status, "its address is private")
	for _, call := range []string{"http://evil.example/", "evil.example", "http://" + address + "@evil.example/", "//" + address, "/user",
		"https://evil.example\\@" + address + "/", "file:///etc/passwd", "http://127.0.0.1/", "", "gopher://" + address + "/"} {
		p := one(build(true), nil, call)
		require.Equal(t, 403, p.Tries[0].Status, call)
		require.Contains(t, p.Tries[0].Body, "-40302")
	}
	panicking := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	require.Equal(t, 500, one(build(true), panicking, "/user").Tries[0].Status)
	require.Equal(t, 403, one(build(true), local, strings.Split(strings.Repeat("/user ", 17), " ")...).Tries[0].Status)
	require.Empty(t, inside)

	unsigned, _ := receiver(t, func(c *message.Config) { c.Forward.Hosts, c.Forward.AllowPrivate = []string{address}, true })
	require.Equal(t, 403, one(unsigned, local, address+"/x").Tries[0].Status, "the backend could not distinguish it from a forged one")
	require.Equal(t, "local aes", one(unsigned, local, "/user").Shown, "a handler of this process needs no signature")
	require.Empty(t, inside)
	wechats, _ := receiver(t, func(c *message.Config) {
		c.Forward = message.Forwarding{Hosts: []string{address}, AllowPrivate: true, Signature: true}
	})
	require.Equal(t, "inside "+official().id, one(wechats, nil, address+"/x").Shown, "it can verify WeChat's signature")
	<-inside

	rec := serve(build(true).Calls(message.FormXML, nil), "POST", url.Values{"call": {"http://evil.example/"}}, "<xml/>")
	require.Equal(t, 401, rec.Code, "an unsigned request learns nothing about hosts")
	in := build(true)
	query, body := official().send(hello)
	query.Set("call", "http://"+address)
	require.Equal(t, "success", post(in, query, body).Body.String(), "the ordinary route takes no calls")
	require.Empty(t, inside)
}

func TestTheFirstCallWithABodyAtStatus200Replies(t *testing.T) {
	local := http.NewServeMux()
	for path, c := range map[string]struct {
		status int
		body   string
	}{
		"/a": {200, replyJSON("a")}, "/b": {200, replyJSON("b")}, "/created": {201, replyJSON("created")}, "/success": {200, "success"}, "/empty": {200, ""},
	} {
		local.HandleFunc("POST "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		})
	}
	in, _ := receiver(t, func(*message.Config) {})
	for calls, shown := range map[string]string{"/a /b": "a", "/b /a": "b", "/created /b": "b", "/empty /b": "b", "/success /b": "", "/created": "", "/empty": ""} {
		c := callback(in.Calls(message.FormXML, local))
		c.URL, c.Tries = "http://wx.example/msg?"+url.Values{"call": strings.Fields(calls)}.Encode(), 1
		p := deliver(t, c, push.Message{Content: calls})
		require.Equal(t, 200, p.Tries[0].Status, calls)
		require.Equal(t, shown, p.Shown, calls)
	}
}
