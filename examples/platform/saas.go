package main

import (
	"context"
	"crypto/rand"
	"errors"
	"html/template"
	"log"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/message/event"
	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// saas is the platform, with the accounts that have authorized it.
type saas struct {
	url      string
	platform *platform.Platform
	store    store.Store

	mu       sync.Mutex
	accounts map[string]*account // by appid
}

// account is an account that has authorized the platform.
type account struct {
	platform.Account
	tokens *token.Manager
}

// handler serves WeChat and browsers.
func (s *saas) handler(tok, key string) (http.Handler, error) {
	in, err := message.New(message.Config{AppID: s.platform.AppID, Token: tok, EncodingAESKey: key, Store: s.store})
	if err != nil {
		return nil, err
	}
	in.Handle(func(m *message.Message) bool { return m.InfoType != "" }, s.notice)
	mux := http.NewServeMux()
	mux.Handle("POST /wx/event", in)
	messages, err := message.New(message.Config{AppID: s.platform.AppID, Token: tok, EncodingAESKey: key, Store: s.store, Name: "messages"})
	if err != nil {
		return nil, err
	}
	messages.Handle(message.OnType("text"), func(_ context.Context, m *message.Message) (message.Reply, error) {
		return message.Text("the platform has read: " + m.Content), nil
	})
	mux.Handle("POST /wx/message/{appid}", messages)
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /authorize", s.authorize)
	mux.HandleFunc("GET /authorized", s.authorized)
	return mux, nil
}

// notice handles what WeChat posts to the event URL.
func (s *saas) notice(ctx context.Context, m *message.Message) (message.Reply, error) {
	var ticket event.ComponentVerifyTicket
	var e event.Authorized
	switch m.InfoType {
	case "component_verify_ticket":
		if err := m.Decode(&ticket); err != nil {
			return nil, err
		}
		return nil, s.platform.SaveTicket(ctx, ticket.ComponentVerifyTicket, m.CreateTime)
	case "authorized", "updateauthorized":
		if err := m.Decode(&e); err != nil {
			return nil, err
		}
		return nil, s.add(ctx, e.AuthorizationCode, m.CreateTime)
	case "unauthorized":
		if err := m.Decode(&e); err != nil {
			return nil, err
		}
		revoked, err := s.platform.Revoke(ctx, e.AuthorizerAppID, m.CreateTime)
		if err == nil && revoked {
			s.remove(ctx, e.AuthorizerAppID)
		}
		return nil, err
	}
	return nil, nil
}

// add exchanges an authorization code, and keeps its account.
func (s *saas) add(ctx context.Context, code string, at time.Time) error {
	a, err := s.platform.Authorize(ctx, code, at)
	if err != nil {
		return err
	}
	if a, err = s.platform.Account(ctx, a.AppID); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[a.AppID] = &account{a, &token.Manager{
		AppID: a.AppID, Kind: wechat.Authorized, PlatformID: s.platform.AppID, Fetch: s.platform.Authorizer(a.AppID).Fetch,
		Store: s.store, Client: s.platform.Client,
	}}
	return nil
}

func (s *saas) remove(ctx context.Context, appID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[appID]; a != nil {
		if err := a.tokens.Forget(ctx); err != nil {
			log.Print(err)
		}
	}
	delete(s.accounts, appID)
}

const cookieName = "state"

// authorize shows a page that leads to WeChat's, which demands a page of this host before its own.
func (s *saas) authorize(w http.ResponseWriter, r *http.Request) {
	state := rand.Text()
	address, _, err := s.platform.AuthorizeURL(r.Context(), platform.Page{RedirectURI: s.url + "/authorized?state=" + state})
	if err != nil {
		status := http.StatusBadGateway
		if errors.Is(err, platform.ErrNoTicket) {
			status = http.StatusServiceUnavailable
		}
		http.Error(w, err.Error(), status)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: state, Path: "/authorized", MaxAge: 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	show(w, "go", address)
}

// authorized is where WeChat sends the browser back.
func (s *saas) authorized(w http.ResponseWriter, r *http.Request) {
	c, err := r.Cookie(cookieName)
	if err != nil || c.Value != r.URL.Query().Get("state") {
		http.Error(w, "the authorization began in another browser", http.StatusForbidden)
		return
	}
	if err := s.add(r.Context(), r.URL.Query().Get("auth_code"), time.Time{}); err != nil {
		log.Print(err)
		http.Error(w, "not authorized: try again", http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// home lists the accounts, and tries the token of each.
func (s *saas) home(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	accounts := maps.Clone(s.accounts)
	s.mu.Unlock()
	type row struct{ AppID, Name, State string }
	var rows []row
	for _, appID := range slices.Sorted(maps.Keys(accounts)) {
		a := accounts[appID]
		one := row{AppID: appID, Name: a.Name, State: "its token works"}
		api := s.platform.Client.With(a.tokens, wechat.APIURL)
		if err := api.Get(r.Context(), "/cgi-bin/get_api_domain_ip", nil, nil); err != nil {
			one.State = err.Error()
		}
		rows = append(rows, one)
	}
	show(w, "home", rows)
}

var pages = template.Must(template.New("pages").Parse(`
{{define "home"}}<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Platform</title>
<h1>Accounts</h1>
<ul>{{range .}}<li id="{{.AppID}}">{{.Name}}: {{.State}}</li>{{else}}<li>none yet</li>{{end}}</ul>
<p><a id="authorize" href="/authorize">Authorize an account</a></p></html>{{end}}
{{define "go"}}<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="origin"><title>Platform</title>
<p><a id="go" href="{{.}}">Go on to WeChat</a></p></html>{{end}}
`))

func show(w http.ResponseWriter, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.Print(err)
	}
}
