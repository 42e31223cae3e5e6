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
	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// app is one registered app, as it is served. It does not change: an app that is registered again is another app. Its
// handlers are built on first use.
type app struct {
	gateway *Gateway
	id      string // part of the keys in the stores; stays the same when the app is renamed
	name    string // in its routes
	former  []registry.Former

	publicURL string // base of its public URLs

	appID, secret            string
	nextSecret               string
	previousSecret           string
	kind                     wechat.Kind
	agentID                  int
	classic                  bool // token_mode
	keep                     bool
	tickets                  []string // renewed too where keep is set
	expiresAt                time.Time
	allow                    []string
	hosts                    []string
	verifyFiles              map[string]string
	cards                    bool
	signKey, previousSignKey string // sign_key and previous_sign_key
	wcodeTemplateID          string

	platform     string    // name of the platform that the app has authorized; its kind is then that of the account
	revokedAt    time.Time // while the authorization is revoked
	releaseCheck bool      // of a platform

	message          *Message // nil without callbacks
	receiveIDs       ReceiveIDs
	forwardSignature bool

	pay        *appPay // nil without payments
	openMaxFen int64   // open_pay.max_fen

	managers func() *managers
	handlers func() *handlers
	built    atomic.Bool // whether managers was called
}

// newApp returns the app that c registers under name.
func (g *Gateway) newApp(name string, c App) *app {
	a := &app{
		gateway: g, id: c.id(name), name: name, publicURL: cmp.Or(c.PublicURL, g.publicURL),
		appID: c.AppID, secret: c.Secret, nextSecret: c.NextSecret, previousSecret: c.PreviousSecret, kind: c.Kind, agentID: c.AgentID, classic: c.TokenMode == "classic", keep: c.Keep, tickets: c.Tickets,
		expiresAt: c.ExpiresAt, allow: c.Allow, hosts: c.Hosts, verifyFiles: c.VerifyFiles, cards: c.Cards, signKey: c.SignKey, previousSignKey: c.PreviousSignKey, wcodeTemplateID: c.WCodeTemplateID,
		platform: c.Platform, revokedAt: c.RevokedAt, releaseCheck: c.ReleaseCheck,
		openMaxFen: c.OpenPay.MaxFen, message: c.Message, receiveIDs: c.ReceiveIDs, forwardSignature: c.ForwardSignature,
	}
	if c.Kind == wechat.Authorized {
		a.kind = c.accountKind()
		g.inheritPlatform(a)
	}
	a.managers, a.handlers = sync.OnceValue(a.newManagers), sync.OnceValue(a.buildHandlers)
	a.pay = g.newPay(a, c.Pay)
	if _, ok := g.records.(*store.Memory); ok && a.message.hasCopies() {
		g.log.Warn("copies of messages are kept in the memory of this process only: set records to a durable store", "app", name)
	}
	if a.message != nil && len(a.message.Forward) > 0 && a.signKey == "" {
		g.log.Warn("messages are forwarded without a signature, so backends cannot detect forged ones: set sign_key", "app", name)
	}
	return a
}

// managers keep the credentials of an app.
type managers struct {
	tokens  *token.Manager  // nil for a website or a platform
	tickets *ticket.Manager // nil for a website or a platform

	platform *platform.Platform // of a platform; else nil

	tokenDue   dueTime
	ticketsDue []dueTime // in the order of the app's tickets

	told    atomic.Pointer[told]
	renewed atomic.Pointer[string] // the token that Renew has returned last
}

func (a *app) newManagers() *managers {
	a.built.Store(true)
	switch a.kind {
	case wechat.Website:
		return new(managers)
	case wechat.Platform:
		return &managers{platform: a.newPlatform()}
	}
	m := &managers{ticketsDue: make([]dueTime, len(a.tickets))}
	m.tokens = &token.Manager{AppID: a.appID, Secret: a.secret, NextSecret: a.nextSecret, Kind: a.kind, Classic: a.classic, Store: a.gateway.store, Client: a.newClient(), OnError: a.logRenewalError}
	if a.platform != "" {
		a.keepByPlatform(m.tokens)
	}
	m.tickets = &ticket.Manager{AppID: a.appID, Kind: a.kind, AgentID: a.agentID, Tokens: sharedToken{m.tokens, a}, Store: a.gateway.store, Client: a.newClient(), OnError: a.logRenewalError}
	return m
}

// handlers are the parts that serve an app, and their muxes.
type handlers struct {
	*managers
	messages *message.Receiver
	pages    *jssdk.Handler // nil for an app whose pages cannot be signed
	login    *oauth.Login   // nil for a mini program

	platformPart *platformPart // of a platform; else nil

	shared          *sharedMuxes
	private, public []wetoken.Part
	onPrivate       lazyRoutes
	onPublic        lazyRoutes
	onBoth          lazyRoutes
}

// routes returns the routes of a side, which the first call makes.
func (h *handlers) routes(s side) *routes {
	switch s {
	case privateSide:
		return h.onPrivate.get(h.shared, h.private...)
	case publicSide:
		return h.onPublic.get(h.shared, h.public...)
	}
	return h.onBoth.get(h.shared, bothParts{h})
}

