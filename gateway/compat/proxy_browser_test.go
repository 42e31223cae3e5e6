package compat_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
)

// openPages serves the public side at a host of the app shop, and WeChat's script at another one.
func openPages(t *testing.T) (w *proxyWorld, base string) {
	srv := httptest.NewUnstartedServer(nil)
	t.Cleanup(srv.Close)
	w = newProxyWorld(t, []string{srv.Listener.Addr().String()})
	script := httptest.NewServer(w.wx)
	t.Cleanup(script.Close)
	w.options.Config.PublicURL, w.options.Config.Endpoints.Script = "http://"+srv.Listener.Addr().String(), script.URL
	srv.Config.Handler = w.newGateway().Public()
	srv.Start()
	return w, srv.URL
}

func TestARealBrowserMayCallWeChatFromTheExamplePage(t *testing.T) {
	d := webdriver.Start(t)
	w, base := openPages(t)
	b := d.Tab(t)
	for _, path := range []string{"/example/jssdk?app=shop", "/example/jssdk/?app=shop&from=%E9%A6%96%E9%A1%B5#top"} {
		b.Open(base + path)
		b.FindText("config:ok")
		require.Equal(t, "config:ok", b.Text("#result"))
	}
	require.Equal(t, 1, w.wx.Calls("/cgi-bin/ticket/getticket"))

	b.Open(base + "/example/?app=shop")
	b.Click(`a[href*="/example/jssdk"]`)
	b.FindText("config:ok")

	b.Open(base + "/example/jssdk?app=" + newsID) // its hosts do not have the page
	var failed string
	b.RunAsync(`var done = arguments[0], at = document.getElementById("result");
		(function look() { if (at.textContent !== "…") done(at.textContent); else setTimeout(look, 50); })();`, &failed)
	require.NotContains(t, failed, "config:ok")
	require.NotEmpty(t, failed)
}

// openPayPages serves the pages of an app that everybody may pay, and the simulated phone that pays.
func openPayPages(t *testing.T) *cashDesk {
	return openDesk(t, func(d *cashDesk) {
		phone := httptest.NewServer(d.pay)
		t.Cleanup(phone.Close)
		d.options.Config.Endpoints.Script = phone.URL
	})
}

func TestARealBrowserLearnsThatItsQRCodeWasPaid(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	desk := openPayPages(t)
	b := d.Tab(t)
	b.Open(desk.public + "/example/qrcode?fee=42&name=%E8%8C%B6&app=" + url.QueryEscape("小店"))
	var width int
	b.RunAsync(`var done = arguments[0], code = document.getElementById("code");
		if (code.complete) done(code.naturalWidth); else code.onload = code.onerror = function () { done(code.naturalWidth); };`, &width)
	require.Equal(t, 256, width)
	require.Equal(t, "请用微信扫码", b.Text("#result"))
	_, err := desk.pay.Pay(oldMchID, fmt.Sprint(desk.lastSent()["out_trade_no"]), "")
	require.NoError(t, err)
	b.FindText("已支付")
}

func TestARealBrowserPaysInTheExamplePage(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	desk := openPayPages(t)
	b := d.Tab(t)
	b.Open(desk.public + "/example/jsapi?fee=42&app=" + url.QueryEscape("小店"))
	b.Type("#openid", "oExample")
	b.Click(`button[type="submit"]`)
	b.Find(`script[src*="bridge.js"]`)
	for _, c := range [][2]string{{"#cancel", "get_brand_wcpay_request:cancel"}, {"#pay", "已支付"}} {
		b.Click("#pay")
		b.EnterFrame("#paytest-sheet")
		require.Equal(t, "¥0.42", b.Text("#amount"))
		b.Click(c[0])
		b.LeaveFrame()
		b.FindText(c[1])
	}

	b.Open(desk.public + "/example/jsapi?fee=101&openid=oExample&app=" + url.QueryEscape("小店"))
	b.Click("#pay")
	b.FindText("没有下单：more than 100 fen need a link")
}
