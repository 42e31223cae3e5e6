package compat_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/relay"
	"github.com/wetoken/wetoken/wechattest/push"
)

// Each test of this file is about calls that begin with a slash, which this server serves itself.

func TestACallOfThisServerPlacesNoOrder(t *testing.T) {
	d := openDesk(t, func(d *cashDesk) {
		a := d.options.Config.Apps["shop"]
		a.Message = &gateway.Message{Token: messageToken}
		d.options.Config.Apps["shop"] = a
		d.options.Config.Compat.Systems = []string{"proxy", "payment"}
	})
	link := d.link("shop", `{"fee":500}`)
	small := url.PathEscape("小店")
	for _, path := range []string{
		"/app/" + small + "/pay/qrcode?fee=1", "/app/" + small + "/pay/js?fee=1&openid=o1", "/app/%73hop/pay/qrcode/?" + link, "/%61pp/shop/pay/js?openid=o1&" + link,
		"/app/shop/pay", "/app/shop/pay/notify", "/app/shop/message", "/app/shop/msg", "/app/shop/js/config", "/app/shop/login", "/app/shop/session", "/apis/v1/wepay/pay_notify",
	} {
		c := &push.Callback{AppID: shopID, URL: d.public + "/app/shop/msg?" + url.Values{"call": {path}}.Encode(), Token: messageToken, Tries: 1}
		got, err := c.Push(t.Context(), push.Message{Content: path})
		require.NoError(t, err)
		require.Equal(t, 500, got.Tries[0].Status, "no call has taken the message: %s", path)

		inner := http.Client{Transport: relay.Local{Handler: d.gateway.Public()}}
		resp, err := inner.Post("http://localhost"+path, "application/json", strings.NewReader(`{}`))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusNotFound, resp.StatusCode, path)
	}
	require.Empty(t, d.pay.Orders(oldMchID))
	require.Contains(t, d.log.String(), "a call of this server is refused")
	d.scanned(d.ask(nil, input{path: "/app/小店/pay?fee=1"}))
}

func TestTheResultOfAPaymentIsForNoRouteOfAnApp(t *testing.T) {
	d := openDesk(t)
	for _, call := range []string{"/app/小店/pay/qrcode?fee=1", "/app/shop/message", "/%61pp/shop/message", "/app/shop/pay"} {
		for _, in := range []input{{path: "/app/shop/pay?fee=1&call=" + url.QueryEscape(call), key: payKey}, {path: "/app/小店/pay?fee=1&call=" + url.QueryEscape(call)}} {
			got := d.ask(nil, in)
			require.Equal(t, http.StatusBadRequest, got.status, "%s: %s", call, got.text)
			require.Contains(t, got.text, "call is a route of an app")
		}
	}
	require.Empty(t, d.pay.Orders(oldMchID))
}

// The inner request is about the same message, so it would wait for the outer one, which waits for it.
func TestACallOfTheAppItselfIsAnsweredAtOnce(t *testing.T) {
	w := newProxyWorld(t, nil, func(o *gateway.Options) {
		o.Config.Apps["shop"].Message.AESKey = ""
		second := o.Config.Apps["news"]
		second.Message = &gateway.Message{Token: messageToken}
		o.Config.Apps["news"] = second
	})
	for _, call := range []string{
		"/app/shop/message", "/app/shop/message/", "/app/" + shopID + "/message", "/app/shop/msg", "/app/shop/msg/json?call=/app/shop/message",
		"/app/news/msg?call=" + url.QueryEscape("/app/shop/message"), "/app/news/message",
	} {
		c := w.callback("/app/shop/msg", call)
		c.EncodingAESKey = ""
		got := w.send(c, push.Message{Content: "hi " + call})
		require.Equal(t, 500, got.Tries[0].Status)
		require.Contains(t, w.log.String(), "HTTP status 404")
		require.NotContains(t, w.log.String(), "deadline", "it waited: %s", call)
	}
	require.Contains(t, w.log.String(), "a call of this server is refused")
}
