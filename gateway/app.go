package gateway

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// app is one registered app. Its rooms are built when they are first used.
type app struct {
	App
	gateway *Gateway
	name    string

	once  sync.Once
	built *rooms
}

// rooms are the parts that serve an app.
type rooms struct {
	tokens     *token.Manager
	tickets    *ticket.Manager
	privateMux http.Handler
}

func (a *app) rooms() *rooms {
	a.once.Do(func() { a.built = a.build() })
	return a.built
}

func (a *app) build() *rooms {
	g := a.gateway
	wire := &wechat.Client{BaseURL: g.config.Endpoints.API, HTTP: g.http}
	if a.Kind == Work {
		wire.BaseURL = g.config.Endpoints.Work
	}
	report := func(ctx context.Context, err error) {
		g.log.WarnContext(ctx, "served all the same", "app", a.name, "error", err)
	}
	r := &rooms{}
	r.tokens = &token.Manager{AppID: a.AppID, Secret: a.Secret, Mode: a.tokenMode(), Store: g.store, Client: wire, Report: report}
	r.tickets = &ticket.Manager{AppID: a.AppID, Work: a.Kind == Work, AgentID: a.AgentID, Tokens: r.tokens, Store: g.store, Client: wire, Report: report}
	r.privateMux = wetoken.Handler(
		&token.Handler{Source: r.tokens, Guard: a.guard("token")},
		&ticket.Handler{Source: r.tickets, Guard: a.guard("ticket")},
		rest{g.nothing},
	)
	return r
}

// rest serves what no other part does.
type rest struct{ serve http.HandlerFunc }

func (p rest) Routes() map[string]http.Handler { return map[string]http.Handler{"/": p.serve} }

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

// allows tells whether the app may be used through the route below /app/{app}/.
func (a *app) allows(route string) bool {
	if len(a.Allow) == 0 {
		return true
	}
	for _, allowed := range a.Allow {
		allowed = strings.Trim(allowed, "/")
		if route == allowed || strings.HasPrefix(route, allowed+"/") {
			return true
		}
	}
	return false
}
