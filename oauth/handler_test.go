package oauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechattest"
)

// post sends JSON to the mounted routes.
func post(p wetoken.Part, path, body string) *httptest.ResponseRecorder {
	return postFrom("192.0.2.1:1234", p, path, body)
}

func postFrom(address string, p wetoken.Part, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.RemoteAddr = address
	w := httptest.NewRecorder()
	wetoken.Handler(p).ServeHTTP(w, r)
	return w
}

func open(next http.Handler) http.Handler { return next }

func TestTheSitesServerRedeemsALogin(t *testing.T) {
	s := newStage(allowConsent)
	code := s.browser(t).open(loginURL(shop, "scope", "snsapi_userinfo", "nonce", "n1")).url.Query().Get("login_code")
	private := &oauth.Handler{Source: s.login, Guard: open}
	w := post(private, "/login/redeem", `{"login_code":"`+code+`"}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.JSONEq(t, fmt.Sprintf(`{"openid":%q,"unionid":%q,"nickname":"小明","to":"https://shop.example.com","nonce":"n1"}`, s.wx.OpenID(appID, "ming"), s.wx.UnionID("platform", "ming")), w.Body.String())

	w = post(private, "/login/redeem", `{"login_code":"`+code+`"}`)
	require.Equal(t, 404, w.Code)
	require.JSONEq(t, `{"errcode":404,"errmsg":"oauth: login_code is unknown, expired or already redeemed"}`, w.Body.String())
}

func TestRedeemReturnsTheSiteThatGotTheLoginCode(t *testing.T) {
	s := newStage(func(s *stage) { s.login.Hosts = []string{"shop.example.com", "blog.example.net"} })
	for to, site := range map[string]string{
		"https://blog.example.net/cb?to=" + shop: "https://blog.example.net", "HTTPS://Shop.Example.com:443/#x": "https://shop.example.com",
	} {
		code := s.browser(t).open(loginURL(to)).url.Query().Get("login_code")
		w := post(&oauth.Handler{Source: s.login, Guard: open}, "/login/redeem", `{"login_code":"`+code+`"}`)
		var u oauth.User
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &u))
		require.Equal(t, site, u.To)
	}
}

func TestALoginCodeIsRedeemedOnceByManyAtOnce(t *testing.T) {
	c := new(crowdedStore)
	s := newStage(func(s *stage) { s.login.Store = c })
	code := s.browser(t).open(loginURL(shop)).url.Query().Get("login_code")
	c.about = "/code/"
	c.all.Add(32)
	done := make(chan error)
	for range 32 {
		go func() {
			_, err := s.login.Redeem(t.Context(), code)
			done <- err
		}()
	}
	won := 0
	for range 32 {
		if err := <-done; err == nil {
			won++
		} else {
			require.ErrorIs(t, err, oauth.ErrLoginCode)
		}
	}
	require.Equal(t, 1, won)
}

func TestAHandlerWithoutAGuardRefusesAll(t *testing.T) {
	_, m := newMini()
	for _, source := range []oauth.Source{newStage().login, m} {
		w := post(&oauth.Handler{Source: source}, "/login/redeem", `{"login_code":"x"}`)
		require.Equal(t, 403, w.Code)
		require.Contains(t, w.Body.String(), "Guard")
	}
	require.Equal(t, 403, post(&oauth.Handler{Source: m}, "/phone", `{"code":"x"}`).Code)
}

func TestInvalidBodiesToRedeemAreNamed(t *testing.T) {
	private := &oauth.Handler{Source: newStage().login, Guard: open}
	for body, status := range map[string]int{"": 400, "x": 400, "[]": 400, `{"login_code":1}`: 400, "{}": 404, `{"login_code":"` + strings.Repeat("a", 8<<10) + `"}`: 413} {
		require.Equal(t, status, post(private, "/login/redeem", body).Code, "%.20s", body)
	}
	require.Equal(t, 404, post(private, "/phone", `{"code":"x"}`).Code, "a web login has no phone numbers")
}

func TestWhileTheStoreIsDownRedeemingIsUnavailable(t *testing.T) {
	b := new(failingStore)
	s := newStage(func(s *stage) { s.login.Store = b })
	code := s.browser(t).open(loginURL(shop)).url.Query().Get("login_code")
	b.setDown(true)
	private := &oauth.Handler{Source: s.login, Guard: open}
	require.Equal(t, 503, post(private, "/login/redeem", `{"login_code":"`+code+`"}`).Code)
	b.setDown(false)
	require.Equal(t, 200, post(private, "/login/redeem", `{"login_code":"`+code+`"}`).Code)
}

func TestAMiniProgramsLoginCodeIsRedeemedByItsServer(t *testing.T) {
	wx, m := newMini()
	w := post(m, "/session", `{"code":"`+wx.MiniCode(appID, "ming")+`"}`)
	require.Equal(t, 200, w.Code, w.Body)
	var a struct {
		LoginCode string `json:"login_code"`
		ExpiresIn int    `json:"expires_in"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	require.Equal(t, 300, a.ExpiresIn)
	w = post(&oauth.Handler{Source: m, Guard: open}, "/login/redeem", `{"login_code":"`+a.LoginCode+`"}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.Contains(t, w.Body.String(), wx.OpenID(appID, "ming"))
	_, err := m.Redeem(t.Context(), a.LoginCode)
	require.ErrorIs(t, err, oauth.ErrLoginCode)
}

func TestAnInvalidCodeOfAMiniProgramIsABadRequest(t *testing.T) {
	wx, m := newMini()
	wx.AddPerson(wechattest.Person{Name: "blocked", Blocked: true})
	for body, code := range map[string]int{
		`{"code":"made-up"}`: 40029, `{"code":"` + wx.MiniCode(appID, "blocked") + `"}`: 40226,
	} {
		w := post(m, "/session", body)
		require.Equal(t, 400, w.Code)
		require.Contains(t, w.Body.String(), fmt.Sprintf(`{"errcode":%d,`, code))
	}
	for body, status := range map[string]int{"": 400, "{}": 400, `{"code":""}`: 400, `{"code":"` + strings.Repeat("c", 600) + `"}`: 400, `{"code":"` + strings.Repeat("c", 8<<10) + `"}`: 413} {
		require.Equal(t, status, post(m, "/session", body).Code)
	}
}

func TestStrangersDoNotSeeErrorsOfTheApp(t *testing.T) {
	wx, m := newMini()
	m.Secret = "wrong-secret"
	w := post(m, "/session", `{"code":"`+wx.MiniCode(appID, "ming")+`"}`)
	require.Equal(t, 502, w.Code)
	require.JSONEq(t, `{"errcode":40125,"errmsg":"oauth: not logged in: WeChat refused: the server's log has more"}`, w.Body.String())
	wx.AddFault(wechattest.Fault{Cut: true})
	w = post(m, "/session", `{"code":"x"}`)
	require.Equal(t, 503, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}

func TestSessionsAreLimitedByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, m := newMini()
		m.Limit = 3
		ask := func(address string) int {
			return postFrom(address, m, "/session", `{"code":"`+wx.MiniCode(appID, "ming")+`"}`).Code
		}
		<-time.After(time.Duration(60-time.Now().Unix()%60) * time.Second)
		for i := range 5 {
			want := 200
			if i >= 3 {
				want = 429
			}
			require.Equal(t, want, ask("192.0.2.1:1000"))
			require.Equal(t, want, ask(fmt.Sprintf("[2001:db8::%d]:1000", i)), "64 bits of IPv6 are one customer")
		}
		require.Equal(t, 6, wx.Calls("/sns/jscode2session"))
		require.Equal(t, 200, ask("192.0.2.2:1000"))
		require.Equal(t, 429, ask("[::ffff:192.0.2.1]:1"))
		<-time.After(time.Minute)
		require.Equal(t, 200, ask("192.0.2.1:1000"))
	})
}

// status is an answer of which only the status is kept.
type status struct {
	header http.Header
	code   int
}

func (s *status) Header() http.Header         { return s.header }
func (s *status) Write(b []byte) (int, error) { return len(b), nil }
func (s *status) WriteHeader(code int)        { s.code = code }

func TestManyAddressesTakeBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // within one minute
		_, m := newMini()
		m.Limit = 3
		h := m.Routes()["POST /session"]
		r := httptest.NewRequest("POST", "/session", nil)
		ask := func(i int) int {
			r.RemoteAddr = netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}).String()
			w := &status{header: http.Header{}}
			h.ServeHTTP(w, r)
			return w.code
		}
		for i := range 100_000 {
			if ask(i) != 400 {
				t.Fatal("refused", i)
			}
		}
		require.Equal(t, 400, ask(7), "earlier addresses are still counted")
		let := 0
		for i := range 10_000 {
			if ask(100_000+i) == 400 {
				let++
			}
		}
		require.LessOrEqual(t, let, 3*1024, "the rest share 1024 counts")
		require.Greater(t, let, 2*1024, "and do not all wait for each other")
	})
}

func TestTheMiniProgramsServerAsksForAPhoneNumber(t *testing.T) {
	wx, m := newMini()
	private := &oauth.Handler{Source: m, Guard: open}
	w := post(private, "/phone", `{"code":"`+wx.PhoneCode(appID, "ming")+`"}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.JSONEq(t, `{"phoneNumber":"13800138000","purePhoneNumber":"13800138000","countryCode":"86"}`, w.Body.String())
	w = post(private, "/phone", `{"code":"made-up"}`)
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), `{"errcode":40029,`)
	require.Contains(t, w.Body.String(), "press the getPhoneNumber button again")
	require.NotContains(t, w.Body.String(), "login again")
	w = post(private, "/phone", `{"code":"`+wx.PhoneCode(appID, "ming")+`","openid":"oSomebodyElse"}`)
	require.Equal(t, 400, w.Code)
	for _, body := range []string{"", "{}", `{"code":"c","openid":"` + strings.Repeat("o", 200) + `"}`} {
		require.Equal(t, 400, post(private, "/phone", body).Code)
	}
	wx.AddFault(wechattest.Fault{Cut: true})
	require.Equal(t, 503, post(private, "/phone", `{"code":"c"}`).Code)
}

// phoneCounter is a Source of an application that counts calls of Phone.
type phoneCounter struct {
	*oauth.Mini
	phones int
}

func (w *phoneCounter) Phone(ctx context.Context, code, openID string) (oauth.Phone, error) {
	w.phones++
	return w.Mini.Phone(ctx, code, openID)
}

func TestASourceOfAnApplicationHasPhoneNumbersToo(t *testing.T) {
	wx, m := newMini()
	source := &phoneCounter{Mini: m}
	w := post(&oauth.Handler{Source: source, Guard: open}, "/phone", `{"code":"`+wx.PhoneCode(appID, "ming")+`"}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, 1, source.phones)
}

func TestVerificationFilesAreServedAtTheRoot(t *testing.T) {
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/", oauth.VerifyFiles{"MP_verify_abc.txt": "abc", "WW_verify_x-1.txt": "<b>", "../secret.txt": "s", "{file}.txt": "s", "a b.txt": "s", "index.html": "s"})
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	require.Equal(t, "abc", get("/MP_verify_abc.txt").Body.String())
	require.Equal(t, "text/plain; charset=utf-8", get("/WW_verify_x-1.txt").Header().Get("Content-Type"))
	require.Equal(t, "nosniff", get("/WW_verify_x-1.txt").Header().Get("X-Content-Type-Options"))
	for _, path := range []string{"/", "/index.html", "/secret.txt", "/anything.txt", "/MP_verify_abc.txt/x"} {
		require.Equal(t, 404, get(path).Code, path)
	}
}

func TestANewLoginIsAdvisedOnlyIfItHelps(t *testing.T) {
	wx, m := newMini()
	wx.AddPerson(wechattest.Person{Name: "blocked", Blocked: true})
	wx.AddPerson(wechattest.Person{Name: "ming"})
	log := captureLog(t)
	w := post(m, "/session", `{"code":"`+wx.MiniCode(appID, "blocked")+`"}`)
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "risk control")
	require.NotContains(t, w.Body.String(), "again")
	require.Empty(t, log.String())
	for code, want := range map[int]int{45011: 429, -1: 503} {
		wx.ClearFaults()
		wx.AddFault(wechattest.Fault{Path: "/sns/jscode2session", Code: code})
		w = post(m, "/session", `{"code":"`+wx.MiniCode(appID, "ming")+`"}`)
		require.Equal(t, want, w.Code, w.Body)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		require.Contains(t, w.Body.String(), fmt.Sprintf(`{"errcode":%d,`, code))
		require.NotContains(t, w.Body.String(), "wx.login")
	}
	wx.ClearFaults()
	wx.AddFault(wechattest.Fault{Path: "/wxa/business/getuserphonenumber", Code: 45011})
	w = post(&oauth.Handler{Source: m, Guard: open}, "/phone", `{"code":"`+wx.PhoneCode(appID, "ming")+`"}`)
	require.Equal(t, 429, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}
