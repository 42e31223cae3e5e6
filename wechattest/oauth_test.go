package wechattest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

const (
	openHost = "https://open.weixin.qq.com"
	backTo   = "https://wx.example.com/back?a=1"
)

// authorizeURL has the parameters in WeChat's order.
func authorizeURL(path, id, redirect, scope string) string {
	return openHost + path + "?appid=" + id + "&redirect_uri=" + url.QueryEscape(redirect) + "&response_type=code&scope=" + scope + "&state=s1#wechat_redirect"
}

// look opens a page without following where it leads.
func look(t *testing.T, wx *wechattest.Server, address string) (status int, location *url.URL, body string) {
	t.Helper()
	hc := wx.Client()
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	resp, err := hc.Do(r)
	require.NoError(t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	location, err = url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	return resp.StatusCode, location, string(raw)
}

// loginCode is the code a browser comes back with.
func loginCode(t *testing.T, wx *wechattest.Server, path, id, scope string) string {
	t.Helper()
	status, to, body := look(t, wx, authorizeURL(path, id, backTo, scope))
	require.Equal(t, 302, status, body)
	require.Equal(t, "1", to.Query().Get("a"))
	require.Equal(t, "s1", to.Query().Get("state"))
	return to.Query().Get("code")
}

const inside, qrCode = "/connect/oauth2/authorize", "/connect/qrconnect"

func webServer() *wechattest.Server {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "wx1", Secret: "s1", RedirectDomain: "wx.example.com", Owner: "owner"})
	wx.Add(wechattest.App{ID: "wx2", Secret: "s1"})
	wx.Add(wechattest.App{ID: "site", Secret: "s1", Kind: wechattest.Website})
	wx.Browse("", wechattest.Allow)
	return wx
}

// granted is the answer of the sns calls.
type granted struct {
	Code      int    `json:"errcode"`
	Token     string `json:"access_token"`
	ExpiresIn int    `json:"expires_in"`
	Refresh   string `json:"refresh_token"`
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid"`
	Scope     string `json:"scope"`
	Snapshot  int    `json:"is_snapshotuser"`
	Nickname  string `json:"nickname"`
}

func sns(t *testing.T, wx *wechattest.Server, path string, pairs ...string) granted {
	t.Helper()
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	a := get(t, wx, api+path+"?"+q.Encode())
	require.Equal(t, 200, a.Status)
	require.Equal(t, "text/plain", a.Type)
	var g granted
	require.NoError(t, json.Unmarshal([]byte(a.Raw), &g))
	return g
}

func exchange(t *testing.T, wx *wechattest.Server, id, code string) granted {
	t.Helper()
	return sns(t, wx, "/sns/oauth2/access_token", "appid", id, "secret", "s1", "code", code, "grant_type", "authorization_code")
}

func TestWebLoginGrantsItsScope(t *testing.T) {
	wx := webServer()
	near := exchange(t, wx, "wx1", loginCode(t, wx, inside, "wx1", "snsapi_base"))
	require.Equal(t, wx.OpenID("wx1", "ming"), near.OpenID)
	require.Len(t, near.OpenID, 28)
	require.Equal(t, wx.UnionID("owner", "ming"), near.UnionID)
	require.Equal(t, 7200, near.ExpiresIn)
	require.Equal(t, "snsapi_base", near.Scope)
	require.Equal(t, 48001, sns(t, wx, "/sns/userinfo", "access_token", near.Token, "openid", near.OpenID).Code)

	far := exchange(t, wx, "wx1", loginCode(t, wx, inside, "wx1", "snsapi_userinfo"))
	require.Equal(t, near.OpenID, far.OpenID)
	require.Equal(t, "小明", sns(t, wx, "/sns/userinfo", "access_token", far.Token, "openid", far.OpenID).Nickname)
	require.Zero(t, sns(t, wx, "/sns/auth", "access_token", far.Token, "openid", far.OpenID).Code)
	require.Equal(t, 40003, sns(t, wx, "/sns/auth", "access_token", far.Token, "openid", "o").Code)
	require.Equal(t, 40014, sns(t, wx, "/sns/userinfo", "access_token", "x", "openid", "o").Code)
	require.Equal(t, 41001, sns(t, wx, "/sns/userinfo", "openid", "o").Code)
	require.Equal(t, 41009, sns(t, wx, "/sns/userinfo", "access_token", far.Token).Code)

	other := exchange(t, wx, "wx2", loginCode(t, wx, inside, "wx2", "snsapi_base"))
	require.NotEqual(t, near.OpenID, other.OpenID)
	require.Empty(t, other.UnionID, "no open platform account, no unionid")
}

