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

// twice begins a login in b and returns both addresses that WeChat on Android sends it back to: one state, two codes.
func twice(b *browser, login string) (first, second string) {
	b.t.Helper()
	page := b.stop("https://open.weixin.qq.com/", login)
	return b.stop(back, page), b.stop(back, page)
}

func TestACallbackRequestedTwiceEndsAsTheFirst(t *testing.T) {
	for name, kind := range map[string]func(*stage){"official": func(*stage) {}, "website": website} {
		t.Run(name, func(t *testing.T) {
			s := newStage(allowing, kind)
			b := s.browser(t)
			first, second := twice(b, loginURL(shop+"?a=b", "nonce", "n1"))
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

func TestARepeatIsTheSameBrowsersAlone(t *testing.T) {
	s := newStage(allowing)
	victim := s.browser(t)
	first, second := twice(victim, loginURL(shop))
	require.Equal(t, "shop", victim.open(first).body)
	for _, end := range []string{first, second, strings.Split(second, "?")[0] + "?state=" + query(t, second, "state")} {
		refused(t, s.browser(t), end, 410, "登录链接已使用")
	}
	require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))

	thief := s.browser(t) // a login that another browser has ended is not handed to the one that began it
	first, second = twice(victim, loginURL(shop))
	require.Equal(t, "shop", thief.open(first).body)
	refused(t, victim, second, 410, "登录链接已使用")
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
		first, second := twice(b, loginURL(shop))
		p := b.open(first)
		<-time.After(29 * time.Second)
		require.Equal(t, p.url, b.open(second).url)
		<-time.After(31 * time.Second)
		refused(t, b, second, 410, "登录链接已使用")
		<-time.After(5 * time.Minute)
		refused(t, b, second, 410, "登录已过期")
	})
}

func TestALoginThatFailedFailsTheSameWayAgain(t *testing.T) {
	s := newStage(func(s *stage) { s.login.Secret = "wrong-secret" })
	b := s.browser(t)
	first, second := twice(b, loginURL(shop))
	p := returned(t, b, first, "failed")
	require.Equal(t, p.url, returned(t, b, second, "failed").url)
	require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))

	s = newStage(func(s *stage) { s.login.Secret = "wrong-secret" })
	in := browse(t, s.wx, s.app()) // of Require, which has no site to return to
	first, second = twice(in, my+"/")
	for _, end := range []string{first, second} {
		refused(t, in, end, 502, "errcode 40125")
	}
	require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))
}

func TestARepeatEndsLikeTheFirstWhereverLoginsEnd(t *testing.T) {
	t.Run("Done", func(t *testing.T) {
		s := newStage(func(s *stage) {
			s.login.Done = func(w http.ResponseWriter, r *http.Request, u oauth.User) {
				w.Write([]byte(u.OpenID + " " + r.FormValue("nonce")))
			}
		})
		b := s.browser(t)
		first, second := twice(b, loginURL(shop, "nonce", "n1"))
		require.Equal(t, s.wx.OpenID(appID, "ming")+" n1", b.open(first).body)
		require.Equal(t, s.wx.OpenID(appID, "ming")+" n1", b.open(second).body)
	})
	t.Run("Require", func(t *testing.T) {
		s := newStage()
		b := browse(t, s.wx, s.app())
		first, second := twice(b, my+"/orders")
		require.Contains(t, b.open(first).body, "hello")
		require.Contains(t, b.open(second).body, "hello")
		require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"))
	})
	t.Run("Backend", func(t *testing.T) {
		site := &backend{status: 204}
		web := httptest.NewServer(site)
		defer web.Close()
		s := newStage(func(s *stage) { s.login.Backend, s.login.SignKey = web.URL, "sign-key" })
		b := s.browser(t)
		first, second := twice(b, loginURL(shop))
		p := b.open(first)
		require.Contains(t, site.body, `"login_code":"`+p.url.Query().Get("login_code")+`"`)
		site.body = ""
		require.Equal(t, p.url, b.open(second).url)
		require.Empty(t, site.body, "the backend is told once")
	})
	t.Run("WeCom", func(t *testing.T) {
		s := newStage(wecom)
		b := s.browser(t, "User-Agent", inWeCom)
		first, second := twice(b, loginURL(shop))
		require.Equal(t, b.open(first).url, b.open(second).url)
	})
}

