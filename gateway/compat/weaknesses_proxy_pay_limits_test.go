package compat_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
)

func TestABrowserHasFiveOpenOrders(t *testing.T) {
	d := openDesk(t)
	browser := jar(t)
	place := func(n int) reply { return d.ask(browser, input{path: fmt.Sprintf("/app/小店/pay?fee=%d", n)}) }
	var first string
	for n := 1; n <= 5; n++ {
		o := d.scanned(place(n))
		if first == "" {
			first = o.OutTradeNo
		}
		require.Equal(t, o.OutTradeNo, d.scanned(place(n)).OutTradeNo, "the same request is the same order")
	}
	sixth := place(6)
	require.Equal(t, http.StatusTooManyRequests, sixth.status, sixth.text)
	require.Contains(t, sixth.text, `"errcode": -10001`)
	require.NotEmpty(t, sixth.header.Get("Retry-After"))
	status, body, _ := serve(d.second(), withCookies(httptest.NewRequest("GET", "/app/小店/pay?fee=6", nil), browser, d.public))
	require.Equal(t, http.StatusTooManyRequests, status, "another server counts the same: %s", body)
	d.scanned(d.ask(jar(t), input{path: "/app/小店/pay?fee=6"})) // another browser
	_, err := d.pay.Pay(oldMchID, first, "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return place(6).status == http.StatusOK }, 10*time.Second, 10*time.Millisecond, "one is paid")
	require.Equal(t, http.StatusTooManyRequests, place(1).status, "it made room for one")
	_, err = d.pay.Pay(oldMchID, d.scanned(place(2)).OutTradeNo, "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return place(1).status == http.StatusOK }, 10*time.Second, 10*time.Millisecond)
	require.NotEqual(t, first, d.scanned(place(1)).OutTradeNo, "it is another payment")
}

func TestAnAddressHas200OpenOrders(t *testing.T) {
	d := openDesk(t, func(d *cashDesk) { d.options.Config.TrustedProxies = []string{"127.0.0.0/8"} })
	link := d.link("shop", `{"fee":500}`)
	place := func(path, from string) reply { return d.ask(nil, input{path: path}, "X-Forwarded-For", from) }
	for range 100 {
		d.scanned(place("/app/小店/pay?fee=1", "203.0.113.7"))
	}
	for range 100 {
		d.scanned(place("/app/小店/pay?fee=2", "203.0.113.7"))
	}
	got := place("/app/小店/pay?fee=3", "203.0.113.7")
	require.Equal(t, http.StatusTooManyRequests, got.status, got.text)
	d.scanned(place("/app/小店/pay?fee=3", "203.0.113.8"))
	d.scanned(place("/app/shop/pay?"+link, "203.0.113.7")) // of another app
}

func TestALinkIsOneOrderForOneBrowser(t *testing.T) {
	d := openDesk(t)
	link := d.link("shop", `{"fee":500}`)
	browser := jar(t)
	o := d.scanned(d.ask(browser, input{path: "/app/shop/pay?" + link}))
	require.Equal(t, http.StatusOK, d.ask(browser, input{path: "/app/shop/pay/qrcode?" + link}).status)
	require.NotEqual(t, o.OutTradeNo, d.scanned(d.ask(jar(t), input{path: "/app/shop/pay?" + link})).OutTradeNo, "another browser")
	require.Len(t, d.pay.Orders(oldMchID), 2, "the image was that of the first")
	named := link + "&out_trade_no=order-123"
	second := d.scanned(d.ask(browser, input{path: "/app/shop/pay?" + named})).OutTradeNo
	require.NotEqual(t, "order-123", second, "it may be the next number of the merchant")
	require.Equal(t, second, d.scanned(d.ask(nil, input{path: "/app/shop/pay?" + named})).OutTradeNo, "a number is one order for all")
	for no, path := range map[string]string{o.OutTradeNo: link, second: named} {
		_, err := d.pay.Pay(oldMchID, no, "o1")
		require.NoError(t, err)
		require.Equal(t, no, d.report().body["out_trade_no"])
		got := d.ask(browser, input{path: "/app/shop/pay?" + path})
		require.Equal(t, http.StatusOK, got.status)
		require.Equal(t, "ORDERPAID", got.fields["err_code"], "nobody pays twice: %s", got.text)
	}
	require.Len(t, d.pay.Orders(oldMchID), 3)
}

func TestACookieOfOursIsSignedAndHidden(t *testing.T) {
	d := openDesk(t)
	got := d.ask(nil, input{path: "/app/小店/pay?fee=1"})
	cookies := (&http.Response{Header: got.header}).Cookies()
	require.Len(t, cookies, 1)
	c := cookies[0]
	require.Regexp(t, "^wetoken_pay_[0-9a-f]{8}$", c.Name)
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteLaxMode, c.SameSite)
	require.Equal(t, "/app/", c.Path)
	require.Equal(t, "Cookie", got.header.Get("Vary"))
	id, _, _ := strings.Cut(c.Value, ".")
	for _, forged := range []string{id + ".AAAA", id, "." + strings.Repeat("A", 43), id[1:] + c.Value[len(id):], strings.Repeat("a", 4000)} {
		got := d.ask(nil, input{path: "/app/小店/pay?fee=1"}, "Cookie", c.Name+"="+forged)
		require.NotEmpty(t, got.header.Get("Set-Cookie"), "it is not believed")
	}
	require.Empty(t, d.ask(nil, input{path: "/app/小店/pay?fee=1"}, "Cookie", c.Name+"="+c.Value).header.Get("Set-Cookie"))
}

// second returns the public side of another server with the same stores.
func (d *cashDesk) second() http.Handler {
	d.t.Helper()
	o := d.options
	o.PublicFallback = compat.Public(o.Config.Compat)
	g, err := gateway.New(o)
	require.NoError(d.t, err)
	return g.Public()
}

func withCookies(r *http.Request, browser http.CookieJar, public string) *http.Request {
	at, _ := url.Parse(public + r.URL.EscapedPath())
	for _, c := range browser.Cookies(at) {
		r.AddCookie(c)
	}
	return r
}
