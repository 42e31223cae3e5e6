// Login shows a site that logs its visitors in with WeChat and knows them by name.
//
//	go run ./examples/login
//	WECHAT_APP_ID=wx… WECHAT_SECRET=… go run ./examples/login -url https://wx.example.com
//
// The first line plays WeChat in this process, with two persons at hand; open the address it prints in any browser. The
// second wants a public address whose host is entered in WeChat's console, and WeChat's own browser.
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
	public := flag.String("url", "", "address that browsers use; default that of -addr")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if *public == "" {
		*public = "http://" + l.Addr().String()
	}
	at, err := url.Parse(*public)
	if err != nil || at.Host == "" {
		log.Fatal("-url must be a whole address, such as https://wx.example.com")
	}

	s := &site{sessions: new(store.Memory), address: strings.TrimSuffix(*public, "/")}
	s.login = &oauth.Login{
		AppID: os.Getenv("WECHAT_APP_ID"), Secret: os.Getenv("WECHAT_SECRET"), Store: s.sessions,
		URL: s.address + "/wx", Hosts: []string{at.Host}, Scope: oauth.ScopeUserInfo,
	}
	if s.login.AppID == "" { // no app at hand: play WeChat
		play(s.login)
	}
	fmt.Println(s.address + "/")
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(l))
}

// play gives the login a WeChat of this process, whose pages stand on an address of their own.
func play(login *oauth.Login) {
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

// site is an application with sessions of its own.
type site struct {
	login    *oauth.Login
	sessions store.Store
	address  string
}

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", s.login)
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /in", s.in)
	mux.HandleFunc("POST /out", s.out)
	return mux
}

const cookie = "session"

// home greets whoever has a session, and sends everybody else to log in.
func (s *site) home(w http.ResponseWriter, r *http.Request) {
	data := struct {
		User  *oauth.User
		Login string
	}{Login: s.address + "/wx/login?to=" + url.QueryEscape(s.address+"/in")}
	if c, err := r.Cookie(cookie); err == nil {
		b, ok, err := s.sessions.Get(r.Context(), "session/"+c.Value)
		if err == nil && ok {
			err = json.Unmarshal(b, &data.User)
		}
		if err != nil {
			http.Error(w, "the session could not be read", http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := page.Execute(w, data); err != nil {
		log.Print(err)
	}
}

// in is where a login returns to. The code is the only thing believed, and works once.
func (s *site) in(w http.ResponseWriter, r *http.Request) {
	u, err := s.login.Redeem(r.Context(), r.FormValue("login_code"))
	if errors.Is(err, oauth.ErrLoginCode) {
		http.Error(w, "this link was used before: log in again", http.StatusGone)
		return
	}
	id := rand.Text()
	b, jsonErr := json.Marshal(u)
	if err = errors.Join(err, jsonErr); err == nil {
		err = s.sessions.Set(r.Context(), "session/"+id, b, time.Hour)
	}
	if err != nil {
		http.Error(w, "not logged in: try again later", http.StatusServiceUnavailable)
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
			http.Error(w, "not logged out: try again later", http.StatusServiceUnavailable)
			return
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="zh-CN">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>登录示例</title>
<body style="font: 17px/1.6 system-ui, sans-serif; max-width: 28em; margin: 0 auto; padding: 15vh 24px; text-align: center">
{{with .User}}<h1>你好，<span id="nickname">{{.Nickname}}</span></h1>
<p><small>{{.OpenID}}</small></p>
<form action="/out" method="post"><button>退出 Log out</button></form>
{{else}}<p><a id="login" href="{{.Login}}">微信登录 Log in with WeChat</a></p>{{end}}
`))
