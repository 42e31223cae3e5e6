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
	"strconv"
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
	seconds, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(m[1] + "." + covered))
	return now.Sub(time.Unix(seconds, 0)).Abs() < 5*time.Minute && strings.Contains(m[2], ",v1="+hex.EncodeToString(mac.Sum(nil)))
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
