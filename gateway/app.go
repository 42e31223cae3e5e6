package gateway

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// app is one registered app. Its rooms are built when they are first used.
type app struct {
	App
	gateway *Gateway
	name    string

	rooms func() *rooms
	built atomic.Bool // rooms was called
}

// rooms are the parts that serve an app, and the muxes they stand on.
type rooms struct {
	tokens   *token.Manager  // nil for a website
	tickets  *ticket.Manager // nil for a website
	messages *message.Receiver

	private, public, both func() *http.ServeMux
}

// mux returns the mux of a side.
func (r *rooms) mux(s side) *http.ServeMux {
	switch s {
	case side{private: true}:
		return r.private()
	case side{public: true}:
		return r.public()
	}
	return r.both()
}

func (g *Gateway) newApp(name string, settings App) *app {
	a := &app{App: settings, gateway: g, name: name}
	a.rooms = sync.OnceValue(a.build)
	return a
}

func (a *app) build() *rooms {
	g, r := a.gateway, new(rooms)
	a.built.Store(true)
	var private, public []wetoken.Part
	if a.Kind != Website {
		r.tokens = &token.Manager{AppID: a.AppID, Secret: a.Secret, Mode: a.tokenMode(), Store: g.store, Client: a.wire(), Report: a.report}
		r.tickets = &ticket.Manager{AppID: a.AppID, Work: a.Kind == Work, AgentID: a.AgentID, Tokens: r.tokens, Store: g.store, Client: a.wire(), Report: a.report}
		private = append(private,
			&token.Handler{Source: r.tokens, Guard: a.guard("token")},
			&ticket.Handler{Source: r.tickets, Guard: a.guard("ticket")},
			retry{a, r})
		if a.Kind != Mini {
			signer := &jssdk.Signer{AppID: a.AppID, Tickets: r.tickets, Hosts: a.Hosts, Work: a.Kind == Work, AgentID: a.AgentID}
			public = append(public, &jssdk.Handler{Signer: signer, Cards: a.Cards})
			private = append(private, &jssdk.CardHandler{Signer: signer, Guard: g.guard(a.name, "ticket")})
		}
	}
	source, login := a.logins(r.tokens)
	private = append(private, &oauth.Handler{Source: source, Guard: g.guard(a.name, "login")})
	public = append(public, login)
	r.messages = g.nobody
	if a.Message != nil {
		in, err := a.receiver(r.tokens)
		if err != nil { // which Config.Check would have found
			g.log.Error("callbacks are not served", "app", a.name, "error", err)
		} else {
			r.messages = in
		}
	}
	public = append(public, r.messages)
	r.private = mux(a.refuseRoute(side{private: true}), private...)
	r.public = mux(a.refuseRoute(side{public: true}), public...)
	r.both = mux(a.refuseRoute(side{private: true, public: true}), either(private, public))
	return r
}

// logins are the part that logs the app's users in, and what tells who they are.
func (a *app) logins(tokens *token.Manager) (oauth.Source, wetoken.Part) {
	g := a.gateway
	if a.Kind == Mini {
		m := &oauth.Mini{AppID: a.AppID, Name: a.name, Secret: a.Secret, Store: g.store, Tokens: tokens, Client: a.wire()}
		return m, m
	}
	l := &oauth.Login{
		AppID: a.AppID, Name: a.name, Secret: a.Secret, AgentID: a.AgentID, Store: g.store, Records: g.records, Client: a.wire(),
		URL: strings.TrimSuffix(g.config.PublicURL, "/") + "/app/" + url.PathEscape(a.name), Hosts: a.Hosts,
		OpenURL: g.config.Endpoints.Open, SSOURL: g.config.Endpoints.Login,
	}
	switch a.Kind {
	case Work:
		l.Kind, l.Tokens = oauth.Work, tokens
	case Website:
		l.Kind = oauth.Website
	}
	return l, l
}

func (a *app) receiver(tokens *token.Manager) (*message.Receiver, error) {
	g := a.gateway
	ids, all := a.ReceiveIDs.of(a.AppID)
	return a.Message.receiver(message.Config{
		AppID: a.AppID, ReceiveIDs: ids, AnyReceiveID: all, Mini: a.Kind == Mini,
		Name: a.name, Store: g.store, Log: g.log.With("app", a.name),
		Forward: message.Forwarding{
			Outbox: g.outbox, SignKeys: []string{a.SignKey, a.PreviousSignKey}, API: a.wire().With(tokens, ""),
			Signature: a.ForwardSignature, Hosts: a.Hosts,
		},
	})
}

// wire is the way to WeChat's servers.
func (a *app) wire() *wechat.Client {
	base := a.gateway.config.Endpoints.API
	if a.Kind == Work {
		base = cmp.Or(a.gateway.config.Endpoints.Work, wechat.WorkURL)
	}
	return &wechat.Client{BaseURL: base, HTTP: a.gateway.http}
}

func (a *app) report(ctx context.Context, err error) {
	a.gateway.log.WarnContext(ctx, "a token or ticket could not be renewed", "app", a.name, "error", err)
}

// guard lets callers read with scope, and renew with the scope for that.
func (a *app) guard(scope string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		read := a.gateway.guard(a.name, scope)(next)
		renew := a.gateway.guard(a.name, "renew")(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				renew.ServeHTTP(w, r)
				return
			}
			read.ServeHTTP(w, r)
		})
	}
}

func (a *app) expired() bool { return !a.ExpiresAt.IsZero() && time.Now().After(a.ExpiresAt) }

// allows reports whether the app may be used through the route below /app/{app}/.
func (a *app) allows(route string) bool {
	if len(a.Allow) == 0 {
		return true
	}
	for _, allowed := range a.Allow {
		allowed = strings.Trim(allowed, "/")
		if allowed == "" || route == allowed || strings.HasPrefix(route, allowed+"/") {
			return true
		}
	}
	return false
}
