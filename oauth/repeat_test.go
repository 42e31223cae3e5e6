package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// returnTwice begins a login in b and returns both addresses to which WeChat on Android sends it back: one state, two
// codes.
func returnTwice(b *browser, login string) (first, second string) {
	b.t.Helper()
	page := b.stop("https://open.weixin.qq.com/", login)
	return b.stop(back, page), b.stop(back, page)
}

func TestACallbackRequestedTwiceEndsAsTheFirst(t *testing.T) {
	for name, kind := range map[string]func(*stage){"official": func(*stage) {}, "website": website} {
		t.Run(name, func(t *testing.T) {
			s := newStage(allowConsent, kind)
			b := s.browser(t)
			first, second := returnTwice(b, loginURL(shop+"?a=b", "nonce", "n1"))
			require.NotEqual(t, first, second)
			p := b.open(first)
			require.Equal(t, "shop", p.body)
			require.Equal(t, p.url, b.open(second).url)
			require.Equal(t, p.url, b.open(first).url)
			require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"), "the second code is not exchanged")

			u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
			require.NoError(t, err)
			require.Equal(t, "n1", u.Nonce)
			require.Equal(t, p.url, b.open(second).url)
			_, err = s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
			require.ErrorIs(t, err, oauth.ErrLoginCode, "a repeat gives no second use")
		})
	}
}

func TestARepeatWorksInTheSameBrowserOnly(t *testing.T) {
	s := newStage(allowConsent)
	victim := s.browser(t)
	first, second := returnTwice(victim, loginURL(shop))
	require.Equal(t, "shop", victim.open(first).body)
	for _, end := range []string{first, second, strings.Split(second, "?")[0] + "?state=" + query(t, second, "state")} {
		requireRefused(t, s.browser(t), end, 410, "登录链接已使用")
	}
	require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))

	thief := s.browser(t) // a login that another browser has finished is not given to the one that began it
	first, second = returnTwice(victim, loginURL(shop))
	require.Equal(t, "shop", thief.open(first).body)
	requireRefused(t, victim, second, 410, "登录链接已使用")
}

func query(t *testing.T, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.Query().Get(name)
}

func TestARepeatIsAnsweredForHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := s.browser(t)
		first, second := returnTwice(b, loginURL(shop))
		p := b.open(first)
		<-time.After(29 * time.Second)
		require.Equal(t, p.url, b.open(second).url)
		<-time.After(31 * time.Second)
		requireRefused(t, b, second, 410, "登录链接已使用")
		<-time.After(5 * time.Minute)
		requireRefused(t, b, second, 410, "登录已过期")
	})
}

func TestARepeatOfAFailedLoginFailsTheSameWay(t *testing.T) {
	s := newStage(func(s *stage) { s.login.Secret = "wrong-secret" })
	b := s.browser(t)
	first, second := returnTwice(b, loginURL(shop))
	p := requireReturned(t, b, first, "failed")
	require.Equal(t, p.url, requireReturned(t, b, second, "failed").url)
	require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))

	s = newStage(func(s *stage) { s.login.Secret = "wrong-secret" })
	in := browse(t, s.wx, s.app()) // of Require, which has no site to return to
	first, second = returnTwice(in, my+"/")
	for _, end := range []string{first, second} {
		requireRefused(t, in, end, 502, "errcode 40125")
	}
	require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))
}

func TestARepeatEndsLikeTheFirstForEachKindOfEnd(t *testing.T) {
	t.Run("OnLogin", func(t *testing.T) {
		s := newStage(func(s *stage) {
			s.login.OnLogin = func(w http.ResponseWriter, r *http.Request, u oauth.User) {
				w.Write([]byte(u.OpenID + " " + r.FormValue("nonce")))
			}
		})
		b := s.browser(t)
		first, second := returnTwice(b, loginURL(shop, "nonce", "n1"))
		require.Equal(t, s.wx.OpenID(appID, "ming")+" n1", b.open(first).body)
		require.Equal(t, s.wx.OpenID(appID, "ming")+" n1", b.open(second).body)
	})
	t.Run("Require", func(t *testing.T) {
		s := newStage()
		b := browse(t, s.wx, s.app())
		first, second := returnTwice(b, my+"/orders")
		require.Contains(t, b.open(first).body, "hello")
		require.Contains(t, b.open(second).body, "hello")
		require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))
	})
	t.Run("BackendURL", func(t *testing.T) {
		site := &backend{status: 204}
		web := httptest.NewServer(site)
		defer web.Close()
		s := newStage(func(s *stage) { s.login.BackendURL, s.login.SignKey = web.URL, "sign-key" })
		b := s.browser(t)
		first, second := returnTwice(b, loginURL(shop))
		p := b.open(first)
		require.Contains(t, site.body, `"login_code":"`+p.url.Query().Get("login_code")+`"`)
		site.body = ""
		require.Equal(t, p.url, b.open(second).url)
		require.Empty(t, site.body, "the backend is notified once")
	})
	t.Run("WeCom", func(t *testing.T) {
		s := newStage(wecom)
		b := s.browser(t, "User-Agent", inWeCom)
		first, second := returnTwice(b, loginURL(shop))
		require.Equal(t, b.open(first).url, b.open(second).url)
	})
}

// slowTransport answers WeChat's calls when gate is closed, and reports on come that one has arrived.
type slowTransport struct {
	http.RoundTripper
	come, gate chan struct{}
}

