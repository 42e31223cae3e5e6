package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechattest"
)

// recorder is a cookie jar that records the cookies that were set.
type recorder struct {
	http.CookieJar
	set []*http.Cookie
}

func (j *recorder) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.set = append(j.set, cookies...)
	j.CookieJar.SetCookies(u, cookies)
}

// app returns an application that mounts the login beside its own pages.
func (s *stage) app() http.Handler {
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", s.login)
	own := s.login.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, ok := oauth.FromContext(r.Context())
		if !ok {
			http.Error(w, "nobody", 500)
			return
		}
		w.Write([]byte("hello " + u.OpenID + " at " + r.URL.String()))
	}))
	mux.Handle("/my/", http.StripPrefix("/my", own))
	return mux
}

const my = "https://wx.example.com/my"

func TestRequireLogsAVisitorInForTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := browse(t, s.wx, s.app())
		p := b.open(my + "/orders?page=2&q=%E5%95%86&nonce=n&login_code=c")
		require.Equal(t, "hello "+s.wx.OpenID(appID, "ming")+" at /orders?page=2&q=%E5%95%86&nonce=n&login_code=c", p.body)
		require.Equal(t, my+"/orders?page=2&q=%E5%95%86&nonce=n&login_code=c", p.url.String(), "the page is left as it was asked for")
		for range 3 {
			require.Contains(t, b.open(my+"/").body, "hello")
		}
		require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))
		<-time.After(24 * time.Hour)
		require.Contains(t, b.open(my+"/").body, "hello")
		require.Equal(t, 2, s.wx.Calls("/sns/oauth2/access_token"), "a session lasts a day")
	})
}

func TestRequireLogsInOnlyTheBrowserThatBegan(t *testing.T) {
	s := newStage()
	s.wx.Browse("", wechattest.Deny)
	attacker, victim := browse(t, s.wx, s.app()), browse(t, s.wx, s.app())
	end := attacker.stop(back, my+"/orders")
	p := requireRefused(t, victim, end, 403, "请在原浏览器中登录")
	require.NotContains(t, p.body, "hello")
	require.Contains(t, attacker.open(end).body, "hello")

	bare := browse(t, s.wx, s.app())
	bare.hc.Jar = nil
	requireRefused(t, bare, my+"/", 403, "请在原浏览器中登录")
}

func TestRequireDoesNotSendAScriptToWeChat(t *testing.T) {
	s := newStage()
	h := s.app()
	for _, r := range []*http.Request{
		httptest.NewRequest("POST", my+"/orders", strings.NewReader("a=b")),
		httptest.NewRequest("DELETE", my+"/orders", nil),
		func() *http.Request {
			r := httptest.NewRequest("GET", my+"/orders", nil)
			r.Header.Set("Sec-Fetch-Mode", "cors")
			return r
		}(),
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, 401, w.Code)
		require.Contains(t, w.Body.String(), "请先登录")
	}
}

func TestRequireReturnsOnlyToItsOwnHost(t *testing.T) {
	s := newStage()
	b := browse(t, s.wx, s.app())
	for _, target := range []string{"/my//evil.example.net/x", "/my/%5c%5cevil.example.net", "/my/@evil.example.net", "/my/https://evil.example.net/"} {
		p := b.open("https://wx.example.com" + target)
		require.Equal(t, "wx.example.com", p.url.Host, target)
	}
	r := httptest.NewRequest("GET", "http://evil.example.net/my/", nil)
	r.RequestURI = "http://evil.example.net/my/?x=1" // as a proxy's client sends it
	w := httptest.NewRecorder()
	s.app().ServeHTTP(w, r)
	require.Equal(t, 302, w.Code)
	at, err := url.Parse(w.Header().Get("Location"))
	require.NoError(t, err)
	raw, ok, err := s.login.Store.Get(t.Context(), "oauth/"+appID+"/state/"+at.Query().Get("state"))
	require.NoError(t, err)
	require.True(t, ok)
	require.Contains(t, string(raw), `"to":"https://wx.example.com/my/?x=1",`)
	requireRefused(t, browse(t, s.wx, s.app()), my+"/"+strings.Repeat("a", 5000), 400, "too long")
}

func TestTheCookieOfRequireBelongsToTheHost(t *testing.T) {
	s := newStage()
	b := browse(t, s.wx, s.app())
	jar := &recorder{CookieJar: b.hc.Jar}
	b.hc.Jar = jar
	b.open(my + "/")
	require.NotEmpty(t, jar.set)
	session := jar.set[len(jar.set)-1]
	require.True(t, strings.HasPrefix(session.Name, "__Host-wetoken-"), session.Name)
	require.True(t, session.Secure)
	require.True(t, session.HttpOnly)
	require.Equal(t, "/", session.Path)
	require.Empty(t, session.Domain)
	require.Equal(t, http.SameSiteLaxMode, session.SameSite)
}

func TestRequireIsUnavailableWhileTheStoreIsDown(t *testing.T) {
	store := new(failingStore)
	s := newStage(func(s *stage) { s.login.Store = store })
	b := browse(t, s.wx, s.app())
	require.Contains(t, b.open(my+"/").body, "hello")
	store.setDown(true)
	requireRefused(t, b, my+"/", 503, "暂时无法登录")
	store.setDown(false)
	require.Contains(t, b.open(my+"/").body, "hello")
}

func TestASessionOfAnotherAppIsIgnored(t *testing.T) {
	s := newStage()
	b := browse(t, s.wx, s.app())
	b.open(my + "/")
	s.wx.AddApp("wxother", secret)
	other := &oauth.Login{AppID: "wxother", Secret: secret, Store: s.login.Store, URL: mount, Client: s.login.Client}
	s.login = other
	p := browse(t, s.wx, s.app()).open(my + "/")
	require.Contains(t, p.body, s.wx.OpenID("wxother", "ming"))
}

func TestTheContextHasNoUserWithoutRequire(t *testing.T) {
	_, ok := oauth.FromContext(t.Context())
	require.False(t, ok)
}
