package handlers_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/sms"
)

const mobile = "13800138000"

// requireState requires an answer with a status, which is a number or false, and a text.
func requireState(t *testing.T, want any, a answer) {
	t.Helper()
	if n, ok := want.(int); ok {
		want = float64(n)
	}
	require.Equal(t, want, a.fields["status"], a.text)
	require.NotEmpty(t, a.fields["msg"], a.text)
	require.Equal(t, a.fields["msg"], a.fields["message"])
	require.Equal(t, "application/json; charset=utf-8", a.header.Get("Content-Type"))
}

func TestRegistrationsAreAnsweredInBothFormsOfTheOldProgram(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s := newServer(t, name)
		registration := func(path, username, password, repeat, code string) answer {
			body := form("username", username, "password", password, "mobile", mobile, "smsCode", code)
			if repeat != "" {
				body += "&" + form("repeat_password", repeat)
			}
			return s.send(t, "POST", path, body)
		}
		for _, c := range []struct {
			path, username, password, repeat string
			status                           any
			http                             int
		}{
			{"/register", "al", "abc123", "abc123", false, 200},
			{"/register", "alice", "abc123", "", false, 200},
			{"/register", "alice", "abc123", "abc124", false, 200},
			{"/register", "alice", "ab", "ab", false, 200},
			{"/register", "alice", "abcdefghij12345678901", "abcdefghij12345678901", false, 200},
			{"/user/register", "al", "abc123", "", false, 400},
			{"/user/register", "alice", "abc12", "", false, 400},
			{"/user/register", "alice", "abc12", "abc", false, 200},
		} {
			a := registration(c.path, c.username, c.password, c.repeat, "1234")
			requireState(t, c.status, a)
			require.Equal(t, c.http, a.http)
		}
		for _, body := range []string{
			form("username", "alice", "password", "abc123", "repeat_password", "abc123", "mobile", mobile),
			`{"username":"alice","password":"abc123","repeat_password":"abc123","mobile":"13800138000"}`,
			form("username", "alice", "password", "abc123", "repeat_password", "abc123", "mobile", mobile, "smsCode", "1234"), // none was sent
			"",
		} {
			a := s.send(t, "POST", "/register", body)
			requireState(t, false, a)
			require.Equal(t, 200, a.http)
		}
		require.Zero(t, s.count(t, "user"))

		code := s.code(t, mobile)
		requireState(t, false, registration("/register", "alice", "abc123", "abc123", shoptest.Wrong(code)))
		requireState(t, 200, registration("/register", "alice", "abc123", "abc123", code))
		requireState(t, false, registration("/register", "alice2", "abc123", "abc123", code))
		code = s.code(t, "13900139000")
		taken := form("username", "alice", "password", "abc123", "mobile", "13900139000", "smsCode", code)
		a := s.send(t, "POST", "/register", taken+"&repeat_password=abc123")
		requireState(t, 1000, a)
		require.Equal(t, 200, a.http)
		a = s.send(t, "POST", "/user/register", taken)
		requireState(t, 0, a)
		require.Equal(t, "用户已存在，可直接登录", a.fields["message"])
		a = s.send(t, "POST", "/User/Register", fmt.Sprintf(`{"username":"bob","password":"abc123","mobile":13900139000,"smsCode":%s}`, code))
		requireState(t, 200, a)
		require.Equal(t, 2, s.count(t, "user"))
	})
}