func (s *slowTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	s.come <- struct{}{}
	select {
	case <-s.gate:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return s.RoundTripper.RoundTrip(r)
}

func TestTheExchangeContinuesAfterTheBrowserDisconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := &slowTransport{come: make(chan struct{}, 9), gate: make(chan struct{})}
		s := newStage(func(s *stage) {
			way.RoundTripper = s.wx.Client().Transport
			s.login.Client = &wechat.Client{HTTP: &http.Client{Transport: way}}
		})
		other := &oauth.Login{AppID: appID, Secret: secret, Store: s.login.Store, URL: mount, Hosts: s.login.Hosts, Client: s.login.Client}
		b := s.browser(t)
		first, second := returnTwice(b, loginURL(shop))
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			r, err := http.NewRequestWithContext(ctx, "GET", first, nil)
			if err == nil {
				_, err = serve(ctx, b.hc.Jar, s.handler(), r)
			}
			gone <- err
		}()
		<-way.come
		leave() // a reload: the browser repeats the request, to another process
		b2 := browse(t, s.wx, (&stage{s.wx, other}).handler())
		b2.hc.Jar = b.hc.Jar
		ends := make(chan page)
		go func() { ends <- b2.open(second) }()
		<-time.After(5 * time.Second)
		close(way.gate)
		p := <-ends
		<-gone
		require.Equal(t, "shop", p.body)
		u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
		require.NoError(t, err)
		require.Equal(t, s.wx.OpenID(appID, "ming"), u.OpenID)
		require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))
	})
}

// leavingStore cancels the request while its state is marked as used.
type leavingStore struct {
	store.Memory
	leave func()
}

func (l *leavingStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if strings.Contains(key, "/state/") {
		l.leave()
	}
	swapped, err := l.Memory.Swap(ctx, key, old, new, ttl)
	return swapped, errors.Join(err, ctx.Err())
}

func TestABrowserThatLeavesWhileItsStateIsConsumedMayRepeat(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	s := newStage(func(s *stage) { s.login.Store = &leavingStore{leave: leave} })
	b := s.browser(t)
	first, second := returnTwice(b, loginURL(shop))
	r, err := http.NewRequestWithContext(ctx, "GET", first, nil)
	require.NoError(t, err)
	_, err = serve(ctx, b.hc.Jar, s.handler(), r)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.login.Redeem(t.Context(), b.open(second).url.Query().Get("login_code"))
	require.NoError(t, err)
}

// serve sends a handler a request with the cookies of a browser.
func serve(ctx context.Context, jar http.CookieJar, h http.Handler, r *http.Request) (*httptest.ResponseRecorder, error) {
	for _, c := range jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, ctx.Err()
}

func TestAnExchangeWithoutAnAnswerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := &slowTransport{come: make(chan struct{}, 9), gate: make(chan struct{})}
		s := newStage(func(s *stage) { s.login.Client = &wechat.Client{HTTP: &http.Client{Transport: way}} })
		b := s.browser(t)
		first, second := returnTwice(b, loginURL(shop))
		start := time.Now()
		requireReturned(t, b, first, "failed")
		require.LessOrEqual(t, time.Since(start), 21*time.Second)
		requireReturned(t, b, second, "failed")
	})
}

func TestALoginFailsIfItsProcessDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := s.browser(t)
		first, second := returnTwice(b, loginURL(shop))
		dead := &frozenStore{Memory: s.login.Store.(*store.Memory)}
		at := s.login.Store
		s.login.Store = dead // which consumes the state, and never stores an outcome
		require.Equal(t, "shop", b.open(first).body)
		s.login.Store = at
		start := time.Now()
		requireReturned(t, b, second, "failed")
		require.LessOrEqual(t, time.Since(start), 26*time.Second)
	})
}

// frozenStore is a store that discards states.
type frozenStore struct{ *store.Memory }

func (f *frozenStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if strings.Contains(key, "/state/") {
		return errDown
	}
	return f.Memory.Set(ctx, key, value, ttl)
}

func TestConcurrentCallbacksOfABrowserEndAlike(t *testing.T) {
	s := newStage()
	b := s.browser(t)
	first, _ := returnTwice(b, loginURL(shop))
	h := s.handler()
	var wg sync.WaitGroup
	to := make([]string, 16)
	for i := range to {
		wg.Go(func() {
			w, _ := serve(t.Context(), b.hc.Jar, h, httptest.NewRequest("GET", first, nil))
			to[i] = w.Header().Get("Location")
		})
	}
	wg.Wait()
	for _, address := range to {
		require.Equal(t, to[0], address)
	}
	_, err := s.login.Redeem(t.Context(), query(t, to[0], "login_code"))
	require.NoError(t, err)
	require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))
}

func TestTheStoreHasNoLoginCodeForARepeat(t *testing.T) {
	s := newStage()
	code := s.browser(t).open(loginURL(shop)).url.Query().Get("login_code")
	for key, err := range s.login.Store.Keys(t.Context(), "") {
		require.NoError(t, err)
		raw, _, err := s.login.Store.Get(t.Context(), key)
		require.NoError(t, err)
		require.NotContains(t, string(raw), code)
	}
}

func TestTheCookieOfALoginExpiresAfterItsEnd(t *testing.T) {
	s := newStage()
	b := s.browser(t)
	jar := &recorder{CookieJar: b.hc.Jar}
	b.hc.Jar = jar
	b.open(loginURL(shop))
	set := slices.DeleteFunc(jar.set, func(c *http.Cookie) bool { return !strings.Contains(c.Name, "wetoken-login") })
	require.Len(t, set, 2)
	require.Equal(t, set[0].Name, set[1].Name)
	require.Equal(t, 600, set[0].MaxAge)
	require.Equal(t, 30, set[1].MaxAge)
}
