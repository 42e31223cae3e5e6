package compat_test

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

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