func TestALoginHasWhatClientsOfAllVersionsRead(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s := newServer(t, name)
		s.register(t, "alice", mobile)
		for _, path := range []string{"/login", "/user/login", "/User/LOGIN"} {
			for _, body := range []string{form("username", "alice", "password", "abc123"), `{"username":"alice","password":"abc123"}`} {
				a := s.send(t, "POST", path, body)
				requireState(t, 200, a)
				require.Equal(t, 200.0, a.fields["code"])
				require.Equal(t, mobile, a.fields["mobile"])
				require.Equal(t, map[string]any{"username": "alice", "mobile": mobile}, a.fields["userInfo"])
				require.Equal(t, "no-store", a.header.Get("Cache-Control"))
				require.NotContains(t, a.text, "abc123")
				token := a.fields["token"].(string)
				require.Equal(t, 200, s.send(t, "GET", "/order", "", bearer(token)).http)

				cookies := (&http.Response{Header: a.header}).Cookies()
				require.Len(t, cookies, 1)
				require.Equal(t, token, cookies[0].Value)
				require.True(t, cookies[0].HttpOnly)
				require.Equal(t, http.SameSiteLaxMode, cookies[0].SameSite)
				require.Equal(t, 36*3600, cookies[0].MaxAge)
				require.Equal(t, 200, s.send(t, "GET", "/order", "", func(r *http.Request) { r.AddCookie(cookies[0]) }).http)
			}
		}
		for path, status := range map[string]int{"/login": 1010, "/user/login": 0} {
			for _, body := range []string{form("username", "alice", "password", "abc124"), form("username", "nobody", "password", "abc123"), "", `{}`} {
				a := s.send(t, "POST", path, body)
				requireState(t, status, a)
				require.Equal(t, 200, a.http)
				require.Equal(t, "请检查用户名和密码是否正确", a.fields["message"])
				require.NotContains(t, a.fields, "token")
				require.Empty(t, a.header.Get("Set-Cookie"))
			}
		}
	})
}

func TestLoginsThatAreTooManyAreRefused(t *testing.T) {
	s := newServer(t, t.TempDir()+"/shop.db")
	s.register(t, "alice", mobile)
	for range 10 {
		requireState(t, 1010, s.send(t, "POST", "/login", form("username", "alice", "password", "abc124")))
	}
	requireState(t, 1040, s.send(t, "POST", "/login", form("username", "alice", "password", "abc123")))
	requireState(t, 0, s.send(t, "POST", "/user/login", form("username", "alice", "password", "abc123")))
	// A header does not make another address.
	requireState(t, 1040, s.send(t, "POST", "/login", form("username", "alice", "password", "abc123"), func(r *http.Request) {
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		r.Header.Set("X-Real-IP", "203.0.113.9")
	}))
	requireState(t, 200, s.send(t, "POST", "/login", form("username", "alice", "password", "abc123"), from("192.0.2.2")))
}

func TestTheCallerNeverGetsTheCode(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s := newServer(t, name)
		a := s.send(t, "POST", "/Sms", `{"mobile":13800138000}`)
		requireState(t, 200, a)
		require.NotEmpty(t, s.phones.Code(mobile))
		require.NotContains(t, a.text, s.phones.Code(mobile))
		require.NotContains(t, a.fields, "code")

		requireState(t, 1040, s.send(t, "POST", "/sms", form("mobile", mobile)))
		requireState(t, 1040, s.send(t, "POST", "/sms", form("mobile", "123")))
		requireState(t, 1040, s.send(t, "POST", "/sms", ""))
		require.Equal(t, 1, s.phones.Sent())
	})
}

func TestACodeThatIsNotSentIsAnError(t *testing.T) {
	s := newServer(t, t.TempDir()+"/shop.db")
	for i, c := range []struct {
		err     error
		message string
	}{
		{errors.New("no credit at s3cret"), "短信发送失败，请稍后再试"},
		{&sms.Error{Code: "FailedOperation.InsufficientBalanceInSmsPackage", Message: "s3cret"}, "短信发送失败，请稍后再试"},
		{&sms.Error{Code: "LimitExceeded.PhoneNumberDailyLimit"}, "发送过于频繁，请稍后再试"},
		{&sms.Error{Code: "InvalidParameterValue.IncorrectPhoneNumber"}, "手机号格式不正确"},
	} {
		s.phones.Err = c.err
		a := s.send(t, "POST", "/sms", form("mobile", fmt.Sprint(13800138000+i)))
		requireState(t, 1040, a)
		require.Equal(t, c.message, a.fields["msg"])
		require.NotContains(t, a.text, "s3cret")
	}
}

