package compat_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/webdriver"
	"github.com/wetoken/wetoken/wechattest"
)

// openLogins serves the public side and WeChat's pages on sockets. The site, a host of the app, is another origin.
func openLogins(t *testing.T, site http.Handler) (w *proxyWorld, base, siteURL string) {
	public, wechat, other := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil), httptest.NewServer(site)
	for _, s := range []*httptest.Server{public, wechat, other} {
		t.Cleanup(s.Close)
	}
	siteURL = strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	host := public.Listener.Addr().String()
	w = newProxyWorld(t, []string{strings.TrimPrefix(siteURL, "http://")}, func(o *gateway.Options) {
		o.Config.PublicURL, o.Config.Endpoints.Open = "http://"+host, "http://"+wechat.Listener.Addr().String()
		a := o.Config.Apps["shop"]
		a.SignKey = loginSignKey
		o.Config.Apps["shop"] = a
	})
	w.wx.Add(wechattest.App{ID: shopID, Secret: secret, RedirectDomain: host, Owner: "platform"})
	wechat.Config.Handler = w.wx
	wechat.Start()
	public.Config.Handler = w.newGateway().Public()
	public.Start()
	return w, public.URL, siteURL
}

func TestARealBrowserLogsInByTheOldRoutes(t *testing.T) {
	d := webdriver.Start(t)
	got := make(chan called, 9)
	w, base, site := openLogins(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Method == http.MethodPost {
			got <- called{r.Method + " " + r.URL.Path, r.Header.Get("Content-Type"), string(body), r.URL.Query(), r.Header}
		}
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = rw.Write([]byte(`<!DOCTYPE html><title>site</title><p id="welcome">welcome</p>`))
	}))
	const nickname = "O'Neil \"雷\" =<b>&amp;</b></script><script>document.title='pwned'</script>\n👨‍👩‍👧"
	w.wx.AddPerson(wechattest.Person{Name: "li", Nickname: nickname})
	b := d.Tab(t)

	b.Open(base + "/example/login?app=shop")
	b.Click("#login")
	b.FindText("授权登录")
	b.Click("#allow")
	b.FindText("wetoken_sign")
	require.Equal(t, base+"/echo", b.URL())
	shown := b.Text("pre")
	require.NotContains(t, shown, "errcode")
	require.True(t, strings.HasPrefix(shown, `{"openid":"`+w.wx.OpenID(shopID, "li")+`","unionid":"`), shown)
	require.True(t, strings.HasSuffix(shown, `,"sign":"`+oldSign("")+`="}`), shown)
	require.True(t, verifies(shown, loginSignKey, time.Now()), shown)
	var echoed loginResult
	require.NoError(t, json.Unmarshal([]byte(shown), &echoed))
	require.Equal(t, nickname, echoed.Nickname)

	b.Open(base + "/app/shop/auth/info/?state=a%27b&call=" + url.QueryEscape(site+"/enter?from=home#top"))
	b.Click("#allow")
	require.Equal(t, "welcome", b.Text("#welcome"))
	require.Equal(t, site+"/enter?from=home#top", b.URL())
	var title string
	b.Run("return document.title", &title)
	require.Equal(t, "site", title)
	c := <-got
	require.Equal(t, "POST /enter", c.path)
	require.Equal(t, "text/plain", c.kind)
	require.Equal(t, base, c.header.Get("Origin"))
	require.NotContains(t, c.header.Get("Referer"), "code=")
	in := readLogin(t, c.body)
	require.Equal(t, nickname, in.Nickname)
	require.Equal(t, "a'b", in.State)
	require.True(t, verifies(c.body, loginSignKey, time.Now()), c.body)
	status, body := w.get(input{method: "POST", path: "/app/shop/login/redeem", key: shopKey, form: formJSON, body: `{"login_code":"` + in.LoginCode + `"}`})
	require.Equal(t, 200, status, body)

	b.Open(base + "/app/shop/auth?call=" + url.QueryEscape("http://evil.example.net/"))
	b.FindText("不能返回该网址")
	require.Empty(t, got)
}
