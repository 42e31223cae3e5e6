package handlers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
)

// browse sends the request of a customer's browser, as the pages of the shop do.
func (c *customer) browse(t *testing.T, method, path, body string, change ...func(*http.Request)) answer {
	t.Helper()
	return c.server.send(t, method, path, body, append([]func(*http.Request){cookie("shop_token", c.token), fetchedFrom("same-origin")}, change...)...)
}

func cookie(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: value}) }
}

func fetchedFrom(site string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) }
}

func accept(header, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(header, value) }
}

// an admin with an order.
func newPages(t *testing.T) (s *server, boss *customer, no string) {
	s, _ = newPaidServer(t, t.TempDir()+"/shop.db", "v3")
	boss = s.customer(t, "boss")
	require.NoError(t, s.db.MakeAdmin(t.Context(), "boss"))
	a := boss.browse(t, "POST", "/orders", form("product", "5", "count", "2", "fen", "1200"))
	require.Equal(t, http.StatusSeeOther, a.http, a.text)
	return s, boss, strings.TrimPrefix(a.header.Get("Location"), "/orders/")
}

func TestPagesLoadNothingFromElsewhereAndHaveNoInlineScripts(t *testing.T) {
	_, boss, no := newPages(t)
	source := regexp.MustCompile(`(?:src|href|action)="([^"]*)"`)
	inline := regexp.MustCompile(`(?i)<style|<script(?: [^>]*)?>[^<]|\son[a-z]+=|\sstyle=|javascript:|<base`)
	for _, path := range []string{
		"/", "/goods", "/goods?category=1&brand=2", "/goods/5", "/goods/999", "/account/login", "/account/register", "/orders", "/orders/" + no,
		"/admin", "/admin/bill",
	} {
		a := boss.browse(t, "GET", path, "")
		require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"), path)
		policy := a.header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'; script-src 'self'; style-src 'self'")
		require.NotContains(t, policy, "unsafe")
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		require.Empty(t, inline.FindString(a.text), path)
		for _, link := range source.FindAllStringSubmatch(a.text, -1) {
			require.Regexp(t, `^(/|\?|#main$)`, link[1], path)
			require.NotContains(t, link[1], "//")
			if strings.HasPrefix(link[1], "/static/") {
				file := boss.browse(t, "GET", link[1], "")
				require.Equal(t, http.StatusOK, file.http, link[1])
				require.Equal(t, "nosniff", file.header.Get("X-Content-Type-Options"))
			}
		}
	}
	for _, path := range []string{"/static/", "/static/goods/", "/static/../pages.go", "/templates/base.html", "/static/none.css"} {
		a := boss.browse(t, "GET", path, "")
		require.NotEqual(t, http.StatusOK, a.http, path)
	}
}

func TestAnAdminEntersBothFieldsOfAParcelOrNone(t *testing.T) {
	_, boss, no := newPages(t)
	for _, body := range []string{form("company", "SF", "tracking", ""), form("company", "", "tracking", "SF1")} {
		a := boss.browse(t, "POST", "/admin/orders/"+no+"/ship", body)
		require.Equal(t, http.StatusBadRequest, a.http)
		require.Contains(t, a.text, "快递公司和运单号须同时填写")
	}
	for _, body := range []string{form("company", "SF", "tracking", "SF1"), form("company", "", "tracking", "")} {
		a := boss.browse(t, "POST", "/admin/orders/"+no+"/ship", body)
		require.Equal(t, http.StatusConflict, a.http, "it is not paid")
	}
}

// posts are the forms of the pages.
func posts(no string) []string {
	return []string{
		"/language", "/account/login", "/account/logout", "/account/register", "/account/code", "/orders", "/admin/orders/" + no + "/refund",
		"/admin/orders/" + no + "/ship", "/admin/payments/42/accept", "/admin/payments/42/refund",
	}
}

func TestFormsOfOtherOriginsAreRefused(t *testing.T) {
	s, boss, no := newPages(t)
	for _, path := range posts(no) {
		for name, change := range map[string]func(*http.Request){
			"another site": fetchedFrom("cross-site"), "another host of the site": fetchedFrom("same-site"),
			"an old browser": func(r *http.Request) {
				r.Header.Del("Sec-Fetch-Site")
				r.Header.Set("Origin", "https://evil.example.com")
			},
		} {
			a := boss.browse(t, "POST", path, form("username", "boss", "product", "5", "count", "1", "fen", "1200", "mobile", mobile), change)
			require.Equal(t, http.StatusForbidden, a.http, "%s from %s", path, name)
			require.Empty(t, a.header.Values("Set-Cookie"))
		}
		require.NotEqual(t, http.StatusForbidden, boss.browse(t, "POST", path, form("x", "y")).http, path)
	}
	require.Equal(t, 1, s.count(t, "payorder"))
	require.Zero(t, s.phones.Sent())
}