func (a *app) buildHandlers() *handlers {
	h := &handlers{managers: a.managers(), shared: &a.gateway.muxes}
	if a.kind == wechat.Platform {
		a.buildPlatform(h)
		return h
	}
	var private, public []wetoken.Part
	if a.kind != wechat.Website {
		private = append(private,
			&token.Handler{Source: sharedToken{h.tokens, a}, Guard: a.guardReadOrRenew("token")},
			&ticket.Handler{Source: h.tickets, Guard: a.guardReadOrRenew("ticket")},
			retryPart{a, h.managers})
		if a.kind != wechat.Mini {
			signer := &jssdk.Signer{AppID: a.appID, Tickets: h.tickets, Hosts: a.hosts, Kind: a.kind, AgentID: a.agentID}
			h.pages = &jssdk.Handler{Signer: signer, Cards: a.cards}
			public = append(public, h.pages)
			private = append(private, &jssdk.CardHandler{Signer: signer, Guard: a.guard("ticket")})
		}
	}
	source, login := a.newLogin(sharedToken{h.tokens, a})
	h.login, _ = login.(*oauth.Login)
	private = append(private, &oauth.Handler{Source: source, Guard: a.guard("login")})
	h.messages = a.newReceiverOrRefusal(sharedToken{h.tokens, a})
	public = append(public, login, h.messages)
	if a.pay != nil {
		private, public = append(private, a.pay.privatePart(a), a.payLinks()), append(public, a.pay.publicPart(a))
	}
	h.private, h.public = private, public
	return h
}

// newLogin returns the source that redeems login codes, and the part that logs the app's users in.
func (a *app) newLogin(tokens wechat.TokenSource) (oauth.Source, wetoken.Part) {
	g := a.gateway
	platformID, platformTokens := a.platformTokens()
	if a.kind == wechat.Mini {
		m := &oauth.Mini{PlatformID: platformID, PlatformTokens: platformTokens, AppID: a.appID, Name: a.id, Secret: a.secret, NextSecret: a.nextSecret, Store: g.store, Tokens: tokens, Client: a.newClient()}
		return m, m
	}
	l := &oauth.Login{
		PlatformID: platformID, PlatformTokens: platformTokens,
		AppID: a.appID, Name: a.id, Secret: a.secret, NextSecret: a.nextSecret, Kind: a.kind, AgentID: a.agentID, Store: g.store, Records: g.records, Client: a.newClient(),
		URL: strings.TrimSuffix(a.publicURL, "/") + "/app/" + url.PathEscape(a.name), Hosts: a.hosts,
		OpenURL: g.endpoints.Open, SSOURL: g.endpoints.Login,
	}
	if a.kind == wechat.Work {
		l.Tokens = tokens
	}
	return l, l
}

// newReceiverOrRefusal returns the receiver of the app's callbacks, or one that refuses all of them.
func (a *app) newReceiverOrRefusal(tokens wechat.TokenSource) *message.Receiver {
	if a.message == nil {
		return a.gateway.unknownApp
	}
	r, err := a.newReceiver(tokens)
	if p := a.gateway.platformNamed(a.platform); err == nil && a.platform != "" && p != nil && p.releaseCheck {
		p.part().answerRelease(r, len(a.message.Forward) == 0)
	}
	if err != nil { // Config.Check finds this error before
		a.gateway.log.Error("callbacks are not served", "app", a.name, "error", err)
		return a.gateway.unknownApp
	}
	return r
}

func (a *app) newReceiver(tokens wechat.TokenSource) (*message.Receiver, error) {
	g := a.gateway
	ids, all := a.receiveIDs.accepted(a.appID)
	return a.message.newReceiver(message.Config{
		AppID: a.appID, ReceiveIDs: ids, AnyReceiveID: all, Kind: a.kind,
		Name: a.id, Store: g.store, Log: g.log.With("app", a.name),
		Forward: message.Forwarding{
			Outbox: g.outbox, SignKeys: []string{a.signKey, a.previousSignKey}, API: a.newClient().With(tokens, ""),
			Signature: a.forwardSignature, Hosts: a.hosts,
		},
	})
}

// newClient returns a client of the WeChat servers that the app's kind uses.
func (a *app) newClient() *wechat.Client {
	base := a.gateway.endpoints.API
	if a.kind == wechat.Work {
		base = cmp.Or(a.gateway.endpoints.Work, wechat.WorkURL)
	}
	return &wechat.Client{BaseURL: base, HTTP: a.gateway.http}
}

func (a *app) logRenewalError(ctx context.Context, err error) {
	if isReported(err) {
		return
	}
	a.gateway.log.WarnContext(ctx, "renewal of a token or ticket failed", "app", a.name, "error", err)
}

// guardReadOrRenew guards POST with the scope renew, and every other method with scope.
func (a *app) guardReadOrRenew(scope string) func(http.Handler) http.Handler {
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

func (a *app) expired() bool { return isPast(a.expiresAt) }

// isPast reports whether an end of a registration has passed; zero is never.
func isPast(end time.Time) bool { return !end.IsZero() && time.Now().After(end) }

// allows reports whether the app's setting allow admits a route below /app/{app}/.
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

// bothParts is the part with the routes of both sides.
type bothParts struct{ *handlers }

func (b bothParts) Routes() map[string]http.Handler { return mergeSides(b.private, b.public).Routes() }
