package oauth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
)

func TestOnLoginAnswersTheBrowser(t *testing.T) {
	s := newStage(func(s *stage) {
		s.login.OnLogin = func(w http.ResponseWriter, r *http.Request, u oauth.User) {
			io.WriteString(w, u.OpenID+" "+r.FormValue("to")+" "+r.FormValue("nonce")+" ["+r.FormValue("code")+r.FormValue("state")+"] "+r.RequestURI)
		}
	})
	p := s.browser(t).open(loginURL(shop, "nonce", "n1"))
	require.Equal(t, s.wx.OpenID(appID, "ming")+" "+shop+" n1 [] /login/callback?nonce=n1&to=https%3A%2F%2Fshop.example.com%2F", p.body)
	require.Equal(t, "wx.example.com", p.url.Host)

	p = s.browser(t).open(mount + "/login")
	require.Contains(t, p.body, s.wx.OpenID(appID, "ming")+"   [] ")
	requireRefused(t, s.browser(t), loginURL("https://evil.example.net/"), 403, "不能返回该网址")
}

// backend is the server of a site that BackendURL names.
type backend struct {
	body, signature string
	status          int
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/elsewhere" {
		return
	}
	b.body, b.signature = string(raw), r.Header.Get("Wetoken-Signature")
	if b.status == http.StatusFound {
		http.Redirect(w, r, "/elsewhere", b.status)
		return
	}
	w.WriteHeader(b.status)
}

func TestTheBackendIsNotifiedBeforeTheBrowserReturns(t *testing.T) {
	site := &backend{status: 204}
	web := httptest.NewServer(site)
	defer web.Close()
	s := newStage(allowConsent, func(s *stage) { s.login.BackendURL, s.login.SignKey = web.URL+"/hook", "sign-key" })
	p := s.browser(t).open(loginURL(shop+"?a=b", "scope", "snsapi_userinfo", "nonce", "n1"))
	code := p.url.Query().Get("login_code")
	require.Equal(t, "https://shop.example.com/?a=b&login_code="+code+"&nonce=n1", p.url.String())

	var told struct {
		AppID, To, Nonce string
		LoginCode        string `json:"login_code"`
		User             oauth.User
	}
	require.NoError(t, json.Unmarshal([]byte(site.body), &told))
	require.Equal(t, appID, told.AppID)
	require.Equal(t, shop+"?a=b", told.To)
	require.Equal(t, "n1", told.Nonce)
	require.Equal(t, code, told.LoginCode)
	require.Equal(t, "小明", told.User.Nickname)

	m := regexp.MustCompile(`^t=(\d+),v1=([0-9a-f]{64})$`).FindStringSubmatch(site.signature)
	require.Len(t, m, 3, site.signature)
	at, err := strconv.ParseInt(m[1], 10, 64)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), time.Unix(at, 0), time.Minute)
	mac := hmac.New(sha256.New, []byte("sign-key"))
	io.WriteString(mac, m[1]+"."+site.body)
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), m[2])
}

func TestTheAuthorOfALinkToLoginDoesNotLearnTheLoginCode(t *testing.T) {
	site := &backend{status: 204}
	web := httptest.NewServer(site)
	defer web.Close()
	for name, kind := range map[string]func(*stage){"official": func(*stage) {}, "website": website, "WeCom": wecom} {
		t.Run(name, func(t *testing.T) {
			s := newStage(allowConsent, kind, func(s *stage) { s.login.BackendURL, s.login.SignKey = web.URL, "sign-key" })
			link := loginURL(shop+"?login_code=made-up", "nonce", "attackers")
			seen := map[string]bool{}
			for range 2 {
				p := s.browser(t).open(link)
				require.Len(t, p.url.Query()["login_code"], 1)
				code := p.url.Query().Get("login_code")
				require.GreaterOrEqual(t, len(code), 26)
				require.Contains(t, site.body, `"login_code":"`+code+`"`)
				require.False(t, seen[code], "each login has a code of its own")
				seen[code] = true
			}
		})
	}
}

func TestALoginThatTheBackendRefusesFails(t *testing.T) {
	site := &backend{}
	web := httptest.NewServer(site)
	defer web.Close()
	s := newStage(func(s *stage) { s.login.BackendURL, s.login.SignKey = web.URL, "sign-key" })
	for _, site.status = range []int{302, 400, 500} {
		requireReturned(t, s.browser(t), loginURL(shop), "failed")
	}
	web.Close()
	requireReturned(t, s.browser(t), loginURL(shop), "failed")
	s.login.SignKey = ""
	requireReturned(t, s.browser(t), loginURL(shop), "failed")
	s.login.BackendURL, s.login.SignKey = "http://[", "k"
	requireReturned(t, s.browser(t), loginURL(shop), "failed")
}

func TestTheBackendHasFiveSecondsAndNoErrorHasItsAddress(t *testing.T) {
	log := captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		s := newStage(func(s *stage) {
			s.login.BackendURL, s.login.SignKey = "http://crm.example.com/hook?key=hush", "sign-key"
		})
		s.login.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		start := time.Now()
		requireReturned(t, s.browser(t), loginURL(shop), "failed")
		require.Equal(t, 5*time.Second, time.Since(start))
	})
	require.Contains(t, log.String(), "crm.example.com")
	for _, hidden := range []string{"hush", "/hook", "sign-key"} {
		require.NotContains(t, log.String(), hidden)
	}
}
