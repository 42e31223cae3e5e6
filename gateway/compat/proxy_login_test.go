package compat_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const (
	publicURL    = "https://wx.example.com"
	siteCall     = "https://site.example.com/enter?from=wechat"
	loginSignKey = "a-sign-key-of-the-login-tests"
	oldSignKey   = "the-sign-key-of-before"
)

// loginWorld is a gateway with logins of wechat-proxy, for browsers that know WeChat's pages and wx.example.com.
type loginWorld struct {
	*proxyWorld
	door http.Handler
}

func newLoginWorld(t *testing.T, change ...func(*gateway.Options)) *loginWorld {
	t.Helper()
	w := newProxyWorld(t, []string{"site.example.com", "127.0.0.1:9"}, append([]func(*gateway.Options){func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.SignKey = loginSignKey
		o.Config.Apps["shop"] = a
	}}, change...)...)
	w.wx.Add(wechattest.App{ID: shopID, Secret: secret, RedirectDomain: "wx.example.com", Owner: "platform"})
	w.wx.AddPerson(wechattest.Person{Name: "li", Nickname: "小李", HeadImgURL: "https://thirdwx.qlogo.cn/a?b=1&c=2"})
	w.wx.Browse("li", wechattest.Allow)
	return &loginWorld{w, w.newGateway().Public()}
}

// webBrowser keeps cookies.
type webBrowser struct {
	t  *testing.T
	w  *loginWorld
	hc *http.Client
}

func (w *loginWorld) browser() *webBrowser {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	b := &webBrowser{t: w.t, w: w}
	b.hc = &http.Client{Jar: jar, Transport: b, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return b
}

// RoundTrip sends a request to WeChat, or to the public side of the gateway.
func (b *webBrowser) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Host, ".weixin.qq.com") {
		return b.w.wx.Client().Transport.RoundTrip(r)
	}
	in := httptest.NewRequest(r.Method, r.URL.RequestURI(), nil)
	in.Host, in.Header = r.URL.Host, r.Header.Clone()
	if host := r.Header.Get("X-Test-Host"); host != "" {
		in.Host = host
	}
	w := httptest.NewRecorder()
	b.w.door.ServeHTTP(w, in)
	return w.Result(), nil
}

// webPage is what a browser got.
type webPage struct {
	status int
	header http.Header
	body   string
}

func (p webPage) location() string { return p.header.Get("Location") }

// open requests an address, and follows no redirect. pairs are headers.
func (b *webBrowser) open(address string, pairs ...string) webPage {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	require.NoError(b.t, err)
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	resp, err := b.hc.Do(r)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return webPage{resp.StatusCode, resp.Header, string(body)}
}

// begin opens a login at path with parameters, and returns the address to which WeChat sends the browser back.
func (b *webBrowser) begin(path string, pairs ...string) string {
	b.t.Helper()
	at := b.open(authURL(path, pairs...))
	require.Equal(b.t, http.StatusFound, at.status, at.body)
	require.True(b.t, strings.HasPrefix(at.location(), wechat.OpenURL+"/connect/oauth2/authorize?appid="+shopID+"&"), at.location())
	back := b.open(at.location())
	require.Equal(b.t, http.StatusFound, back.status, back.body)
	return back.location()
}

func authURL(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return publicURL + path + "?" + q.Encode()
}

// form is a form as a browser reads it.
type form struct {
	action, method, kind, charset string
	body                          string // as the browser sends it
}

// readForm returns the only form of a page with one hidden field and one script.
func readForm(t *testing.T, page string) form {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var f form
	count := make(map[string]int)
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		n, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		count[n.Name.Local]++
		of := make(map[string]string)
		for _, a := range n.Attr {
			require.False(t, strings.HasPrefix(a.Name.Local, "on"), a.Name.Local)
			of[a.Name.Local] = a.Value
		}
		switch n.Name.Local {
		case "form":
			f.action, f.method, f.kind, f.charset = of["action"], of["method"], of["enctype"], of["accept-charset"]
		case "input":
			require.Equal(t, "hidden", of["type"])
			f.body = of["name"] + "=" + of["value"] + "\r\n"
		}
	}
	require.Equal(t, map[string]int{"html": 1, "head": 1, "meta": 2, "title": 1, "body": 1, "form": 1, "input": 1, "p": 1, "button": 1, "script": 1}, count)
	require.Contains(t, page, "<script>document.forms[0].submit()</script>")
	return f
}

// loginResult is what a site gets.
type loginResult struct {
	ErrCode   int      `json:"errcode"`
	ErrMsg    string   `json:"errmsg"`
	OpenID    string   `json:"openid"`
	UnionID   string   `json:"unionid"`
	Nickname  string   `json:"nickname"`
	Image     string   `json:"headimgurl"`
	Privilege []string `json:"privilege"`
	AppID     string   `json:"appid"`
	State     string   `json:"state"`
	LoginCode string   `json:"login_code"`
	Signature string   `json:"wetoken_sign"`
	Sign      string   `json:"sign"`
}

