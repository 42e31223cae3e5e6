package oauth_test

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// sockets runs WeChat, a login and a shop on sockets. To a browser the shop is another host, since its name is
// localhost and the others are 127.0.0.1.
type sockets struct {
	wx               *wechattest.Server
	login            *oauth.Login
	wechat, door     string
	shop, shopByHost string // the shop under its name, and under one that is not among the app's hosts
}

const nickname = `O'Neil "雷" <b>&amp;</b><script>document.title='pwned'</script> 👨‍👩‍👧`

func newSockets(t *testing.T, kind wechat.Kind) *sockets {
	w := &sockets{wx: new(wechattest.Server)}
	serve := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	shop, door := http.NewServeMux(), http.NewServeMux()
	w.wechat, w.door, w.shopByHost = serve(w.wx), serve(door), serve(shop)
	w.shop = strings.Replace(w.shopByHost, "127.0.0.1", "localhost", 1)
	host := strings.TrimPrefix(w.shop, "http://")

	w.wx.Add(wechattest.App{
		ID: appID, Secret: secret, Kind: wechattest.Kind(kind), Owner: "platform",
		RedirectDomain: strings.TrimPrefix(w.door, "http://"), JSDomains: []string{host, strings.TrimPrefix(w.shopByHost, "http://")},
	})
	w.wx.AddPerson(wechattest.Person{Name: "li", Nickname: nickname})
	way := &wechat.Client{BaseURL: w.wechat}
	w.login = &oauth.Login{
		AppID: appID, Secret: secret, Kind: kind, Store: new(store.Memory), URL: w.door + "/wx", Hosts: []string{host},
		Client: way, OpenURL: w.wechat, Scope: oauth.ScopeUserInfo,
	}
	if kind == wechat.Website {
		w.login.Scope = ""
	}
	tokens := &token.Manager{AppID: appID, Secret: secret, Store: w.login.Store, Client: way}
	tickets := &ticket.Manager{AppID: appID, Tokens: tokens, Store: w.login.Store, Client: way}
	signer := &jssdk.Signer{AppID: appID, Tickets: tickets, Hosts: w.login.Hosts}
	wetoken.Bind(door, "/wx", w.login, &jssdk.Handler{Signer: signer, Cards: true})
	door.Handle("/my/", w.login.Require(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		u, _ := oauth.FromContext(r.Context())
		render(rw, `<p id="who">{{.}}</p>`, u.OpenID)
	})))

	shop.HandleFunc("GET /{$}", func(rw http.ResponseWriter, r *http.Request) {
		to := w.door + "/wx/login?to=" + url.QueryEscape("http://"+r.Host+"/me?from=home#top")
		render(rw, `<a id="login" href="{{.}}">log in</a>`, to)
	})
	shop.HandleFunc("GET /raw", func(rw http.ResponseWriter, r *http.Request) { // a page that forgets to encode
		render(rw, `<a id="login" href="{{.}}">log in</a>`, template.URL(w.door+"/wx/login?to=http://"+r.Host+"/me?from=home&item=7"))
	})
	shop.HandleFunc("GET /me", func(rw http.ResponseWriter, r *http.Request) {
		if why := r.FormValue("login_error"); why != "" {
			render(rw, `<p id="error">login {{.}}</p><a id="login" href="/">again</a>`, why)
			return
		}
		u, err := w.login.Redeem(r.Context(), r.FormValue("login_code"))
		if err != nil {
			render(rw, `<p id="error">{{.}}</p>`, err.Error())
			return
		}
		render(rw, `<p id="nickname">{{.}}</p>`, u.Nickname)
	})
	shop.HandleFunc("GET /goods/", func(rw http.ResponseWriter, r *http.Request) { render(rw, sharingPage, w) })
	return w
}

func (w *sockets) WeChat() string { return w.wechat }
func (w *sockets) Door() string   { return w.door }

// sharingPage writes the result of wx.config into #result.
const sharingPage = `<p id="share"></p>
<script src="{{.WeChat}}/open/js/jweixin-1.6.0.js"></script>
<script src="{{.Door}}/wx/js/config.js?jsApiList=scanQRCode,updateAppMessageShareData&amp;debug=true"></script>
<script>
function result(text) {
	var p = document.createElement("p");
	p.id = "result";
	p.textContent = text;
	document.body.appendChild(p);
}
document.addEventListener("wetoken:error", function (e) { result("refused: " + e.detail.errmsg); });
wx.error(function (res) { result(res.errMsg); });
wx.ready(function () {
	wx.updateAppMessageShareData({ title: "goods", success: function (res) {
		wx.chooseImage({ fail: function (not) { result("config:ok " + res.errMsg + " " + not.errMsg); } });
	} });
});
</script>`