func TestPagesOfUsersNeedASession(t *testing.T) {
	s, _, no := newPages(t)
	stranger := s.customer(t, "li")
	for _, path := range []string{"/orders", "/orders/" + no, "/admin", "/admin/bill?day=2026-01-02"} {
		a := s.send(t, "GET", path, "")
		require.Equal(t, http.StatusSeeOther, a.http, path)
		require.Equal(t, "/account/login?to="+url.QueryEscape(path), a.header.Get("Location"))
	}
	for _, path := range []string{"/orders", "/admin/orders/" + no + "/refund", "/admin/orders/" + no + "/ship", "/admin/payments/42/accept"} {
		a := s.send(t, "POST", path, form("product", "5", "count", "1", "fen", "1200"))
		require.Equal(t, http.StatusSeeOther, a.http, path)
		require.Equal(t, "/account/login", a.header.Get("Location"))
	}
	require.Equal(t, http.StatusUnauthorized, s.send(t, "GET", "/orders/"+no+"/events", "", accept("Accept", "text/event-stream")).http)

	require.Equal(t, http.StatusNotFound, stranger.browse(t, "GET", "/orders/"+no, "").http)
	require.Equal(t, http.StatusNotFound, stranger.browse(t, "GET", "/orders/"+no+"/events", "").http)
	require.NotContains(t, stranger.browse(t, "GET", "/orders", "").text, no)
	for _, path := range []string{"GET /admin", "GET /admin/bill", "POST /admin/orders/" + no + "/refund", "POST /admin/orders/" + no + "/ship", "POST /admin/payments/42/refund"} {
		method, path, _ := strings.Cut(path, " ")
		require.Equal(t, http.StatusForbidden, stranger.browse(t, method, path, "").http, path)
	}

	_, err := s.db.DB.ExecContext(t.Context(), "DROP TABLE user") // a database that fails is no missing session
	require.NoError(t, err)
	require.Equal(t, http.StatusInternalServerError, stranger.browse(t, "GET", "/orders", "").http)
}

func TestAPageIsInTheLanguageOfTheBrowserUntilAnotherIsChosen(t *testing.T) {
	s := newServer(t, t.TempDir()+"/shop.db")
	for header, lang := range map[string]string{
		"": "zh-CN", "zh-CN,zh;q=0.9,en;q=0.8": "zh-CN", "zh-TW": "zh-CN", "en-US,en;q=0.9": "en", "en-GB;q=0.3,zh;q=0.7": "zh-CN", "fr,en;q=0.5": "en", "fr": "zh-CN", "%%%": "zh-CN",
	} {
		require.Contains(t, s.send(t, "GET", "/", "", accept("Accept-Language", header)).text, `<html lang="`+lang+`">`, header)
	}
	for chosen, lang := range map[string]string{"en": "en", "zh-CN": "zh-CN", "<b>": "zh-CN"} {
		a := s.send(t, "POST", "/language", form("language", chosen, "to", "/goods?category=1"))
		require.Equal(t, http.StatusSeeOther, a.http)
		require.Equal(t, "/goods?category=1", a.header.Get("Location"))
		require.Contains(t, a.header.Get("Set-Cookie"), "language="+lang+";")
		a = s.send(t, "GET", "/goods", "", accept("Accept-Language", "en"), cookie("language", lang))
		require.Contains(t, a.text, `<html lang="`+lang+`">`)
	}
	require.Contains(t, s.send(t, "GET", "/goods", "", cookie("language", `"><b>`)).text, `<html lang="zh-CN">`)
}