func TestAWebCodeWorksOnceForItsAppAndAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := webServer()
		code := loginCode(t, wx, inside, "wx1", "snsapi_base")
		require.Equal(t, 40029, exchange(t, wx, "wx2", code).Code)
		require.Zero(t, exchange(t, wx, "wx1", code).Code)
		require.Equal(t, 40163, exchange(t, wx, "wx1", code).Code)
		require.Equal(t, 40029, exchange(t, wx, "wx1", "made-up").Code)

		late, site := loginCode(t, wx, inside, "wx1", "snsapi_base"), loginCode(t, wx, qrCode, "site", "snsapi_login")
		pass(5 * time.Minute)
		require.Equal(t, 42003, exchange(t, wx, "wx1", late).Code)
		pass(5*time.Minute - time.Second)
		require.Zero(t, exchange(t, wx, "site", site).Code)
		site = loginCode(t, wx, qrCode, "site", "snsapi_login")
		pass(10 * time.Minute)
		require.Equal(t, 42003, exchange(t, wx, "site", site).Code)
	})
}

func TestTheExchangeChecksItsParametersInOrder(t *testing.T) {
	wx := webServer()
	code := loginCode(t, wx, inside, "wx1", "snsapi_base")
	good := []string{"appid", "wx1", "secret", "s1", "code", code, "grant_type", "authorization_code"}
	for _, c := range []struct {
		name, value string
		want        int
	}{
		{"appid", "", 41002}, {"secret", "", 41004}, {"appid", "wx9", 40013}, {"secret", "s9", 40125},
		{"code", "", 41008}, {"grant_type", "client_credential", 40002},
	} {
		require.Equal(t, c.want, sns(t, wx, "/sns/oauth2/access_token", append(good, c.name, c.value)...).Code, c)
	}
	require.Zero(t, sns(t, wx, "/sns/oauth2/access_token", good...).Code, "nothing above has used the code up")
	require.Equal(t, 43001, send(t, wx.Client(), "POST", api+"/sns/oauth2/access_token", "", "").Code)
}

func TestRefreshingLengthensATokenOrMakesANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := webServer()
		g := exchange(t, wx, "wx1", loginCode(t, wx, inside, "wx1", "snsapi_userinfo"))
		refresh := func() granted {
			return sns(t, wx, "/sns/oauth2/refresh_token", "appid", "wx1", "grant_type", "refresh_token", "refresh_token", g.Refresh)
		}
		alive := func(token string) int {
			return sns(t, wx, "/sns/auth", "access_token", token, "openid", g.OpenID).Code
		}
		pass(time.Hour)
		require.Equal(t, g.Token, refresh().Token)
		pass(2*time.Hour - time.Second)
		require.Zero(t, alive(g.Token))
		pass(time.Second)
		require.Equal(t, 42001, alive(g.Token))
		second := refresh()
		require.NotEqual(t, g.Token, second.Token)
		require.Empty(t, second.UnionID)
		require.Equal(t, 42001, alive(g.Token))
		require.Zero(t, alive(second.Token))
		pass(30 * 24 * time.Hour)
		require.Equal(t, 42002, refresh().Code)

		for want, pairs := range map[int][]string{
			41002: {"grant_type", "refresh_token", "refresh_token", g.Refresh},
			41003: {"appid", "wx1", "grant_type", "refresh_token"},
			40002: {"appid", "wx1", "refresh_token", g.Refresh},
			40013: {"appid", "wx9", "grant_type", "refresh_token", "refresh_token", g.Refresh},
			40030: {"appid", "wx2", "grant_type", "refresh_token", "refresh_token", g.Refresh},
		} {
			require.Equal(t, want, sns(t, wx, "/sns/oauth2/refresh_token", pairs...).Code)
		}
	})
}