// hostile are values that no field may have, and that must do no harm.
var hostile = []string{
	"' OR '1'='1", "alice'; DROP TABLE user; --", `" OR ""="`, `\`, `alice\' #`, "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`,
	"alice\x00", "alice\r\nSet-Cookie: a=b", "\xff\xfe\xfd", "{{.}}", "${jndi:ldap://x}", "../../etc/passwd", "😀😀😀", strings.Repeat("a", 10000), "%00",
}

func TestHostileFieldsAreRefused(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s := newServer(t, name)
		s.register(t, "alice", mobile)
		code := s.code(t, "13900139000")
		right := map[string]string{"username": "bob", "password": "abc123", "repeat_password": "abc123", "mobile": "13900139000", "smsCode": code}
		for field := range right {
			for _, value := range hostile {
				v := url.Values{}
				for name, text := range right {
					v.Set(name, text)
				}
				v.Set(field, value)
				for _, path := range []string{"/register", "/user/register"} {
					a := s.send(t, "POST", path, v.Encode())
					requireState(t, false, a)
					requireHarmless(t, a, value)
				}
			}
		}
		for i, value := range hostile {
			address := from(fmt.Sprintf("198.51.100.%d", i))
			for _, body := range []string{form("username", value, "password", "abc123"), form("username", "alice", "password", value)} {
				a := s.send(t, "POST", "/login", body, address)
				requireState(t, 1010, a)
				requireHarmless(t, a, value)
			}
			requireState(t, 1040, s.send(t, "POST", "/sms", form("mobile", value), address))
			a := s.send(t, "GET", "/twocategory?"+form("id", value), "")
			requireState(t, 200, a)
			require.Empty(t, a.fields["bannerList"])
		}
		require.Equal(t, 1, s.count(t, "user"))
		require.NotZero(t, s.count(t, "category"))
		require.Equal(t, 2, s.phones.Sent())
		requireState(t, 200, s.send(t, "POST", "/login", form("username", "alice", "password", "abc123")))
	})
}

// requireHarmless requires an answer without the value that was sent.
func requireHarmless(t *testing.T, a answer, value string) {
	t.Helper()
	require.Less(t, a.http, 500)
	require.Equal(t, "", a.header.Get("Set-Cookie"))
	if len(value) > 4 {
		require.NotContains(t, a.text, value)
	}
	require.NotContains(t, a.text, "<")
	require.Less(t, len(a.text), 300)
}

func TestOtherSitesDoNotLogInAUser(t *testing.T) {
	s := newServer(t, t.TempDir()+"/shop.db")
	s.register(t, "alice", mobile)
	a := s.send(t, "POST", "/login", form("username", "alice", "password", "abc123"), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	require.Equal(t, http.StatusForbidden, a.http)
	require.Empty(t, a.header.Get("Set-Cookie"))
}

func TestADatabaseThatFailsIsNoRefusal(t *testing.T) {
	s := newServer(t, t.TempDir()+"/shop.db")
	token, err := s.tokens.Issue(s.register(t, "alice", mobile))
	require.NoError(t, err)
	require.NoError(t, s.db.DB.Close())
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/login", form("username", "alice", "password", "abc123")},
		{"POST", "/register", form("username", "bob", "password", "abc123", "repeat_password", "abc123", "mobile", mobile, "smsCode", "1234")},
		{"POST", "/sms", form("mobile", mobile)},
		{"GET", "/order", ""},
		{"GET", "/banners", ""},
	} {
		a := s.send(t, c.method, c.path, c.body, bearer(token))
		require.Equal(t, http.StatusInternalServerError, a.http, c.path)
		require.NotContains(t, a.text, "sql")
	}
}