func TestALoginLeadsToAPageOfTheShopOnly(t *testing.T) {
	s := newServer(t, t.TempDir()+"/shop.db")
	s.register(t, "alice", mobile)
	for to, location := range map[string]string{
		"/orders?before=7": "/orders?before=7", "": "/", "//evil.example.com": "/", `/\evil.example.com`: "/", "https://evil.example.com/": "/",
		"/\t/evil.example.com": "/", "javascript:alert(1)": "/", "orders": "/", "/\nX: y": "/", "%2F%2Fevil.example.com": "/", " //evil.example.com": "/",
	} {
		a := s.send(t, "POST", "/account/login", form("username", "alice", "password", "abc123", "to", to))
		require.Equal(t, http.StatusSeeOther, a.http)
		require.Equal(t, location, a.header.Get("Location"), "%q", to)
		require.Contains(t, a.header.Get("Set-Cookie"), "shop_token=")
		page := s.send(t, "GET", "/account/login?to="+url.QueryEscape(to), "")
		require.Contains(t, page.text, fmt.Sprintf(`name="to" value="%s"`, location))
	}
}

func TestABrowserWithoutScriptsRegisters(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s := newServer(t, name)
		fields := form("username", "alice", "mobile", mobile, "to", "/goods/5")
		a := s.send(t, "POST", "/account/code", fields)
		require.Equal(t, http.StatusOK, a.http)
		for _, kept := range []string{`value="alice"`, `value="` + mobile + `"`, `value="/goods/5"`, "验证码已发送"} {
			require.Contains(t, a.text, kept)
		}
		require.NotContains(t, a.text, s.phones.Code(mobile))
		again := s.send(t, "POST", "/account/code", fields)
		require.Equal(t, http.StatusTooManyRequests, again.http)
		require.Contains(t, again.text, "操作过于频繁")

		fields += "&" + form("code", s.phones.Code(mobile), "password", "abc123", "repeat_password", "abc123")
		a = s.send(t, "POST", "/account/register", fields)
		require.Equal(t, http.StatusSeeOther, a.http, a.text)
		require.Equal(t, "/goods/5", a.header.Get("Location"))
		taken := form("username", "alice", "mobile", "13900139000", "code", s.code(t, "13900139000"), "password", "abc123", "repeat_password", "abc123")
		a = s.send(t, "POST", "/account/register", taken)
		require.Equal(t, http.StatusConflict, a.http)
		require.Contains(t, a.text, "已注册")
		require.NotContains(t, a.text, "abc123", "passwords are not sent back")
	})
}

func TestNothingIsOrderedAtAPriceThatTheShopDoesNotHave(t *testing.T) {
	s, boss, _ := newPages(t)
	for _, fen := range []string{"", "0", "1", "-1200", "1199", "1201", "1200.0", "1e3", "0x4b0", "+1200 ", "9223372036854775807", "99999999999999999999", "4611686018427389104", "' OR 1=1 --"} {
		a := boss.browse(t, "POST", "/orders", form("product", "5", "count", "1", "fen", fen))
		require.Equal(t, http.StatusConflict, a.http, fen)
		require.Contains(t, a.text, "价格已变动", fen)
	}
	for _, c := range [][2]string{{"5", ""}, {"5", "0"}, {"5", "-1"}, {"5", "6"}, {"5", "1000000000"}, {"999", "1"}, {"", "1"}, {"-5", "1"}, {"5 OR 1=1", "1"}} {
		a := boss.browse(t, "POST", "/orders", form("product", c[0], "count", c[1], "fen", "1200"))
		require.Equal(t, http.StatusNotFound, a.http, c)
	}
	a := boss.browse(t, "POST", "/orders", form("product", "5", "count", "1", "fen", "1200", "x", strings.Repeat("x", 20<<10)))
	require.GreaterOrEqual(t, a.http, 400, "too long")
	require.Equal(t, 1, s.count(t, "payorder"))

	for range 21 {
		require.Equal(t, http.StatusSeeOther, boss.browse(t, "POST", "/orders", form("product", "5", "count", "5", "fen", "1200")).http)
	}
	for _, path := range []string{"/orders", "/admin"} {
		first := boss.browse(t, "GET", path, "")
		require.Equal(t, 20, strings.Count(first.text, `class="badge NOTPAY"`))
		next := regexp.MustCompile(`href="(\?before=\d+)"`).FindStringSubmatch(first.text)
		require.NotNil(t, next, path)
		last := boss.browse(t, "GET", path+next[1], "")
		require.Equal(t, 2, strings.Count(last.text, `class="badge NOTPAY"`))
		require.NotContains(t, last.text, `href="?before=`)
	}
}
