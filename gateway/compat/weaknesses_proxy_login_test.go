package compat_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// Each test of this file is about a weakness of wechat-proxy's logins.

func TestAForgedLoginIsNeitherVerifiedNorRedeemed(t *testing.T) {
	w := newLoginWorld(t)
	b := w.browser()
	f, mine := b.finish(b.begin("/app/shop/auth/info", "call", siteCall, "state", "s"))
	require.True(t, verifies(f.body, loginSignKey, time.Now()))

	// The old sign does not cover the user: it is the same for everybody with this state.
	victim := w.wx.OpenID(shopID, "wang")
	forged := strings.ReplaceAll(f.body, mine.OpenID, victim)
	require.Equal(t, mine.Sign, readLogin(t, forged).Sign)
	require.Equal(t, victim, readLogin(t, forged).OpenID)
	require.False(t, verifies(forged, loginSignKey, time.Now()))

	for name, body := range map[string]string{
		"another state":       strings.Replace(f.body, `"state":"s"`, `"state":"t"`, 1),
		"a field more":        strings.Replace(f.body, `"appid"`, `"admin":true,"appid"`, 1),
		"a second openid":     strings.Replace(f.body, `,"wetoken_sign":"`, `,"openid":"`+victim+`","wetoken_sign":"`, 1),
		"one behind the sign": strings.Replace(f.body, `"sign":"`, `"openid":"`+victim+`","sign":"`, 1),
		"no signature":        covered(f.body) + `,"sign":"` + oldSign("s") + "=\"}\r\n",
		"another key":         strings.Replace(f.body, ",v1=", ",v1="+strings.Repeat("0", 64)+",v2=", 1),
		"another time":        strings.Replace(f.body, `"t=`, `"t=1`, 1),
		"in a nickname":       strings.Replace(forged, `"nickname":"小李"`, `"nickname":",\"wetoken_sign\":\"`+mine.Signature+`"`, 1),
	} {
		require.NotEqual(t, f.body, body, name)
		require.False(t, verifies(body, loginSignKey, time.Now()), name)
	}

	for _, code := range []string{"", "a-code-of-a-stranger", strings.ToLower(mine.LoginCode), mine.LoginCode[1:]} {
		status, _ := w.redeem(code)
		require.Equal(t, 404, status, code)
	}
	status, _, _ := send(w.private, input{method: "POST", path: "/app/shop/login/redeem", form: formJSON, body: `{"login_code":"` + mine.LoginCode + `"}`})
	require.Equal(t, 401, status, "redeem needs a key")
	status, user := w.redeem(mine.LoginCode)
	require.Equal(t, 200, status)
	require.Equal(t, mine.OpenID, user["openid"], "what was changed on the way does not count")
	status, _ = w.redeem(mine.LoginCode)
	require.Equal(t, 404, status, "once")
}

func TestTheHostHeaderDecidesNothing(t *testing.T) {
	w := newLoginWorld(t)
	b := w.browser()
	evil := []string{"X-Test-Host", "evil.example.net", "X-Forwarded-Host", "evil.example.net", "X-Forwarded-Proto", "http", "Forwarded", "host=evil.example.net"}
	for _, call := range []string{"/echo", siteCall} {
		at := b.open(authURL("/app/shop/auth", "call", call), evil...)
		require.Equal(t, 302, at.status)
		require.NotContains(t, at.location(), "evil")
		u, err := url.Parse(at.location())
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(u.Query().Get("redirect_uri"), publicURL+"/app/shop/auth?key="), at.location())
		end := b.open(b.open(at.location()).location(), evil...)
		require.Equal(t, 200, end.status)
		require.NotContains(t, end.body+fmt.Sprint(end.header), "evil")
	}
	at := b.open(authURL("/app/shop/auth", "call", "https://evil.example.net/"), evil...)
	require.Equal(t, 403, at.status)
}