// slow answers WeChat's calls once go is closed, and says that one has come.
type slow struct {
	http.RoundTripper
	come, gate chan struct{}
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.come <- struct{}{}
	select {
	case <-s.gate:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return s.RoundTripper.RoundTrip(r)
}

func TestTheExchangeOutlivesTheBrowsersConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := &slow{come: make(chan struct{}, 9), gate: make(chan struct{})}
		s := newStage(func(s *stage) {
			way.RoundTripper = s.wx.Client().Transport
			s.login.Client = &wechat.Client{HTTP: &http.Client{Transport: way}}
		})
		other := &oauth.Login{AppID: appID, Secret: secret, Store: s.login.Store, URL: door, Hosts: s.login.Hosts, Client: s.login.Client}
		b := s.browser(t)
		first, second := twice(b, loginURL(shop))
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
		leave() // a reload: the browser asks again, and gets to another process
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

// leaving is a store whose reader goes away while its state is marked as used.
type leaving struct {
	store.Memory
	leave func()
}

func (l *leaving) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if strings.Contains(key, "/state/") {
		l.leave()
	}
	swapped, err := l.Memory.Swap(ctx, key, old, new, ttl)
	return swapped, errors.Join(err, ctx.Err())
}

func TestABrowserThatLeavesWhileItsStateIsTakenLosesNothing(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	s := newStage(func(s *stage) { s.login.Store = &leaving{leave: leave} })
	b := s.browser(t)
	first, second := twice(b, loginURL(shop))
	r, err := http.NewRequestWithContext(ctx, "GET", first, nil)
	require.NoError(t, err)
	_, err = serve(ctx, b.hc.Jar, s.handler(), r)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.login.Redeem(t.Context(), b.open(second).url.Query().Get("login_code"))
	require.NoError(t, err)
}

// serve hands a handler a request with the cookies of a browser.
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
		way := &slow{come: make(chan struct{}, 9), gate: make(chan struct{})}
		s := newStage(func(s *stage) { s.login.Client = &wechat.Client{HTTP: &http.Client{Transport: way}} })
		b := s.browser(t)
		first, second := twice(b, loginURL(shop))
		start := time.Now()
		returned(t, b, first, "failed")
		require.LessOrEqual(t, time.Since(start), 21*time.Second)
		returned(t, b, second, "failed")
	})
}

func TestAProcessThatDiesWithALoginLeavesItFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := s.browser(t)
		first, second := twice(b, loginURL(shop))
		dead := &frozen{Memory: s.login.Store.(*store.Memory)}
		at := s.login.Store
		s.login.Store = dead // which takes the state, and never says how it ended
		require.Equal(t, "shop", b.open(first).body)
		s.login.Store = at
		start := time.Now()
		returned(t, b, second, "failed")
		require.LessOrEqual(t, time.Since(start), 26*time.Second)
	})
}

// frozen is a store that takes no more states.
type frozen struct{ *store.Memory }

func (f *frozen) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if strings.Contains(key, "/state/") {
		return errDown
	}
	return f.Memory.Set(ctx, key, value, ttl)
}

func TestCallbacksOfOneBrowserAtOnceEndAlike(t *testing.T) {
	s := newStage()
	b := s.browser(t)
	first, _ := twice(b, loginURL(shop))
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

func TestTheStoreHoldsNoLoginCodeOfARepeat(t *testing.T) {
	s := newStage()
	code := s.browser(t).open(loginURL(shop)).url.Query().Get("login_code")
	for key, err := range s.login.Store.Keys(t.Context(), "") {
		require.NoError(t, err)
		raw, _, err := s.login.Store.Get(t.Context(), key)
		require.NoError(t, err)
		require.NotContains(t, string(raw), code)
	}
}

func TestACookieOfALoginDoesNotOutliveItsEnd(t *testing.T) {
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
