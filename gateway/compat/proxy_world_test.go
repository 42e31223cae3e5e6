package compat_test

import (
	"crypto/rsa"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/wechattest/paytest"
	"github.com/wetoken/wetoken/wechattest/push"
)

const (
	messageToken = "messagetokenofthistest"
	unicodeName  = "公众号 一"
)

// proxyWorld is a gateway with the routes of wechat-proxy, whose public side is on a socket.
type proxyWorld struct {
	*world
	pay    *paytest.Server
	public string // base URL
}

// newProxyWorld returns a world in which the apps shop and unicodeName receive messages. hosts are those of shop.
func newProxyWorld(t *testing.T, hosts []string, change ...func(*gateway.Options)) *proxyWorld {
	t.Helper()
	pay := &paytest.Server{GenerateKey: func() (*rsa.PrivateKey, error) { return payKeys()[1], nil }}
	t.Cleanup(pay.Close)
	for _, number := range []string{"1900000001", "1900000009"} {
		pay.AddMerchant(paytest.Merchant{MchID: number, AppIDs: []string{freeID, newsID}, APIKey: mchKey, Key: payKeys()[0]})
	}
	w := newWorld(t, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.HTTP = &http.Client{Transport: bothServers{pay.Client().Transport, o.HTTP.Transport}}
		o.Config.PublicURL = "https://wx.example.com"
		o.Config.Compat = gateway.Compat{Systems: []string{gateway.CompatProxy}, Examples: true}
		settings := gateway.Message{Token: messageToken, AESKey: aesKey, AllowPrivate: true}
		o.Config.Apps["shop"] = gateway.App{AppID: shopID, Secret: secret, Hosts: hosts, ForwardSignature: true, Message: &settings}
		o.Config.Apps[unicodeName] = gateway.App{AppID: freeID, Secret: secret, Message: &settings}
	}}, change...)...)
	p := &proxyWorld{world: w, pay: pay}
	p.public = p.openPublic()
	return p
}

// openPublic serves the public side of another process with the same stores.
func (w *proxyWorld) openPublic() (base string) {
	srv := httptest.NewServer(w.newGateway().Public())
	w.t.Cleanup(srv.Close)
	return srv.URL
}

func (w *proxyWorld) newGateway() *gateway.Gateway {
	o := w.options
	o.PrivateFallback, o.PublicFallback = compat.Private(o.Config.Compat), compat.Public(o.Config.Compat)
	g, err := gateway.New(o)
	require.NoError(w.t, err)
	return g
}

// callback returns WeChat's side of a path of shop, whose query in the console names calls.
func (w *proxyWorld) callback(path string, calls ...string) *push.Callback {
	return &push.Callback{
		AppID: shopID, URL: w.public + path + "?" + url.Values{"call": calls}.Encode(), Token: messageToken, EncodingAESKey: aesKey, Tries: 1,
	}
}

// send sends a message, and requires no fault of the callback.
func (w *proxyWorld) send(c *push.Callback, m push.Message) push.Result {
	w.t.Helper()
	out, err := c.Push(w.t.Context(), m)
	require.NoError(w.t, err)
	return out
}

// called is a request that a backend got.
type called struct {
	path, kind, body string
	query            url.Values
	header           http.Header
}

// oldBackend is a backend of an older time on 127.0.0.1.
type oldBackend struct {
	host string
	got  chan called
}

// newBackend serves a backend whose requests h answers; its body was read.
func newBackend(t *testing.T, h http.HandlerFunc) *oldBackend {
	b := &oldBackend{got: make(chan called, 100)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		b.got <- called{r.Method + " " + r.URL.Path, r.Header.Get("Content-Type"), string(body), r.URL.Query(), r.Header}
		if h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	b.host = strings.TrimPrefix(srv.URL, "http://")
	return b
}

// next returns the next request that b has got.
func (b *oldBackend) next(t *testing.T) called {
	t.Helper()
	select {
	case c := <-b.got:
		return c
	case <-time.After(20 * time.Second):
		require.FailNow(t, "the backend was not called")
		return called{}
	}
}

func answering(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func replyText(content string) string {
	return "<xml><ToUserName>a</ToUserName><FromUserName>b</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType><Content>" + content + "</Content></xml>"
}