func TestAnIdentityIsNotSentToAForeignHost(t *testing.T) {
	w := newLoginWorld(t)
	b := w.browser()
	for _, call := range []string{
		"https://evil.example.net/", "evil.example.net/x", "https://evil.example.net\\@site.example.com/", "https://site.example.com@evil.example.net/",
		"https://site.example.com.evil.example.net/", "https://evilsite.example.com/", "https://sub.site.example.com/", "https://site.example.com:8443/",
		"http://site.example.com/", "//evil.example.net/", // below this server
		"/\\evil.example.net/", "\\\\evil.example.net", "javascript:alert(1)//site.example.com", "data:text/html,x", "ftp://site.example.com/",
		"https:site.example.com", "https:///site.example.com", "\thttps://evil.example.net", "https://site.example.com\r\nX: y", "https://site.example.com\"><script>",
		" /echo", "/ech\no", "?x", "#x", "https://site.example.com/" + strings.Repeat("a", 2048), "/" + strings.Repeat("a", 2048),
		publicURL + ".evil.example.net/", publicURL + "@evil.example.net/", "", " ",
	} {
		at := b.open(authURL("/app/shop/auth/info", "call", call, "state", "s"))
		if call == "//evil.example.net/" {
			f, _ := b.finish(b.open(at.location()).location())
			require.Equal(t, publicURL+"//evil.example.net/", f.action)
			continue
		}
		require.Equal(t, 403, at.status, "%q: %s", call, at.location())
		require.Empty(t, at.location())
		require.NotContains(t, at.body, "<script")
	}
	require.Equal(t, 1, w.wx.Calls("/sns/oauth2/access_token"), "WeChat is not visited")

	at := b.open(publicURL + "/app/shop/auth?call=" + url.QueryEscape(siteCall) + "&call=https://evil.example.net/")
	f, _ := b.finish(b.open(at.location()).location())
	require.Equal(t, siteCall, f.action, "the call that was checked is the one that is used")

	// What WeChat sends back cannot change the call either.
	back := b.begin("/app/shop/auth", "call", siteCall)
	at = b.open(back + "&call=" + url.QueryEscape("https://evil.example.net/"))
	require.Equal(t, 403, at.status)
	f, _ = b.finish(back)
	require.Equal(t, siteCall, f.action)
}

func TestNoNameBreaksOutOfTheForm(t *testing.T) {
	w := newLoginWorld(t)
	for i, name := range []string{
		`'><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</script><script>alert(1)</script>`, `' onfocus='alert(1)' autofocus='`,
		"a=b==\"}\r\n{\"openid\":\"x\"}", "line\nline\r\nline\u2028\u2029\x7f", `\",\"openid\":\"x`, `{{.}} &quot; &#39; &lt;`, "`${alert(1)}`", "\xff\xfe", "👨‍👩‍👧 雷",
		`,"wetoken_sign":"t=1,v1=`,
	} {
		person := fmt.Sprintf("person%d", i)
		w.wx.AddPerson(wechattest.Person{Name: person, Nickname: name, HeadImgURL: "https://x/'\"><script>" + name})
		w.wx.Browse(person, wechattest.Allow)
		state := name
		if !strings.Contains(name, "\xff") {
			state += "\x00\x1b'\"><script>alert(2)</script>"
		}
		b := w.browser()
		end := b.open(b.begin("/app/shop/auth/info", "call", siteCall+"&x='%22><b>", "state", state))
		require.Equal(t, 200, end.status)
		f := readForm(t, end.body) // which has no other element, and no attribute of a script
		got := readLogin(t, f.body)
		require.Equal(t, strings.ToValidUTF8(name, "\ufffd"), strings.ReplaceAll(got.Nickname, "\ufffd\ufffd", "\ufffd"))
		require.Equal(t, w.wx.OpenID(shopID, person), got.OpenID)
		require.True(t, verifies(f.body, loginSignKey, time.Now()), f.body)
		require.NotRegexp(t, "[\x00-\x1f]", strings.TrimSuffix(f.body, "\r\n"), "one line")
		require.Equal(t, "site.example.com", hostOf(t, f.action))
		policy := end.header.Get("Content-Security-Policy")
		require.Regexp(t, `^default-src 'none'; script-src 'sha256-[^' ]+'; form-action https://site\.example\.com; base-uri 'none'; frame-ancestors 'none'$`, policy)
	}
}

func hostOf(t *testing.T, address string) string {
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.Host
}

