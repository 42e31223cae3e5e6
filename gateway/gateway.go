// Package gateway serves many WeChat apps at one address: it knows the apps and the callers that may use them, and passes
// each request to the handlers of the app that its path names.
//
//	g, err := gateway.New(gateway.Options{Config: config, Store: s})
//	go http.ListenAndServe("127.0.0.1:8081", g.Private())
//	http.ListenAndServe(":8080", g.Public())
//
// # Sides
//
// [Gateway.Private] is for our own services, which send a caller key; [Gateway.Public] is for WeChat and browsers.
//
// # Errors
//
// Errors are {"errcode":…,"errmsg":"…"}: 401 without a key, or with an unknown or expired one; 403 without the scope, or from an
// address that the key is not for; 429 beyond the rate of the key; 404 for an unknown app or route, and for a path such as //x or
// /x/../y, which is never redirected; 405 for a wrong method; 503 for a registered app or key that this process does not hold,
// while the records cannot be read; and for failures of WeChat the statuses that token.Handler lists.
// Only callers with a key learn which of them an app or route is.
package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/journal"
	"github.com/wetoken/wetoken/internal/logline"
	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/internal/relay"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
)

// Options are the configuration of a gateway, and the stores and clients that it uses.
type Options struct {
	Config Config

	Store   store.Store  // shared and disposable: tokens, tickets, leases; default the memory of this process
	Records store.Store  // durable; default Store
	HTTP    *http.Client // for calls to WeChat; default one with timeouts
	Log     *slog.Logger // default slog.Default

	// DecodeP12 returns the key and the certificate in a file of PKCS #12, such as apiclient_cert.p12. Default such files are
	// refused. cmd/server has one.
	DecodeP12 func(file []byte, password string) (key any, certificate *x509.Certificate, err error)

	// RegisterUnsealed lets apps and caller keys be registered although Records is not a [store.Sealed], and has no method Sealed() bool that
	// returns true: their secrets are then stored as they are, and who can write to Records can register apps and keys. Default
	// [Gateway.Apps] and [Gateway.Keys] register none, and Records is not asked for any.
	RegisterUnsealed bool

	// CheckPayments returns why Records must not keep payments, such as that it is not durable, or nil. An app with payments then
	// cannot be registered, and a registered one serves no payments: [Apps]. Default nil. New itself does not check where Records keeps
	// its values.
	CheckPayments func(context.Context) error

	// PublicFallback and PrivateFallback serve the requests that neither an app nor the gateway has a route for, before they
	// are refused with 404 or 405. New calls each function once. Both uses the handlers of both sides: first those of the
	// public side, or those of the private side for a request with an Authorization. A path such as //x or /x/../y is refused
	// before, with 404.
	//
	// The handlers are tried in order. A handler with the method Handler of *http.ServeMux serves the requests for which that
	// method returns a pattern, and a 405 lists the methods of its patterns. Any other handler, such as
	// httputil.ReverseProxy, serves every request, so it must be the last. A fallback sees the whole path of a request. It
	// has to authenticate callers itself, such as with [Gateway.Caller]: the gateway checks no caller key before, not even on the
	// private side. Package compat has fallbacks for the clients of older systems.
	PublicFallback, PrivateFallback []func(*Gateway) http.Handler

	redacted
}

// checkStores returns an error for the URL of a store that o does not hold, since nothing would be kept there.
func (o Options) checkStores() error {
	c := o.Config
	for _, s := range []struct {
		key, field string
		missing    bool
	}{
		{"store", "Store", c.Store != "" && o.Store == nil},
		{"records", "Records", c.Records != "" && c.Records != c.Store && o.Records == nil},
	} {
		if s.missing {
			return fmt.Errorf("gateway: config: %s: names a store that New does not open: pass it as Options.%s", s.key, s.field)
		}
	}
	return nil
}