func render(w http.ResponseWriter, body string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page := template.Must(template.New("").Parse(`<!DOCTYPE html><html><head><title>shop</title></head><body>` + body + `</body></html>`))
	if err := page.Execute(w, data); err != nil {
		http.Error(w, err.Error(), 500)
	}
}

// tab is a browser of a test.
type tab struct {
	*webdriver.Tab
	t *testing.T
}

func newTab(t *testing.T, d *webdriver.Driver) *tab {
	t.Helper()
	return &tab{d.Tab(t), t}
}

// requireReason requires a page of ours that shows why, readable on a phone.
func (b *tab) requireReason(why string) {
	b.t.Helper()
	b.FindText(why)
	var fits bool
	b.Run(`return document.documentElement.scrollWidth <= 360 && parseFloat(getComputedStyle(document.querySelector("p")).fontSize) >= 16 && document.characterSet === "UTF-8"`, &fits)
	require.True(b.t, fits, "the page is not readable on a phone")
}

func TestARealBrowserLogsIn(t *testing.T) {
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	b := newTab(t, d)

	b.Open(w.shop)
	b.Click("#login")
	require.True(t, strings.HasPrefix(b.URL(), w.wechat+"/connect/oauth2/authorize?appid="), b.URL())
	require.Contains(t, b.URL(), "#wechat_redirect")
	b.requireReason("授权登录")
	b.Click("#allow")
	require.Equal(t, nickname, b.Text("#nickname"))
	at, err := url.Parse(b.URL())
	require.NoError(t, err)
	require.Equal(t, strings.TrimPrefix(w.shop, "http://"), at.Host)
	require.Equal(t, "/me", at.Path)
	require.Equal(t, "home", at.Query().Get("from"))
	require.Equal(t, "top", at.Fragment)
	var title string
	b.Run("return document.title", &title)
	require.Equal(t, "shop", title)

	b.Open(at.String()) // a login_code works once
	b.Run("location.reload()", nil)
	require.Contains(t, b.Text("#error"), "already redeemed")

	b.Open(w.door + "/my/orders?page=2")
	require.Equal(t, w.wx.OpenID(appID, "li"), b.Text("#who"))
	require.Equal(t, w.door+"/my/orders?page=2#", b.URL(), "WeChat's #wechat_redirect is gone")
}

// answerConsent answers the consent page that b shows, and returns the address to which WeChat would send the browser.
func (w *sockets) answerConsent(b *tab) string {
	b.t.Helper()
	var ticket string
	b.Run(`return document.querySelector("input[name=ticket]").value`, &ticket)
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := hc.Get(w.wechat + "/connect/answer?do=allow&ticket=" + ticket)
	require.NoError(b.t, err)
	require.NoError(b.t, resp.Body.Close())
	return resp.Header.Get("Location")
}

func TestARealBrowserShowsWhyALoginIsRefused(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	b := newTab(t, d)
	for _, to := range []string{"https://evil.example.net/", "//evil.example.net", "http://site@evil.example.net/", `\\evil.example.net`, w.shopByHost + "/me"} {
		b.Open(w.door + "/wx/login?to=" + url.QueryEscape(to))
		b.requireReason("不能返回该网址")
	}

	b.Open(w.shop)
	b.Click("#login")
	end := w.answerConsent(b)
	b.Open(end)
	require.Equal(t, nickname, b.Text("#nickname"))
	other := newTab(t, d)
	other.Open(end)
	other.requireReason("登录链接已使用")

	used, err := url.Parse(end)
	require.NoError(t, err)
	b.Open(w.shop)
	b.Click("#login")
	fresh, err := url.Parse(w.answerConsent(b))
	require.NoError(t, err)
	q := fresh.Query()
	q.Set("code", used.Query().Get("code"))
	fresh.RawQuery = q.Encode()
	b.Open(fresh.String())
	require.Equal(t, "login expired", b.Text("#error"))

	b.Open(w.shop)
	b.Click("#login")
	end = w.answerConsent(b)
	for key, err := range w.login.Store.Keys(t.Context(), "oauth/"+appID+"/state/") { // as after ten minutes
		require.NoError(t, err)
		require.NoError(t, w.login.Store.Delete(t.Context(), key))
	}
	b.Open(end)
	b.requireReason("登录已过期")
}

func TestARealBrowserCannotFinishTheWebsiteLoginOfAnother(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Website)
	attacker, victim := newTab(t, d), newTab(t, d)
	attacker.Open(w.shop)
	attacker.Click("#login")
	attacker.requireReason("扫码")
	end := w.answerConsent(attacker)
	victim.Open(end)
	victim.requireReason("请在原浏览器中登录")
	attacker.Open(end)
	require.Equal(t, nickname, attacker.Text("#nickname"))

	victim.Open(w.shop)
	victim.Click("#login")
	victim.Click("#allow")
	require.Equal(t, nickname, victim.Text("#nickname"))
}