func readLogin(t *testing.T, body string) (out loginResult) {
	t.Helper()
	require.True(t, strings.HasSuffix(body, "=\"}\r\n"), body)
	require.NoError(t, json.Unmarshal([]byte(body), &out), body)
	return out
}

// finish opens the address to which WeChat sends the browser back, and returns the form, and what the site gets.
func (b *webBrowser) finish(back string) (form, loginResult) {
	b.t.Helper()
	end := b.open(back)
	require.Equal(b.t, 200, end.status, end.body)
	f := readForm(b.t, end.body)
	return f, readLogin(b.t, f.body)
}

// verifies reports whether a site takes a body for genuine: it cuts the text before wetoken_sign, as the guide says.
func verifies(body, key string, now time.Time) bool {
	covered, rest, ok := strings.Cut(body, `,"wetoken_sign":"`)
	covered += "}"
	m := regexp.MustCompile(`^t=([0-9]+)((?:,v1=[0-9a-f]{64})+)","sign":"`).FindStringSubmatch(rest)
	if !ok || m == nil {
		return false
	}
	at := time.Time{}
	if _, err := fmt.Sscan(m[1], new(int64)); err == nil {
		var seconds int64
		_, _ = fmt.Sscan(m[1], &seconds)
		at = time.Unix(seconds, 0)
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(m[1] + "." + covered))
	return now.Sub(at).Abs() < 5*time.Minute && strings.Contains(m[2], ",v1="+hex.EncodeToString(mac.Sum(nil)))
}

// redeem redeems a login_code with a key.
func (w *loginWorld) redeem(code string) (status int, user map[string]any) {
	w.t.Helper()
	status, body := w.get(input{method: "POST", path: "/app/shop/login/redeem", key: shopKey, form: formJSON, body: fmt.Sprintf(`{"login_code":%q}`, code)})
	require.NoError(w.t, json.Unmarshal([]byte(body), &user), body)
	return status, user
}

func oldSign(state string) string {
	text := "appid=" + shopID
	if state != "" {
		text += "&state=" + state
	}
	sum := md5.Sum([]byte(text + "&key=" + secret))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func TestABrowserCarriesTheLoginToTheCall(t *testing.T) {
	w := newLoginWorld(t)
	openID, unionID := w.wx.OpenID(shopID, "li"), w.wx.UnionID("platform", "li")
	for path, want := range map[string]string{
		"/app/shop/auth":           `{"openid":"` + openID + `","unionid":"` + unionID + `",`,
		"/app/shop/auth/":          `{"openid":"` + openID + `","unionid":"` + unionID + `",`,
		"/app/shop/auth/info":      `{"openid":"` + openID + `","unionid":"` + unionID + `","nickname":"小李","headimgurl":"https://thirdwx.qlogo.cn/a?b=1\u0026c=2",`,
		"/app/shop/auth/info/":     `{"openid":"` + openID + `","unionid":"` + unionID + `","nickname":"小李","headimgurl":"https://thirdwx.qlogo.cn/a?b=1\u0026c=2",`,
		"/app/" + shopID + "/auth": `{"openid":"` + openID + `","unionid":"` + unionID + `",`,
	} {
		const state = "a=b&c 状态"
		b := w.browser()
		back := b.begin(path, "call", siteCall, "state", state, "lang", "en", "unknown", "1")
		require.Regexp(t, `^https://wx\.example\.com/app/shop/auth(/info)?\?key=[0-9a-f]{32}&code=.+&state=[0-9a-f]{32}$`, back)
		require.Equal(t, strings.Contains(path, "/info"), strings.Contains(back, "/auth/info?"))
		end := b.open(back)
		require.Equal(t, 200, end.status)
		require.Equal(t, "text/html; charset=utf-8", end.header.Get("Content-Type"))
		require.Equal(t, "no-store", end.header.Get("Cache-Control"))
		require.Contains(t, end.header.Get("Content-Security-Policy"), "; form-action https://site.example.com; ")

		f := readForm(t, end.body)
		require.Equal(t, form{siteCall, "post", "text/plain", "utf-8", f.body}, f)
		require.True(t, strings.HasPrefix(f.body, want), f.body)
		require.True(t, strings.HasSuffix(f.body, `,"sign":"`+oldSign(state)+"=\"}\r\n"), f.body)
		got := readLogin(t, f.body)
		require.Equal(t, shopID, got.AppID)
		require.Equal(t, state, got.State)
		require.True(t, verifies(f.body, loginSignKey, time.Now()), f.body)
		require.False(t, verifies(f.body, oldSignKey, time.Now()))
		require.False(t, verifies(f.body, loginSignKey, time.Now().Add(6*time.Minute)))

		status, user := w.redeem(got.LoginCode)
		require.Equal(t, 200, status)
		require.Equal(t, openID, user["openid"])
		require.Equal(t, "https://site.example.com", user["to"])
		require.Equal(t, state, user["nonce"])
	}
	require.Equal(t, 5, w.wx.Calls("/sns/oauth2/access_token"))
	require.Equal(t, 2, w.wx.Calls("/sns/userinfo"))
}

func TestACallMayBeOfThisServerOrLackAScheme(t *testing.T) {
	w := newLoginWorld(t, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.PublicURL = publicURL + "/wx/"
		o.Config.Apps["shop"] = a
	})
	w.door = http.StripPrefix("/wx", w.door)
	for call, action := range map[string]string{
		"/echo?a=1":                      publicURL + "/wx/echo?a=1",
		publicURL + "/wx/echo":           publicURL + "/wx/echo",
		"site.example.com/enter":         "https://site.example.com/enter",
		"HTTPS://SITE.example.com/enter": "HTTPS://SITE.example.com/enter",
		"http://127.0.0.1:9/x":           "http://127.0.0.1:9/x", // loopback may be http
	} {
		b := w.browser()
		f, got := b.finish(b.begin("/wx/app/shop/auth", "call", call))
		require.Equal(t, action, f.action, call)
		require.Equal(t, oldSign("")+"=", got.Sign, "an empty state is not part of the old sign")
	}
}

