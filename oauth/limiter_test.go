package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

// requestFrom sends a request to the mounted routes as a browser at an address.
func requestFrom(p wetoken.Part, address, page string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", page, nil)
	r.RemoteAddr = address
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	wetoken.Handler(p).ServeHTTP(w, r)
	return w
}

// waitForMinute waits until a minute begins.
func waitForMinute() {
	<-time.After(time.Minute - time.Duration(time.Now().UnixNano())%time.Minute)
}

const sharedAddress = "203.0.113.7:1000" // an address that thousands of users of a company or a carrier share

func TestThousandsBehindOneAddressAllLogInWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waitForMinute()
		s := newStage(allowConsent)
		wx, m := newMini()
		start := time.Now()
		for i := range 5000 {
			w := requestFrom(s.login, sharedAddress, "/login?to="+url.QueryEscape(shop))
			require.Equal(t, 302, w.Code)
			resp, err := (&http.Client{Transport: s.wx.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			}}).Get(w.Header().Get("Location"))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			back := strings.TrimPrefix(resp.Header.Get("Location"), mount)
			w = requestFrom(s.login, sharedAddress, back)
			require.Equal(t, 302, w.Code, w.Body)
			require.Contains(t, w.Header().Get("Location"), "login_code=")

			user := fmt.Sprint("user", i)
			wx.AddPerson(wechattest.Person{Name: user})
			w = postFrom(sharedAddress, m, "/session", `{"code":"`+wx.MiniCode(appID, user)+`"}`)
			require.Equal(t, 200, w.Code, w.Body)
		}
		require.Less(t, time.Since(start), time.Minute)
	})
}

func TestLoginsAreLimitedByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waitForMinute()
		s := newStage()
		s.login.Limit = 3
		for _, page := range []string{"/login?to=" + url.QueryEscape(shop), "/login/callback?code=x&state=" + strings.Repeat("0", 32)} {
			for i := range 5 {
				w := requestFrom(s.login, sharedAddress, page)
				require.Equal(t, i >= 3, w.Code == 429, page)
				if w.Code == 429 {
					require.Equal(t, "60", w.Header().Get("Retry-After"))
					require.Contains(t, w.Body.String(), "登录过于频繁")
				}
			}
			require.NotEqual(t, 429, requestFrom(s.login, "203.0.113.8:1", page).Code)
			require.Equal(t, 429, requestFrom(s.login, "[::ffff:203.0.113.7]:1", page).Code)
		}
		<-time.After(time.Minute)
		require.Equal(t, 302, requestFrom(s.login, sharedAddress, "/login?to="+url.QueryEscape(shop)).Code)
	})
}

func TestPrivateAddressesAreNotLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waitForMinute()
		s := newStage()
		_, m := newMini()
		s.login.Limit, m.Limit = 3, 3
		for _, address := range []string{"10.1.2.3:1", "192.168.0.1:1", "172.16.0.1:1", "100.64.0.1:1", "127.0.0.1:1", "[::1]:1", "[fd00::1]:1"} {
			for range 10 {
				require.Equal(t, 302, requestFrom(s.login, address, "/login?to="+url.QueryEscape(shop)).Code, address)
				require.Equal(t, 400, postFrom(address, m, "/session", `{}`).Code, address)
			}
		}
	})
}

func TestABrowserInARedirectLoopIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waitForMinute()
		s := newStage()
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		home, err := url.Parse(mount)
		require.NoError(t, err)
		begin := func(cookies []*http.Cookie) *httptest.ResponseRecorder {
			w := requestFrom(s.login, "10.0.0.1:1", "/login?to="+url.QueryEscape(shop), cookies...)
			jar.SetCookies(home, w.Result().Cookies())
			return w
		}
		require.Equal(t, 302, begin(nil).Code, "which gives it a cookie")
		for range 20 {
			require.Equal(t, 302, begin(jar.Cookies(home)).Code)
		}
		require.Equal(t, 429, begin(jar.Cookies(home)).Code)
		require.Equal(t, 302, requestFrom(s.login, "10.0.0.1:1", "/login?to="+url.QueryEscape(shop)).Code, "another browser")
		<-time.After(time.Minute)
		require.Equal(t, 302, begin(jar.Cookies(home)).Code)
	})
}

func TestMadeUpCookiesDoNotBlockOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waitForMinute()
		s := newStage()
		s.login.Store = discardStore{new(store.Memory)}
		h := s.login.Routes()["GET /login"]
		r := httptest.NewRequest("GET", "/login?to="+url.QueryEscape(shop), nil)
		r.RemoteAddr = "10.0.0.1:1"
		for i := range 105_000 {
			r.Header.Set("Cookie", fmt.Sprintf("__Host-wetoken-browser=%d", i))
			w := &status{header: http.Header{}}
			h.ServeHTTP(w, r)
			if w.code != 302 {
				t.Fatal("refused", i)
			}
		}
	})
}

// discardStore is a store that discards states.
type discardStore struct{ *store.Memory }

func (discardStore) Set(context.Context, string, []byte, time.Duration) error { return nil }

func TestStatesOfStrangersTakeBoundedSpaceInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waitForMinute()
		s := newStage()
		s.login.Store = discardStore{new(store.Memory)}
		long := "/login?to=" + url.QueryEscape(shop+strings.Repeat("x", 1900))
		begun := 0
		for requestFrom(s.login, "10.0.0.1:1", long).Code == 302 {
			if begun++; begun > 100_000 {
				t.Fatal("there is no end")
			}
		}
		require.InDelta(t, 64<<20/(1900+256), begun, 1000)
		<-time.After(time.Minute)
		require.Equal(t, 302, requestFrom(s.login, "10.0.0.1:1", long).Code)

		one := 0 // the limit by address must not be reached
		for requestFrom(s.login, sharedAddress, long).Code == 302 {
			one++
		}
		require.Less(t, one, begun/2)
		require.Equal(t, 302, requestFrom(s.login, "203.0.113.8:1", long).Code)
	})
}
