// Login serves a site whose visitors log in with WeChat.
//
//	go run ./examples/login
//	WECHAT_APP_ID=wx… WECHAT_SECRET=… go run ./examples/login -url https://wx.example.com
//	go run ./examples/login -public http://127.0.0.1:8080/app/demo -private http://127.0.0.1:8081/app/demo -key …
//
// The first line simulates WeChat in this process, with two persons; open the address that it prints in any browser. The
// second needs a public address whose host is entered in WeChat's console, and WeChat's own browser. With the third a
// wetoken server handles the login, for any number of sites; its -demo prints the line.
package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8091", "address to listen on; port 0 picks a free one")
	own := flag.String("url", "", "address that browsers use; default that of -addr")
	public := flag.String("public", "", "public address of the app on a wetoken server; default this process handles the login")
	private := flag.String("private", "", "with -public: the private address")
	key := flag.String("key", "", "with -public: a caller key for the private address")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if *own == "" {
		*own = "http://" + l.Addr().String()
	}
	at, err := url.Parse(*own)
	if err != nil || at.Host == "" {
		log.Fatal("-url: want a URL such as https://wx.example.com")
	}

	mux := http.NewServeMux()
	s := &site{sessions: new(store.Memory), address: strings.TrimSuffix(*own, "/"), loginURL: *public, users: remote{*private, *key}}
	s.origin = at.Scheme + "://" + at.Host
	if s.loginURL == "" {
		login := &oauth.Login{
			AppID: os.Getenv("WECHAT_APP_ID"), Secret: os.Getenv("WECHAT_SECRET"), Store: s.sessions,
			URL: s.address + "/wx", Hosts: []string{at.Host},
		}
		if login.AppID == "" { // no app: simulate WeChat
			startWeChat(login)
		}
		wetoken.Bind(mux, "/wx", login)
		s.loginURL, s.users = login.URL, login
	}
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /in", s.in)
	mux.HandleFunc("POST /out", s.out)
	fmt.Println(s.address + "/")
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(l))
}

// startWeChat simulates WeChat for the login in this process, and serves its pages on an address of their own.
func startWeChat(login *oauth.Login) {
	login.AppID, login.Secret = "wxexample000000000", rand.Text()
	wx := new(wechattest.Server)
	wx.AddApp(login.AppID, login.Secret)
	wx.AddPerson(wechattest.Person{Name: "小明", Nickname: "小明 👋"})
	wx.AddPerson(wechattest.Person{Name: "O'Neil", Nickname: `O'Neil <"the bold">`})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal((&http.Server{Handler: wx, ReadHeaderTimeout: 5 * time.Second}).Serve(l)) }()
	login.OpenURL = "http://" + l.Addr().String()
	login.Client = &wechat.Client{HTTP: wx.Client()}
}

// site is an application with its own sessions.
type site struct {
	address  string
	origin   string       // of address; a login_code names the origin of its site
	loginURL string       // base URL of the login
	users    oauth.Source // redeems login codes
	sessions store.Store
}

const cookie = "session"

// home greets a visitor with a session, and shows any other one a link to log in.
func (s *site) home(w http.ResponseWriter, r *http.Request) {
	var u *oauth.User
	if c, err := r.Cookie(cookie); err == nil {
		b, ok, err := s.sessions.Get(r.Context(), "session/"+c.Value)
		if err == nil && ok {
			err = json.Unmarshal(b, &u)
		}
		if err != nil {
			s.show(w, http.StatusServiceUnavailable, nil, "暂时无法读取登录状态，请稍后重试。The session could not be read: try again later.")
			return
		}
	}
	s.show(w, http.StatusOK, u, "")
}

func (s *site) show(w http.ResponseWriter, status int, u *oauth.User, notice string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	err := page.Execute(w, map[string]any{
		"User": u, "Notice": notice,
		"Login": s.loginURL + "/login?scope=" + oauth.ScopeUserInfo + "&to=" + url.QueryEscape(s.address+"/in"),
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
	b, jsonErr := json.Marshal(u)
	if err = errors.Join(err, jsonErr); err == nil {
		err = s.sessions.Set(r.Context(), "session/"+id, b, time.Hour)
	}
	if err != nil {
		s.show(w, http.StatusServiceUnavailable, nil, "暂时无法登录，请稍后重试。Not logged in: try again later.")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(s.address, "https:"),
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
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
<title>登录示例</title>
<style>
body { font: 17px/1.6 system-ui, sans-serif; max-width: 28em; margin: 0 auto; padding: 15vh 24px; text-align: center; overflow-wrap: anywhere; }
#login, button { display: inline-block; padding: 10px 28px; border: 0; border-radius: 6px; font: inherit; background: #07823f; color: #fff; text-decoration: none; }
</style>
<body>
{{with .Notice}}<p>{{.}}</p>{{end}}
{{with .User}}<h1>你好，<span id="nickname">{{.Nickname}}</span></h1>
<p><small>{{.OpenID}}</small></p>
<form action="/out" method="post"><button>退出 Log out</button></form>
{{else}}<p><a id="login" href="{{.Login}}">微信登录 Log in with WeChat</a></p>{{end}}
`))