func TestTheKeyOfALoginCannotBePredictedOrUsedTwice(t *testing.T) {
	w := newLoginWorld(t)
	seen := make(map[string]bool)
	for range 50 {
		b := w.browser()
		back := b.begin("/app/shop/auth", "call", siteCall, "state", "the same")
		u, err := url.Parse(back)
		require.NoError(t, err)
		key := u.Query().Get("key")
		require.Regexp(t, `^[0-9a-f]{32}$`, key)
		require.Equal(t, key, u.Query().Get("state"))
		require.False(t, seen[key])
		require.False(t, seen[key[:8]] || seen[key[24:]], "no part is a time or a count")
		seen[key], seen[key[:8]], seen[key[24:]] = true, true, true
	}

	b, stranger := w.browser(), w.browser()
	back := b.begin("/app/shop/auth", "call", siteCall)
	before := w.wx.Calls("/sns/oauth2/access_token")
	first, got := b.finish(back)
	again, repeated := b.finish(back) // as the web view of Android does
	require.Equal(t, first.action, again.action)
	require.Equal(t, got.LoginCode, repeated.LoginCode)
	replayed := stranger.open(back, "Accept", "text/html", "Accept-Language", "zh")
	require.Equal(t, 410, replayed.status)
	require.Contains(t, replayed.body, "登录链接已使用")
	require.NotContains(t, replayed.body, got.OpenID)
	withOther := stranger.open(replaceQuery(t, back, "code", "another-code"))
	require.Equal(t, 410, withOther.status)
	require.Equal(t, before+1, w.wx.Calls("/sns/oauth2/access_token"))
	status, _ := w.redeem(got.LoginCode)
	require.Equal(t, 200, status)
	status, _ = w.redeem(repeated.LoginCode)
	require.Equal(t, 404, status)
}

func TestAllServersExchangeACodeOnce(t *testing.T) {
	w := newLoginWorld(t)
	doors := []http.Handler{w.door, w.newGateway().Public(), w.newGateway().Public()}
	b := w.browser()
	back := b.begin("/app/shop/auth/info", "call", siteCall)
	at, err := url.Parse(back)
	require.NoError(t, err)
	bodies := make([]string, 30)
	var all sync.WaitGroup
	for i := range bodies {
		all.Go(func() {
			r, _ := http.NewRequest(http.MethodGet, at.RequestURI(), nil)
			for _, c := range b.hc.Jar.Cookies(at) {
				r.AddCookie(c)
			}
			status, body, _ := serve(doors[i%len(doors)], r)
			if status == 200 {
				bodies[i] = body
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, w.wx.Calls("/sns/oauth2/access_token"))
	codes := make(map[string]bool)
	for _, body := range bodies {
		codes[readLogin(t, readForm(t, body).body).LoginCode] = true
	}
	require.Len(t, codes, 1)
}

func TestASnapshotUserIsNotLoggedInByTheOldRoutes(t *testing.T) {
	w := newLoginWorld(t)
	w.wx.Browse("li", wechattest.Snapshot)
	b := w.browser()
	at := b.open(b.begin("/app/shop/auth/info", "call", siteCall), "Accept", "text/html", "Accept-Language", "zh")
	require.Equal(t, 403, at.status)
	require.Contains(t, at.body, "快照页")
	require.NotContains(t, at.body, "<form")
	require.NotContains(t, at.body, "openid")
	for key, err := range w.store.Keys(t.Context(), "") {
		require.NoError(t, err)
		require.NotContains(t, key, "/code/", "no login_code is stored")
	}
}

func TestNoSecretIsShownToABrowserOrALog(t *testing.T) {
	w := newLoginWorld(t)
	b := w.browser()
	back := b.begin("/app/shop/auth/info", "call", siteCall)
	end := b.open(back)
	got := readLogin(t, readForm(t, end.body).body)
	w.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/access_token", Status: 500})
	other := w.browser()
	failed := other.open(other.begin("/app/shop/auth", "call", siteCall))
	require.Equal(t, 503, failed.status)
	for _, hidden := range []string{secret, url.QueryEscape(secret), loginSignKey} {
		require.NotContains(t, end.body+failed.body+fmt.Sprint(end.header, failed.header)+w.log.String(), hidden)
	}
	require.NotContains(t, w.log.String(), got.LoginCode)
	for key, err := range w.store.Keys(t.Context(), "") {
		require.NoError(t, err)
		value, _, err := w.store.Get(t.Context(), key)
		require.NoError(t, err)
		require.NotContains(t, key+string(value), got.LoginCode, "stores have the hash of a login_code")
	}
}

func TestStrangersCannotFillTheStoreWithLogins(t *testing.T) {
	w := newLoginWorld(t)
	b := w.browser()
	for range 20 {
		require.Equal(t, 302, b.open(authURL("/app/shop/auth", "call", siteCall)).status)
	}
	var last webPage
	for range 3 {
		last = b.open(authURL("/app/shop/auth", "call", siteCall))
	}
	if last.status == 302 { // a minute has begun meanwhile
		for range 21 {
			last = b.open(authURL("/app/shop/auth", "call", siteCall))
		}
	}
	require.Equal(t, 429, last.status)
	require.Equal(t, "60", last.header.Get("Retry-After"))
	require.NotContains(t, last.body, wechat.OpenURL)
}