// Gateway serves the apps of a [Config]. Its methods are safe for concurrent use.
type Gateway struct {
	served atomic.Pointer[snapshot]

	fileApps   map[string]App // of the configuration
	fileKeys   []Key          // of the configuration, without the keys
	registered *registered    // nil where none may be

	keepRate  int
	publicURL string
	endpoints Endpoints
	proxies   []netip.Prefix

	store    store.Store
	records  store.Store
	oneStore bool // whether records is store

	http       *http.Client
	log        *slog.Logger
	outbox     *outbox.Outbox    // copies of messages, of all apps
	unknownApp *message.Receiver // refuses the callbacks of unknown apps, and of apps without callbacks

	checkMoney func(context.Context) error // returns why registered apps must not take payments
	payBegun   chan struct{}               // closed once a registered app with payments was used
	payBegin   sync.Once
	relays     *outbox.Outbox // of payments, of all apps
	relayState relayState
	relayHTTP  *http.Client // for reports; nil for one that all of relay.Sender share
	merchants  map[string]*merchant
	decodeP12  func(file []byte, password string) (any, *x509.Certificate, error)

	publicFallback, privateFallback []http.Handler

	muxes    sharedMuxes
	onPublic func() http.Handler // the public side, for reports to this server
	hasProxy bool                // compat has wechat-proxy

	journal    *journal.Journal // of audit entries
	repeated   repeats
	failures   perMinute
	failedKeys logline.Limiter[failedKey]

	warnings             logline.Limiter[string] // about records
	refusedCalls         logline.Limiter[refusedCall]
	refusedNotifications logline.Limiter[refusedNotification]
	draining             atomic.Bool
	warnLimitsOff        sync.Once

	redacted
}

// New returns a gateway, or an error that names the key of the configuration that is wrong.
func New(o Options) (*Gateway, error) {
	c, err := o.Config.withOwnMerchants()
	if err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	if err := o.checkStores(); err != nil {
		return nil, err
	}
	g := &Gateway{keepRate: cmp.Or(c.KeepRate, defaultKeepRate), publicURL: c.PublicURL, endpoints: c.Endpoints, store: o.Store, records: o.Records, http: o.HTTP, log: o.Log}
	if g.store == nil {
		g.store = new(store.Memory)
	}
	if g.records == nil {
		g.records, g.oneStore = g.store, true
	}
	if g.log == nil {
		g.log = slog.Default()
	}
	g.fileApps, g.fileKeys, g.registered = c.Apps, withoutKeys(c.Keys), g.newRegistered(o)
	g.journal = g.newJournal(c.AuditDays)
	g.checkMoney, g.payBegun = o.paymentCheck(), make(chan struct{})
	g.outbox, g.relays, g.decodeP12 = g.newOutbox(), g.newRelays(), o.DecodeP12
	if g.merchants, err = g.loadMerchants(c); err != nil {
		return nil, fmt.Errorf("gateway: config: %w", err)
	}
	if g.proxies, err = c.proxies(); err != nil {
		return nil, err
	}
	if g.unknownApp, err = message.New(message.Config{AppID: "nobody", Token: rand.Text(), Log: g.log.With("app", "(none with callbacks)")}); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := g.checkPlatforms(c); err != nil {
		return nil, err
	}
	first, err := g.buildSnapshot(c)
	if err != nil {
		return nil, err
	}
	g.served.Store(first)
	g.onPublic, g.hasProxy = sync.OnceValue(g.Public), c.Compat.Has(CompatProxy)
	if g.publicFallback, err = g.newFallbacks("PublicFallback", o.PublicFallback); err != nil {
		return nil, err
	}
	if g.privateFallback, err = g.newFallbacks("PrivateFallback", o.PrivateFallback); err != nil {
		return nil, err
	}
	return g, nil
}

// buildSnapshot returns the snapshot of a configuration. It keeps digests of the caller keys, and no key.
func (g *Gateway) buildSnapshot(c Config) (*snapshot, error) {
	all, err := newCallers(c.Keys, c.Apps)
	if err != nil {
		return nil, err
	}
	apps := make([]*app, 0, len(c.Apps))
	for name, a := range c.Apps {
		apps = append(apps, g.newApp(name, a))
	}
	return newSnapshot(apps, all)
}

// Private serves our own services:
//
//	GET  /app/{app}/token           scope token
//	POST /app/{app}/token           scope renew
//	GET  /app/{app}/ticket/{type}   scope ticket
//	POST /app/{app}/ticket/{type}   scope renew
//	POST /app/{app}/js/card         scope ticket, of an official account
//	POST /app/{app}/login/redeem    scope login
//	POST /app/{app}/phone           scope login, of a mini program
//	POST /app/{app}/retry           scope admin: asks WeChat again after a refusal
//	…    /app/{app}/pay/…           scopes pay, refund and transfer: see pay.Handler
//	POST /app/{app}/pay/links       scope pay: a link to a payment, for wechat-proxy's routes: see Compat
//	ANY  /app/{app}/pay/api/{path}  scope pay-api: a call of APIv3, signed; GET, POST, PUT, PATCH or DELETE
//	POST /app/{platform}/authorizations  scope admin: a link for the administrator of an account
//	GET  /apps, GET, PUT and DELETE /apps/{name}, POST /apps/{name}/rename
//	                                scope admin for all apps: see Apps
//	GET  /merchants, GET, PUT and DELETE /merchants/{name}
//	                                scope admin for all apps: see Merchants
//	GET  /keys, POST /keys          scope admin for all apps: caller keys
//	POST /keys/{name}/rotate        scope admin for all apps
//	DELETE /keys/{name}             scope admin for all apps
//	GET  /audit                     scope admin for all apps: who did what
//	GET  /healthz, /readyz          no key
//
// See token.Handler, ticket.Handler, jssdk.CardHandler, oauth.Handler and pay.Handler.
func (g *Gateway) Private() http.Handler { return g.serve(privateSide) }

