package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/store"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

// browser is a browser of the official account's pages.
type browser struct {
	p *program
	*http.Client
}

func (p *program) browser() browser {
	jar, err := cookiejar.New(nil)
	require.NoError(p.t, err)
	return browser{p, &http.Client{Jar: jar}}
}

func (b browser) do(method, path string) (status int, text string) {
	b.p.t.Helper()
	r, err := http.NewRequestWithContext(b.p.t.Context(), method, b.p.url+path, nil)
	require.NoError(b.p.t, err)
	resp, err := b.Do(r)
	require.NoError(b.p.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(b.p.t, err)
	return resp.StatusCode, string(raw)
}

const officialLogin = "/official/login"

func TestAUserOfTheOfficialAccountHasTheAccountOfTheMiniProgram(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	token, _ := p.login("小明")
	p.bind("小明", token)
	p.world.WeChat.Browse("小明", wechattest.Allow)
	b := p.browser()
	status, page := b.do("GET", officialLogin+"?to="+url.QueryEscape(p.url+"/official"))
	require.Equal(t, 200, status)
	require.Contains(t, page, "小明 👋")
	require.Contains(t, page, "13800138000", "the unionid is the same")

	for _, c := range b.Jar.Cookies(mustURL(t, p.url)) {
		require.NotContains(t, c.Value, "_")
	}
	r, err := http.NewRequest("PUT", p.url+"/app/official-account/user/refresh", nil)
	require.NoError(t, err)
	r.Header.Set("Origin", "https://evil.example")
	resp, err := b.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 401, resp.StatusCode, "a page of another site cannot use the cookie")
}

func mustURL(t *testing.T, text string) *url.URL {
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u
}

func TestTheGrantOfTheOfficialAccountIsRefreshed(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	p.world.WeChat.Browse("小红", wechattest.Allow)
	b := p.browser()
	_, page := b.do("GET", officialLogin)
	require.Contains(t, page, "小红")
	p.world.WeChat.AddPerson(wechattest.Person{Name: "小红", Nickname: "小红\x14红"})
	status, text := b.do("PUT", "/app/official-account/user/refresh")
	require.Equal(t, 200, status, text)
	require.Equal(t, 1, p.world.WeChat.Calls("/sns/oauth2/refresh_token"))
	var r struct{ Data struct{ Nickname string } }
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	require.Equal(t, "小红红", r.Data.Nickname)

	p.world.WeChat.AddFault(wechattest.Fault{Path: "/sns/oauth2/refresh_token", Code: 42002, Times: 1})
	status, text = b.do("PUT", "/app/official-account/user/refresh")
	require.Equal(t, 401, status)
	require.Contains(t, text, "重新登录")
	token, _ := p.login("小红")
	p.refused(p.call("PUT", "/app/official-account/user/refresh", token, nil), 400, "app")
}

func TestASnapshotUserIsNeverLoggedIn(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	p.world.WeChat.Browse("小明", wechattest.Snapshot)
	b := p.browser()
	_, page := b.do("GET", officialLogin)
	require.Contains(t, page, "快照页")
	_, page = b.do("GET", "/official")
	require.Contains(t, page, "id=\"login\"")
	_, page = b.do("GET", officialLogin+"?to="+url.QueryEscape(p.url+"/official"))
	require.Contains(t, page, "登录未完成")
	var n int
	require.NoError(t, p.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM miniapp_account").Scan(&n))
	require.Zero(t, n)
}

func TestTheConstantStateOfTheOldProgramIsIgnored(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints, "grant-type: authorization_code", "grant-type: authorization_code\n        state: wechatRedirectUrl")
	require.Contains(t, p.log.String(), "authorize.state is ignored")
	b := p.browser()
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	states := map[string]bool{}
	for range 3 {
		resp, err := b.Get(p.url + "/wechat/official-account/login")
		require.NoError(t, err)
		resp.Body.Close()
		states[mustURL(t, resp.Header.Get("Location")).Query().Get("state")] = true
	}
	require.Len(t, states, 3)
	require.NotContains(t, states, "wechatRedirectUrl")
	status, _ := b.do("GET", "/wechat/official-account/login/callback?code=x&state=wechatRedirectUrl")
	require.Equal(t, 410, status)
	status, _ = b.do("GET", "/wechat/official-account/login?to=https%3A%2F%2Fevil.example%2F")
	require.Equal(t, 403, status)
}

func TestALoginThatAnotherBrowserBeganLogsNobodyIn(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	p.world.WeChat.Browse("小红", wechattest.Allow)
	var end string // the address with the code of 小红
	author := p.browser()
	author.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if end = r.URL.RequestURI(); r.URL.Query().Has("code") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	author.do("GET", officialLogin)
	require.Contains(t, end, "code=")
	victim := p.browser()
	status, page := victim.do("GET", end)
	require.Equal(t, 403, status)
	require.Contains(t, page, "不是从本浏览器开始的")
	_, page = victim.do("GET", "/official")
	require.Contains(t, page, `id="login"`)

	status, page = p.browser().do("GET", "/wechat/official-account/login")
	require.Equal(t, 403, status, "a login without a nonce")
	require.Contains(t, page, `href="/official/login"`)
}

func TestANewFollowerIsWelcomed(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	follow := func(token string) (push.Result, error) {
		c := &push.Callback{AppID: officialAppID, URL: p.url + "/wechat/official-account/message", Token: token, Tries: 1}
		return c.Push(t.Context(), push.Message{From: "o1", Event: "subscribe"})
	}
	result, err := follow("simulated")
	require.NoError(t, err)
	require.Equal(t, "欢迎关注", result.Shown)
	result, err = follow("another")
	require.NoError(t, err)
	require.Equal(t, push.Unavailable, result.Shown, "a message of a stranger")
}
