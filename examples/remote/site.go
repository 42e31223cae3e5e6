package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// site is an application with its own sessions.
type site struct {
	server
	address  string
	origin   string       // of address; a login_code names the origin of its site
	users    oauth.Source // redeems login codes
	api      *wechat.Client
	sessions store.Store
}

// session is a visitor who has logged in.
type session struct {
	User    oauth.User
	Follows string // the official account: yes, no, or empty if WeChat could not be asked
}

const cookie = "session"

// home greets a visitor with a session, and shows any other one a link to log in.
func (s *site) home(w http.ResponseWriter, r *http.Request) {
	var v *session
	if c, err := r.Cookie(cookie); err == nil {
		b, ok, err := s.sessions.Get(r.Context(), "session/"+c.Value)
		if err == nil && ok {
			err = json.Unmarshal(b, &v)
		}
		if err != nil {
			s.show(w, http.StatusServiceUnavailable, nil, "暂时无法读取登录状态，请稍后重试。The session could not be read: try again later.")
			return
		}
	}
	s.show(w, http.StatusOK, v, "")
}

func (s *site) show(w http.ResponseWriter, status int, v *session, notice string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	err := page.Execute(w, map[string]any{
		"Session": v, "Notice": notice, "Public": s.public, "WeChat": cmp.Or(s.weChat, "https://res.wx.qq.com"),
		"Login": s.public + "/login?scope=" + oauth.ScopeUserInfo + "&to=" + url.QueryEscape(s.address+"/in"),
	})
	if err != nil {
		log.Print(err)
	}
}

// in handles the return of a login. It trusts only the code, which works once.
func (s *site) in(w http.ResponseWriter, r *http.Request) {
	switch r.FormValue("login_error") {
	case "":
	case "denied":
		s.show(w, http.StatusForbidden, nil, "您没有同意授权。You did not give consent.")
		return
	default: // expired, failed
		s.show(w, http.StatusGone, nil, "登录未完成，请重新登录。The login did not succeed: log in again.")
		return
	}
	u, err := s.users.Redeem(r.Context(), r.FormValue("login_code"))
	if errors.Is(err, oauth.ErrLoginCode) || err == nil && u.To != s.origin { // a code of another site is invalid here
		s.show(w, http.StatusGone, nil, "登录链接已使用，请重新登录。This link was used before: log in again.")
		return
	}
	id := rand.Text()
	if err == nil {
		err = s.begin(r.Context(), id, u)
	}
	if err != nil {
		log.Print(err)
		s.show(w, http.StatusServiceUnavailable, nil, "暂时无法登录，请稍后重试。Not logged in: try again later.")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(s.address, "https:"),
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// begin stores a session.
func (s *site) begin(ctx context.Context, id string, u oauth.User) error {
	follows, err := s.follows(ctx, u.OpenID)
	if err != nil {
		log.Print(err) // the login has succeeded all the same
	}
	b, err := json.Marshal(session{User: u, Follows: follows})
	if err != nil {
		return err
	}
	return s.sessions.Set(ctx, "session/"+id, b, time.Hour)
}

// follows asks WeChat whether a user follows the official account, with an access token of the server.
func (s *site) follows(ctx context.Context, openID string) (string, error) {
	var info struct {
		Subscribe int `json:"subscribe"`
	}
	if err := s.api.Get(ctx, "/cgi-bin/user/info", url.Values{"openid": {openID}}, &info); err != nil {
		return "", err
	}
	if info.Subscribe == 1 {
		return "yes", nil
	}
	return "no", nil
}

func (s *site) out(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookie); err == nil {
		if err := s.sessions.Delete(r.Context(), "session/"+c.Value); err != nil {
			s.show(w, http.StatusServiceUnavailable, nil, "暂时无法退出，请稍后重试。Not logged out: try again later.")
			return
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="zh-CN">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>网站 Site</title>
<style>
body { font: 17px/1.6 system-ui, sans-serif; max-width: 28em; margin: 0 auto; padding: 15vh 24px; text-align: center; overflow-wrap: anywhere; }
#login, button { display: inline-block; padding: 10px 28px; border: 0; border-radius: 6px; font: inherit; background: #07823f; color: #fff; text-decoration: none; }
</style>
<body>
{{with .Notice}}<p>{{.}}</p>{{end}}
{{with .Session}}<h1>你好，<span id="nickname">{{.User.Nickname}}</span></h1>
{{if .Follows}}<p>{{if eq .Follows "yes"}}已关注公众号 A follower{{else}}未关注公众号 Not a follower{{end}}</p>{{end}}
<form action="/out" method="post"><button>退出 Log out</button></form>
{{else}}<p><a id="login" href="{{.Login}}">微信登录 Log in with WeChat</a></p>{{end}}
<p><small id="result">…</small></p>
<script src="{{.WeChat}}/open/js/jweixin-1.6.0.js"></script>
<script src="{{.Public}}/js/config.js?jsApiList=updateAppMessageShareData,scanQRCode"></script>
<script>
function result(text) { document.getElementById("result").textContent = text; }
document.addEventListener("wetoken:error", function (e) { result(e.detail.errmsg); });
wx.error(function (res) { result(res.errMsg); });
wx.ready(function () {
	result("config:ok");
	wx.updateAppMessageShareData({
		title: document.title, desc: "来看看", link: location.href, imgUrl: "",
		success: function (res) { result("config:ok, " + res.errMsg); }
	});
});
</script>
`))
