package main_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// A server elsewhere logs people in, for this site and others.
func TestAVisitorLogsInByAServerElsewhere(t *testing.T) {
	const id = "wx0123456789abcdef"
	wx := new(wechattest.Server)
	wx.AddApp(id, "secret")
	wx.AddPerson(wechattest.Person{Name: "li", Nickname: "李雷 👋"})
	weChat := httptest.NewServer(wx)
	defer weChat.Close()
	public, private := http.NewServeMux(), http.NewServeMux()
	front, back := httptest.NewServer(public), httptest.NewServer(private)
	defer front.Close()
	defer back.Close()
	home := start(t, "-public", front.URL+"/app/demo", "-private", back.URL+"/app/demo", "-key", "k1", "-wechat", weChat.URL)
	client := &wechat.Client{BaseURL: weChat.URL}
	login := &oauth.Login{
		AppID: id, Secret: "secret", Store: new(store.Memory), URL: front.URL + "/app/demo",
		Hosts: []string{strings.Trim(strings.TrimPrefix(home, "http:"), "/"), "other.example.com"}, Client: client, OpenURL: weChat.URL,
	}
	wetoken.Bind(public, "/app/demo", login)
	var closed atomic.Bool
	guard := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if closed.Load() || r.Header.Get("Authorization") != "Bearer k1" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	tokens := &token.Manager{AppID: id, Secret: "secret", Client: client}
	wetoken.Bind(private, "/app/demo", &oauth.Handler{Source: login, Guard: guard}, &token.Handler{Source: tokens, Guard: guard})

	v := newVisitor(t)
	_, body := v.open(home)
	require.Contains(t, body, `src="`+front.URL+`/app/demo/js/config.js?`)
	require.Contains(t, body, `src="`+weChat.URL+`/open/js/jweixin-1.6.0.js"`)
	at, body := v.open(v.login(body))
	_, body = v.open(v.consent(at, body, "li"))
	require.Contains(t, body, "李雷 👋")
	require.Contains(t, body, "A follower")
	require.Equal(t, 1, wx.Calls("/cgi-bin/stable_token"))
	_, body = v.open(home + "in?login_code=made-up")
	require.Contains(t, body, "log in again")

	const other = "http://other.example.com/"
	elsewhere := newVisitor(t)
	elsewhere.hc.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), other) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := elsewhere.hc.Get(front.URL + "/app/demo/login?to=" + url.QueryEscape(other))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	sent, err := resp.Location()
	require.NoError(t, err)
	_, body = newVisitor(t).open(home + "in?login_code=" + sent.Query().Get("login_code"))
	require.Contains(t, body, "log in again", "a code that was sent to another site")

	closed.Store(true)
	_, body = v.open(home + "in?login_code=made-up")
	require.Contains(t, body, "try again later")
}
