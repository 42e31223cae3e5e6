package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const (
	miniID   = "wxaaaaaaaaaaaaaaaa"
	tokenOf  = "tokenofthistest"
	aesKeyOf = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// sides are both sides of a gateway on sockets, and their WeChat.
type sides struct {
	wx              *wechattest.Server
	gateway         *gateway.Gateway
	pages           string // URL of the WeChat pages
	public, private string
}

// openSides serves a gateway after change has changed its configuration.
func openSides(t *testing.T, change func(*gateway.Config)) *sides {
	t.Helper()
	d := &sides{wx: newWeChat()}
	pages := httptest.NewServer(d.wx)
	t.Cleanup(pages.Close)
	d.pages = pages.URL
	public, private := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	d.public = "http://" + public.Listener.Addr().String()
	d.private = "http://" + private.Listener.Addr().String()

	c := config()
	c.PublicURL, c.Endpoints.Open, c.Endpoints.Login = d.public, d.pages, d.pages
	if change != nil {
		change(&c)
	}
	g, err := gateway.New(gateway.Options{Config: c, HTTP: d.wx.Client(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	d.gateway = g
	public.Config.Handler, private.Config.Handler = g.Public(), g.Private()
	for _, srv := range []*httptest.Server{public, private} {
		srv.Start()
		t.Cleanup(srv.Close)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return d
}

// set changes an app of a configuration.
func set(c *gateway.Config, name string, change func(*gateway.App)) {
	a := c.Apps[name]
	change(&a)
	c.Apps[name] = a
}

// post sends JSON, with a key if it is not empty, and decodes the reply.
func post(t *testing.T, address, key string, body, out any) int {
	t.Helper()
	b, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(string(b)))
	require.NoError(t, err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(out))
	return resp.StatusCode
}

// visitor returns a client that keeps cookies and follows redirects, except to the site.
func visitor(t *testing.T, site string) *http.Client {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), site) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

func TestALoginEndsOnTheSiteWithACodeForItsServer(t *testing.T) {
	const site = "http://shop.example.com/in"
	for app, kind := range map[string]struct {
		wechat wechattest.App
		query  string
		user   func(*wechattest.Server) oauth.User
	}{
		"shop": {wechattest.App{ID: shopID, Secret: secret}, "&scope=snsapi_userinfo", func(wx *wechattest.Server) oauth.User {
			return oauth.User{OpenID: wx.OpenID(shopID, "ming"), Nickname: `小明 <"&'> 👋`, To: "http://shop.example.com", Nonce: "n-1"}
		}},
		"web": {wechattest.App{ID: "wxcccccccccccccccc", Secret: secret, Kind: wechattest.Website}, "", func(wx *wechattest.Server) oauth.User {
			return oauth.User{OpenID: wx.OpenID("wxcccccccccccccccc", "ming"), Nickname: `小明 <"&'> 👋`, To: "http://shop.example.com", Nonce: "n-1"}
		}},
		"corp": {wechattest.App{ID: corpID, Secret: secret, Kind: wechattest.Work, AgentID: 7}, "", func(wx *wechattest.Server) oauth.User {
			return oauth.User{UserID: "zhangming", To: "http://shop.example.com", Nonce: "n-1"}
		}},
	} {
		t.Run(app, func(t *testing.T) {
			d := openSides(t, func(c *gateway.Config) {
				c.Apps["web"] = gateway.App{AppID: "wxcccccccccccccccc", Secret: secret, Kind: wechat.Website}
				set(c, app, func(a *gateway.App) { a.Hosts = []string{"shop.example.com"} })
			})
			kind.wechat.RedirectDomain = strings.TrimPrefix(d.public, "http://")
			d.wx.Add(kind.wechat)
			d.wx.AddPerson(wechattest.Person{Name: "ming", Nickname: `小明 <"&'> 👋`, UserID: "zhangming"})
			d.wx.Browse("ming", wechattest.Allow)

			begin := d.public + "/app/" + app + "/login?nonce=n-1" + kind.query + "&to="
			resp, err := visitor(t, site).Get(begin + url.QueryEscape(site+"?a=1"))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			back, err := resp.Location()
			require.NoError(t, err, resp.Status)
			require.Equal(t, "1", back.Query().Get("a"))
			require.Equal(t, "n-1", back.Query().Get("nonce"))
			code := map[string]string{"login_code": back.Query().Get("login_code")}

			var u oauth.User
			require.Equal(t, http.StatusUnauthorized, post(t, d.private+"/app/"+app+"/login/redeem", "", code, new(any)))
			require.Equal(t, http.StatusForbidden, post(t, d.private+"/app/"+app+"/login/redeem", newsKey, code, new(any)))
			require.Equal(t, http.StatusOK, post(t, d.private+"/app/"+app+"/login/redeem", allKey, code, &u))
			want := kind.user(d.wx)
			want.HeadImgURL, want.Privilege = u.HeadImgURL, u.Privilege
			require.Equal(t, want, u)
			require.Equal(t, http.StatusNotFound, post(t, d.private+"/app/"+app+"/login/redeem", allKey, code, new(any)), "once")

			resp, err = visitor(t, site).Get(begin + url.QueryEscape("https://evil.example.com/"))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusForbidden, resp.StatusCode)
		})
	}
}

func TestAWebsiteHasNoToken(t *testing.T) {
	d := openSides(t, func(c *gateway.Config) {
		c.Apps["web"] = gateway.App{AppID: "wxcccccccccccccccc", Secret: secret, Kind: wechat.Website}
	})
	status, _ := ask(t, "GET", d.private+"/app/web/token", allKey, "")
	require.Equal(t, http.StatusNotFound, status)
}

func TestAMiniProgramsUserLogsInAndGivesAPhoneNumber(t *testing.T) {
	d := openSides(t, func(c *gateway.Config) { delete(c.Apps, "too") })
	d.wx.AddPerson(wechattest.Person{Name: "ming", Phone: "13800138000"})
	base := "/app/" + url.PathEscape("新闻")
	var session struct {
		LoginCode string `json:"login_code"`
		ExpiresIn int    `json:"expires_in"`
	}
	body := map[string]string{"code": d.wx.MiniCode(miniID, "ming")}
	require.Equal(t, http.StatusOK, post(t, d.public+base+"/session", "", body, &session))
	require.Positive(t, session.ExpiresIn)
	var u oauth.User
	require.Equal(t, http.StatusOK, post(t, d.private+base+"/login/redeem", newsKey, map[string]string{"login_code": session.LoginCode}, &u))
	require.Equal(t, oauth.User{OpenID: d.wx.OpenID(miniID, "ming")}, u)

	var p oauth.Phone
	ask := map[string]string{"code": d.wx.PhoneCode(miniID, "ming")}
	require.Equal(t, http.StatusForbidden, post(t, d.private+base+"/phone", readKey, ask, new(any)))
	require.Equal(t, http.StatusOK, post(t, d.private+base+"/phone", newsKey, ask, &p))
	require.Equal(t, oauth.Phone{PhoneNumber: "13800138000", PurePhoneNumber: "13800138000", CountryCode: "86"}, p)

	status, _ := fetch(t, "GET", d.public+base+"/js/config.js")
	require.Equal(t, http.StatusNotFound, status, "a mini program has no pages")
}

func TestTwoNamesOfOneAppIDShareNoLoginCodes(t *testing.T) {
	d := openSides(t, func(c *gateway.Config) { set(c, "too", func(a *gateway.App) { a.Allow = nil }) })
	d.wx.AddPerson(wechattest.Person{Name: "ming"})
	base := "/app/" + url.PathEscape("新闻")
	var session map[string]any
	require.Equal(t, http.StatusOK, post(t, d.public+base+"/session", "", map[string]string{"code": d.wx.MiniCode(miniID, "ming")}, &session))
	code := map[string]any{"login_code": session["login_code"]}
	require.Equal(t, http.StatusNotFound, post(t, d.private+"/app/too/login/redeem", allKey, code, new(any)))
	require.Equal(t, http.StatusOK, post(t, d.private+base+"/login/redeem", newsKey, code, new(any)))
}

func fetch(t *testing.T, method, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestAPageIsSigned(t *testing.T) {
	d := openSides(t, func(c *gateway.Config) {
		for _, name := range []string{"shop", "corp"} {
			set(c, name, func(a *gateway.App) { a.Hosts = []string{"shop.example.com"} })
		}
	})
	const page = "https://shop.example.com/goods?id=1"
	for app, id := range map[string]string{"shop": shopID, "corp": corpID} {
		status, script := fetch(t, "GET", d.public+"/app/"+app+"/js/config.js")
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, script, "wx.config")
		var c struct {
			AppID     string `json:"appId"`
			Timestamp json.Number
			NonceStr  string
			Signature string
		}
		require.Equal(t, http.StatusOK, post(t, d.public+"/app/"+app+"/js/config", "", map[string]string{"url": page}, &c))
		require.Equal(t, id, c.AppID)
		q := url.Values{"call": {"config"}, "url": {page}, "appId": {c.AppID}, "signature": {c.Signature}, "nonceStr": {c.NonceStr}, "timestamp": {c.Timestamp.String()}}
		_, verdict := fetch(t, "GET", d.pages+"/open/js/verify?"+q.Encode())
		require.JSONEq(t, `{"errMsg":"config:ok"}`, verdict)
		var refused answer
		require.Equal(t, http.StatusForbidden, post(t, d.public+"/app/"+app+"/js/config", "", map[string]string{"url": "https://evil.example.com/"}, &refused))
	}
}

func TestCardsAreSignedForPagesOfAppsThatSaySo(t *testing.T) {
	const card, open1 = "p1Pj9jr90_SQRaVqYI239Ka1erkI", `{"addCard":[{"cardId":"p1Pj9jr90_SQRaVqYI239Ka1erkI"}]}`
	d := openSides(t, func(c *gateway.Config) {
		c.Apps["cards"] = gateway.App{AppID: "wxdddddddddddddddd", Secret: secret, Cards: true, Hosts: []string{"shop.example.com"}}
		set(c, "shop", func(a *gateway.App) { a.Hosts = []string{"shop.example.com"} })
	})
	d.wx.AddApp("wxdddddddddddddddd", secret)
	both := bothSides(t, d)
	send := func(base, app, key, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/app/"+app+"/js/card", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Origin", "https://shop.example.com")
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	const whole = `{"addCard":[{"cardId":"` + card + `","code":"20000","openid":"o1","balance":"20000"}]}`
	for _, public := range []string{d.public, both} {
		status, said := send(public, "shop", "", open1)
		require.Equal(t, http.StatusForbidden, status, said)
		require.Contains(t, said, "cards is off")
		status, said = send(public, "cards", "", open1)
		require.Equal(t, http.StatusOK, status, said)
		status, said = send(public, "cards", "", whole)
		require.Equal(t, http.StatusBadRequest, status, said)
		require.NotContains(t, said, "signature")
	}
	for _, private := range []string{d.private, both} {
		for _, app := range []string{"shop", "cards"} {
			status, said := send(private, app, allKey, whole)
			require.Equal(t, http.StatusOK, status, said)
			require.Contains(t, said, `\"balance\":\"20000\"`)
			status, _ = send(private, app, allKey+"x", whole)
			require.Equal(t, http.StatusUnauthorized, status)
			status, _ = send(private, app, newsKey, whole)
			require.Equal(t, http.StatusForbidden, status)
		}
		status, _ := send(private, "corp", allKey, whole)
		require.Equal(t, http.StatusNotFound, status, "WeCom has no cards")
	}
	status, _ := send(d.private, "shop", "", whole)
	require.Equal(t, http.StatusUnauthorized, status)
	status, said := send(d.public, "shop", allKey, whole)
	require.Equal(t, http.StatusForbidden, status, said)
}