func TestALoginThatWeChatRefusesTellsTheCall(t *testing.T) {
	w := newLoginWorld(t)
	for path, refusing := range map[string]string{"/app/shop/auth": "/sns/oauth2/access_token", "/app/shop/auth/info": "/sns/userinfo"} {
		w.wx.AddFault(wechattest.Fault{Path: refusing, Code: 45011})
		b := w.browser()
		back := b.begin(path, "call", siteCall, "state", "s")
		w.wx.ClearFaults()
		w.wx.AddFault(wechattest.Fault{Path: refusing, Code: 45011})
		f, got := b.finish(back)
		w.wx.ClearFaults()
		require.True(t, strings.HasPrefix(f.body, `{"errcode":45011,"errmsg":"`), f.body)
		require.NotEmpty(t, got.ErrMsg)
		require.Equal(t, loginResult{ErrCode: 45011, ErrMsg: got.ErrMsg, AppID: shopID, State: "s", Signature: got.Signature, Sign: oldSign("s") + "="}, got)
		require.True(t, verifies(f.body, loginSignKey, time.Now()))
		again, _ := b.finish(back)
		require.Equal(t, covered(f.body), covered(again.body), "a repeated request has the same answer")
	}
	b := w.browser()
	f, got := b.finish(replaceQuery(t, b.begin("/app/shop/auth", "call", siteCall), "code", "an-unknown-code"))
	require.Equal(t, 40029, got.ErrCode)
	require.Equal(t, siteCall, f.action)
}

// covered is the text that wetoken_sign covers, but for the last brace.
func covered(body string) string {
	before, _, _ := strings.Cut(body, `,"wetoken_sign":`)
	return before
}