// Public serves WeChat and browsers:
//
//	GET, POST /app/{app}/message           callbacks: the URL to enter in WeChat's console
//	GET  /app/{app}/login?to=              web login, which redirects to to with a login_code
//	GET  /app/{app}/login/callback         where WeChat sends the browser back
//	POST /app/{app}/session                of a mini program
//	GET  /app/{app}/js/config.js           signs the page that holds it
//	POST /app/{app}/js/config              signs the page in url
//	POST /app/{app}/js/card                signs cards by their id, of an app with cards: true
//	POST /app/{app}/pay/notify             notifications of payments
//	GET  /app/{app}/pay/qr/{id}            the QR code of an order, by its random id
//	GET  /app/{app}/pay/js/{id}            the arguments of wx.requestPayment
//	GET  /app/{app}/pay/h5/{id}            a page that opens WeChat
//	POST /app/{platform}/event             notices of the open platform to a third-party platform
//	POST /app/{platform}/message/{appid}   messages of the accounts that have authorized it
//	GET  /app/{platform}/authorize?to=     leads to WeChat's authorization page
//	GET  /app/{platform}/authorize/callback  where WeChat sends the browser back
//	GET  /{name}.txt                       verification files of domains
//
// See message.Receiver, oauth.Login, oauth.Mini, jssdk.Handler, pay.Cashier and oauth.VerifyFiles.
func (g *Gateway) Public() http.Handler { return g.serve(publicSide) }

// Both serves the private and the public side on one address. A route of both sides is the private one for requests with an
// Authorization. Since strangers reach it, /readyz replies only that a store cannot be used; the log has the details.
func (g *Gateway) Both() http.Handler { return g.serve(bothSides) }

// serve returns the handler of a side.
func (g *Gateway) serve(s side) http.Handler {
	own, open := http.NewServeMux(), http.NewServeMux() // open has the routes that need no key
	if s.private {
		describe := error.Error
		if s.public {
			describe = g.hideDetails
		}
		open.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer.JSON(w, http.StatusOK, okBody) })
		open.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { g.ready(w, r, describe) })
		for pattern, h := range g.adminRoutes() {
			own.Handle(pattern, h)
		}
	}
	apps, others := g.dispatch(s), g.serveOutsideApps(s, own, open)
	all := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isClean(r.URL.EscapedPath()): // a mux would redirect it, with a page in place of JSON
			g.refuse(w, r, refusal{side: s, reason: func() string { return textUnclean }})
		case isAppPath(r.URL.Path) && relay.IsLocal(r.Context()):
			g.refuseLocalCall(w, r)
		case isAppPath(r.URL.Path):
			apps(w, r)
		default:
			others(w, r)
		}
	}
	served := g.withClientAddress(g.withSnapshot(http.HandlerFunc(all)))
	if s.public {
		return g.withLimits(served)
	}
	return served
}

// Run does background work until ctx ends, and returns its cause; it does not listen. It renews the tokens and tickets of
// apps with keep: true, at most [Config.KeepRate] a second, delivers the copies of messages and the reports of payments, asks
// WeChat about open orders, reads the keys of merchants again when their files change, and follows the registrations of other
// processes.
func (g *Gateway) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { g.runRenewals(ctx) })
	all.Go(func() { g.deliverCopies(ctx) })
	all.Go(func() { g.writeAudits(ctx) })
	if g.registered != nil {
		all.Go(func() { g.registered.run(ctx) })
		all.Go(func() { g.sweepEnded(ctx) })
	}
	if len(g.merchants) > 0 || g.registered != nil {
		all.Go(func() { g.watchPayments(ctx) })
		all.Go(func() { g.watchMerchants(ctx) })
	}
	all.Go(func() { g.deliverRelays(ctx) })
	all.Wait()
	<-ctx.Done()
	return context.Cause(ctx)
}