func TestASnapshotsVisitorIsMadeUp(t *testing.T) {
	wx := webServer()
	wx.Browse("", wechattest.Snapshot)
	seen := map[string]bool{}
	for range 2 {
		g := exchange(t, wx, "wx1", loginCode(t, wx, inside, "wx1", "snsapi_userinfo"))
		require.Equal(t, 1, g.Snapshot)
		require.NotEqual(t, wx.OpenID("wx1", "ming"), g.OpenID)
		require.NotEqual(t, wx.UnionID("owner", "ming"), g.UnionID)
		seen[g.OpenID] = true
	}
	require.Len(t, seen, 2)
	require.Zero(t, exchange(t, wx, "wx1", loginCode(t, wx, inside, "wx1", "snsapi_base")).Snapshot)

	wx.Browse("", wechattest.Allow)
	forced := strings.Replace(authorizeURL(inside, "wx1", backTo, "snsapi_userinfo"), "#", "&forceSnapShot=true#", 1)
	_, to, _ := look(t, wx, forced)
	require.Equal(t, 1, exchange(t, wx, "wx1", to.Query().Get("code")).Snapshot)
}

func TestAWeComMemberHasAUserID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7, RedirectDomain: "wx.example.com"})
		wx.Add(wechattest.App{ID: "ww1", Secret: "s2", Kind: wechattest.Work, AgentID: 8, RedirectDomain: "other.example.com"})
		wx.AddPerson(wechattest.Person{Name: "li", UserID: "li.lei", Phone: "13900139000"})
		wx.AddPerson(wechattest.Person{Name: "guest", Visitor: true})
		wx.Browse("li", wechattest.Allow)
		token := get(t, wx, workURL("ww1", "s1")).Token
		whoIs := func(code string) (a struct {
			Code       int    `json:"errcode"`
			UserID     string `json:"userid"`
			OpenID     string `json:"openid"`
			UserTicket string `json:"user_ticket"`
		}) {
			raw := get(t, wx, work+"/cgi-bin/auth/getuserinfo?access_token="+token+"&code="+code).Raw
			require.NoError(t, json.Unmarshal([]byte(raw), &a))
			return a
		}
		code := loginCode(t, wx, inside, "ww1", "snsapi_base")
		require.Equal(t, "li.lei", whoIs(code).UserID)
		require.Equal(t, 40029, whoIs(code).Code, "used")
		require.Equal(t, 40029, whoIs("made-up").Code)
		late := loginCode(t, wx, inside, "ww1", "snsapi_base")
		pass(5 * time.Minute)
		require.Equal(t, 40029, whoIs(late).Code)

		sso := "https://login.work.weixin.qq.com/wwlogin/sso/login?login_type=CorpApp&appid=ww1&agentid=7&redirect_uri=" + url.QueryEscape(backTo) + "&state=s1"
		_, to, _ := look(t, wx, sso)
		a := whoIs(to.Query().Get("code"))
		require.Equal(t, "li.lei", a.UserID)
		require.Empty(t, a.UserTicket)
		_, to, body := look(t, wx, strings.Replace(sso, "agentid=7", "agentid=8", 1))
		require.Empty(t, to.String())
		require.Contains(t, body, "50001")
		_, _, body = look(t, wx, strings.Replace(sso, "agentid=7", "agentid=9", 1))
		require.Contains(t, body, "agentid")

		private := strings.Replace(authorizeURL(inside, "ww1", backTo, "snsapi_privateinfo"), "#", "&agentid=7#", 1)
		_, to, _ = look(t, wx, private)
		a = whoIs(to.Query().Get("code"))
		require.NotEmpty(t, a.UserTicket)
		detail := func() string {
			return post(t, wx, work+"/cgi-bin/auth/getuserdetail?access_token="+get(t, wx, workURL("ww1", "s1")).Token, `{"user_ticket":"`+a.UserTicket+`"}`).Raw
		}
		require.Contains(t, detail(), `"mobile":"13900139000"`)
		pass(30 * time.Minute)
		require.Contains(t, detail(), "40078")
		_, _, body = look(t, wx, authorizeURL(inside, "ww1", backTo, "snsapi_privateinfo"))
		require.Contains(t, body, "agentid")

		wx.Browse("guest", wechattest.Allow)
		a = whoIs(loginCode(t, wx, inside, "ww1", "snsapi_base"))
		require.Empty(t, a.UserID)
		require.Equal(t, wx.OpenID("ww1", "guest"), a.OpenID)
	})
}