func replaceQuery(t *testing.T, address, name, value string) string {
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func TestALoginThatEndsWithoutWeChatShowsAPage(t *testing.T) {
	w := newLoginWorld(t)
	page := []string{"Accept", "text/html,application/xhtml+xml", "Accept-Language", "zh-CN"}
	english := []string{"Accept", "text/html", "Accept-Language", "en"}

	for _, key := range []string{"0123456789abcdef0123456789abcdef", "x", ""} {
		at := w.browser().open(authURL("/app/shop/auth", "key", key, "code", "c"))
		require.Equal(t, 410, at.status)
		require.Equal(t, "auth timeout", at.body)
		require.Equal(t, "text/plain; charset=utf-8", at.header.Get("Content-Type"))
		at = w.browser().open(authURL("/app/shop/auth", "key", key, "code", "c"), page...)
		require.Equal(t, 410, at.status)
		require.Contains(t, at.body, "登录已过期")
		require.Contains(t, at.body, "auth timeout")
		require.Contains(t, w.browser().open(authURL("/app/shop/auth", "key", key), english...).body, "Login expired")
	}

	b := w.browser()
	w.wx.Browse("li", wechattest.Deny)
	denied := b.open(b.begin("/app/shop/auth/info", "call", siteCall, "state", "s", "lang", "en"), page...)
	require.Equal(t, 403, denied.status)
	require.Contains(t, denied.body, "登录已取消")
	again := regexp.MustCompile(`href="([^"]+)"`).FindStringSubmatch(denied.body)
	require.Equal(t, authURL("/app/shop/auth/info", "call", siteCall, "state", "s", "lang", "en"), strings.ReplaceAll(again[1], "&amp;", "&"))

	w.wx.Browse("li", wechattest.Allow)
	back := b.begin("/app/shop/auth", "call", siteCall)
	w.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/access_token", Status: 500})
	down := b.open(back, page...)
	w.wx.ClearFaults()
	require.Equal(t, 503, down.status)
	require.NotContains(t, down.body, "<form")

	for query, text := range map[string]string{
		"?state=s": "call is missing",
		"?call=" + url.QueryEscape(siteCall) + "&state=" + strings.Repeat("s", 1025): "state is longer than 1024 bytes",
	} {
		at := b.open(publicURL+"/app/shop/auth"+query, page...)
		require.Equal(t, 400, at.status)
		require.Contains(t, at.body, text)
	}
}

func TestOnlyOfficialAccountsHaveTheOldLogin(t *testing.T) {
	w := newLoginWorld(t, func(o *gateway.Options) {
		o.Config.Apps["site"] = gateway.App{AppID: "wxffffffffffffffff", Secret: secret, Kind: wechat.Website, Hosts: []string{"site.example.com"}}
		o.Config.Apps["work"] = gateway.App{AppID: "ww0123456789abcdef", Secret: secret, Kind: wechat.Work, AgentID: 1}
		a := o.Config.Apps["news"]
		a.Allow = []string{"/token"}
		o.Config.Apps["news"] = a
	})
	b := w.browser()
	for app, want := range map[string]string{
		"site": "/auth is for official accounts, and this app is of kind website",
		"work": "/auth is for official accounts, and this app is of kind work",
		"mini": "/auth is for official accounts, and this app is of kind mini",
		"news": "not found", // it allows /token alone
		"gone": "not found", // it has expired
		"none": "not found",
	} {
		at := b.open(authURL("/app/"+app+"/auth", "call", siteCall))
		require.Equal(t, 404, at.status, app)
		require.Equal(t, fmt.Sprintf(`{"errcode": -10001, "errmsg": "%s"}`, want), at.body)
	}
	require.Equal(t, 404, b.open(authURL("/auth", "appid", shopID, "secret", secret, "call", siteCall)).status, "no secret in a browser's address")
}

func TestAnAppThatAllowsAuthAloneLogsIn(t *testing.T) {
	w := newLoginWorld(t, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.Allow, a.SignKey, a.PreviousSignKey = []string{"/auth"}, "the-next-sign-key", oldSignKey
		o.Config.Apps["shop"] = a
	})
	b := w.browser()
	f, _ := b.finish(b.begin("/app/shop/auth/info", "call", siteCall))
	require.True(t, verifies(f.body, oldSignKey, time.Now()), "a site may have either key while it is changed")
	require.True(t, verifies(f.body, "the-next-sign-key", time.Now()))

	w = newLoginWorld(t, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.SignKey = ""
		o.Config.Apps["shop"] = a
	})
	b = w.browser()
	f, got := b.finish(b.begin("/app/shop/auth", "call", siteCall))
	require.NotContains(t, f.body, "wetoken_sign")
	status, _ := w.redeem(got.LoginCode)
	require.Equal(t, 200, status, "without a sign_key the site redeems")
}

func TestTheOldLoginAndTheNewOneDoNotMix(t *testing.T) {
	w := newLoginWorld(t)
	b := w.browser()
	for _, path := range []string{"/app/shop/login", "/app/shop/login/"} {
		at := b.open(authURL(path, "to", siteCall))
		require.Equal(t, map[bool]int{true: 302, false: 404}[path == "/app/shop/login"], at.status, path)
	}
	at := b.open(authURL("/app/shop/login", "to", siteCall))
	back := b.open(at.location()).location()
	require.True(t, strings.HasPrefix(back, publicURL+"/app/shop/login/callback?"))
	u, err := url.Parse(back)
	require.NoError(t, err)
	key := u.Query().Get("state")
	for _, path := range []string{"/app/shop/auth", "/app/shop/auth/info"} {
		require.Equal(t, 410, b.open(authURL(path, "key", key, "code", u.Query().Get("code"))).status, "the state of /login")
	}
	require.Equal(t, 302, b.open(back).status, "and it is not used up")

	old := b.begin("/app/shop/auth", "call", siteCall)
	u, err = url.Parse(old)
	require.NoError(t, err)
	for _, path := range []string{"/app/shop/login/callback", "/app/shop/auth/info"} {
		require.Equal(t, 410, b.open(authURL(path, "state", u.Query().Get("state"), "key", u.Query().Get("key"), "code", u.Query().Get("code"))).status, path)
	}
	b.finish(old)
}
