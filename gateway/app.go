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
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// app is one registered app, as it is served. It does not change: one that is registered anew is another app. Its rooms are
// built when they are first used.
type app struct {
	gateway *Gateway
	id      string // names what the stores keep for it, and stays when it is renamed
	name    string // in its routes

	appID, secret   string
	kind            wechat.Kind
	agentID         int
	classic         bool // token_mode
	keep            bool
	tickets         []string // that keep renews too
	expiresAt       time.Time
	allow           []string
	hosts           []string
	verifyFiles     map[string]string
	cards           bool
	signKey, oldKey string // sign_key and previous_sign_key

	message          *Message // as it is registered; nil without callbacks
	receiveIDs       ReceiveIDs
	forwardSignature bool

	rooms func() *rooms
	built atomic.Bool // rooms was called
}

// newApp returns an app as it is registered under a name.
func (g *Gateway) newApp(name string, r App) *app {
	a := &app{
		gateway: g, id: r.id(name), name: name,
		appID: r.AppID, secret: r.Secret, kind: r.Kind, agentID: r.AgentID, classic: r.TokenMode == "classic", keep: r.Keep, tickets: r.Tickets,
		expiresAt: r.ExpiresAt, allow: r.Allow, hosts: r.Hosts, verifyFiles: r.VerifyFiles, cards: r.Cards, signKey: r.SignKey, oldKey: r.PreviousSignKey,
		message: r.Message, receiveIDs: r.ReceiveIDs, forwardSignature: r.ForwardSignature,
	}
	a.rooms = sync.OnceValue(a.build)
	if _, ok := g.records.(*store.Memory); ok && a.message.copies() {
		g.log.Warn("copies of messages wait in the memory of this process alone: name records that last", "app", name)
	}
	if a.message != nil && len(a.message.Forward) > 0 && a.signKey == "" {
		g.log.Warn("messages are forwarded unsigned, and backends cannot tell them from forged ones: set sign_key", "app", name)
	}
	return a
}

// rooms are the parts that serve an app, and the muxes they stand on.
type rooms struct {
	tokens   *token.Manager  // nil for a website
	tickets  *ticket.Manager // nil for a website
	messages *message.Receiver

	muxes map[side]func() *http.ServeMux
}

// mux returns the mux of a side.
func (r *rooms) mux(s side) *http.ServeMux { return r.muxes[s]() }

func (a *app) build() *rooms {
	g, r := a.gateway, new(rooms)
	a.built.Store(true)
	var private, public []wetoken.Part
	if a.kind != wechat.Website {
		r.tokens = &token.Manager{AppID: a.appID, Secret: a.secret, Kind: a.kind, Classic: a.classic, Store: g.store, Client: a.wire(), Report: a.report}
		r.tickets = &ticket.Manager{AppID: a.appID, Kind: a.kind, AgentID: a.agentID, Tokens: r.tokens, Store: g.store, Client: a.wire(), Report: a.report}
		private = append(private,
			&token.Handler{Source: r.tokens, Guard: a.guardSource("token")},
			&ticket.Handler{Source: r.tickets, Guard: a.guardSource("ticket")},
			retry{a, r})
		if a.kind != wechat.Mini {
			signer := &jssdk.Signer{AppID: a.appID, Tickets: r.tickets, Hosts: a.hosts, Kind: a.kind, AgentID: a.agentID}
			public = append(public, &jssdk.Handler{Signer: signer, Cards: a.cards})
			private = append(private, &jssdk.CardHandler{Signer: signer, Guard: a.guard("ticket")})
		}
	}
	source, login := a.logins(r.tokens)
	private = append(private, &oauth.Handler{Source: source, Guard: a.guard("login")})
	public = append(public, login)
	r.messages = g.nobody
	if a.message != nil {
		in, err := a.receiver(r.tokens)
		if err != nil { // which Config.Check would have found
			g.log.Error("callbacks are not served", "app", a.name, "error", err)
		} else {
			r.messages = in
		}
	}
	public = append(public, r.messages)
	r.muxes = map[side]func() *http.ServeMux{privateSide: mux(private...), publicSide: mux(public...), bothSides: mux(either(private, public))}
	return r
}

// logins are the part that logs the app's users in, and what tells who they are.
func (a *app) logins(tokens *token.Manager) (oauth.Source, wetoken.Part) {
	g := a.gateway
	if a.kind == wechat.Mini {
		m := &oauth.Mini{AppID: a.appID, Name: a.id, Secret: a.secret, Store: g.store, Tokens: tokens, Client: a.wire()}
		return m, m
	}
	l := &oauth.Login{
		AppID: a.appID, Name: a.id, Secret: a.secret, Kind: a.kind, AgentID: a.agentID, Store: g.store, Records: g.records, Client: a.wire(),
		URL: strings.TrimSuffix(g.publicURL, "/") + "/app/" + url.PathEscape(a.name), Hosts: a.hosts,
		OpenURL: g.endpoints.Open, SSOURL: g.endpoints.Login,
	}
	if a.kind == wechat.Work {
		l.Tokens = tokens
	}
	return l, l
}

func (a *app) receiver(tokens *token.Manager) (*message.Receiver, error) {
	g := a.gateway
	ids, all := a.receiveIDs.of(a.appID)
	return a.message.receiver(message.Config{
		AppID: a.appID, ReceiveIDs: ids, AnyReceiveID: all, Kind: a.kind,
		Name: a.id, Store: g.store, Log: g.log.With("app", a.name),
		Forward: message.Forwarding{
			Outbox: g.outbox, SignKeys: []string{a.signKey, a.oldKey}, API: a.wire().With(tokens, ""),
			Signature: a.forwardSignature, Hosts: a.hosts,
		},
	})
}

// wire is the way to WeChat's servers.
func (a *app) wire() *wechat.Client {
	base := a.gateway.endpoints.API
	if a.kind == wechat.Work {
		base = cmp.Or(a.gateway.endpoints.Work, wechat.WorkURL)
	}
	return &wechat.Client{BaseURL: base, HTTP: a.gateway.http}
}

func (a *app) report(ctx context.Context, err error) {
	if isReported(err) {
		return
	}
	a.gateway.log.WarnContext(ctx, "a token or ticket could not be renewed", "app", a.name, "error", err)
}

// guardSource lets callers read with scope, and renew with the scope for that.
func (a *app) guardSource(scope string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		read, renew := a.guard(scope)(next), a.guard("renew")(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				renew.ServeHTTP(w, r)
				return
			}
			read.ServeHTTP(w, r)
		})
	}
}

func (a *app) expired() bool { return !a.expiresAt.IsZero() && time.Now().After(a.expiresAt) }

// allows reports whether the app may be used through the route below /app/{app}/.
func (a *app) allows(route string) bool {
	if len(a.allow) == 0 {
		return true
	}
	for _, allowed := range a.allow {
		allowed = strings.Trim(allowed, "/")
		if allowed == "" || route == allowed || strings.HasPrefix(route, allowed+"/") {
			return true
		}
	}
	return false
}
