// Package gateway serves many WeChat apps behind one door: it knows the apps and the callers that may use them, and
// hands each request on to the rooms of the app it names.
//
//	g, err := gateway.New(gateway.Options{Config: config, Store: s})
//	go http.ListenAndServe("127.0.0.1:8081", g.Private())
//	http.ListenAndServe(":8080", g.Public())
//
// [Gateway.Private] is for our own services, which carry a caller key; [Gateway.Public] is for WeChat and browsers.
// Errors are {"errcode":…,"errmsg":"…"}: 401 without a key, or with one that is not known; 403 without the scope; 404 for
// an unknown app or route, and 405 for a wrong method; and for failures of WeChat the statuses that token.Handler lists.
// Callers with a key are told which it is.
package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
)

// Options are what a gateway is made of.
type Options struct {
	Config Config

	Store   store.Store  // shared and disposable: tokens, tickets, leases; default one of this process
	Records store.Store  // durable; default Store
	HTTP    *http.Client // the way to WeChat; default one with sane limits
	Log     *slog.Logger // default slog.Default

	// PublicFallback and PrivateFallback serve what neither an app nor the gateway itself has a route for, before that is
	// answered with 404 or 405. New calls each function once. Both has the handlers of both sides: first those of the public
	// side, or of the private side for a request with an Authorization.
	//
	// They are asked in turn. A handler that has the method Handler of *http.ServeMux serves the requests for which that
	// returns a pattern, and a 405 names the methods of its patterns. Any other handler serves all requests: one such as
	// httputil.ReverseProxy goes last. A fallback sees the whole path of a request. It must check for itself who may use it:
	// no caller key is checked before, not even on the private side.
	PublicFallback, PrivateFallback []func(*Gateway) http.Handler

	redacted
}

// checkStores refuses the URL of a store that o does not pass: nothing would be kept there.
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

	publicURL string
	endpoints Endpoints
	proxies   []netip.Prefix

	store    store.Store
	records  store.Store
	oneStore bool // records is store

	http   *http.Client
	log    *slog.Logger
	outbox *outbox.Outbox    // of copies, those of all apps
	nobody *message.Receiver // refuses callbacks for apps that get none as others refuse those of strangers

	publicFallback, privateFallback []http.Handler

	draining   atomic.Bool
	warnShared sync.Once // of limits that are off

	redacted
}

// New makes a gateway. It fails when the configuration cannot be served, naming the key that is wrong.
func New(o Options) (*Gateway, error) {
	c := o.Config
	if err := c.Check(); err != nil {
		return nil, err
	}
	if err := o.checkStores(); err != nil {
		return nil, err
	}
	g := &Gateway{publicURL: c.PublicURL, endpoints: c.Endpoints, store: o.Store, records: o.Records, http: o.HTTP, log: o.Log}
	if g.store == nil {
		g.store = new(store.Memory)
	}
	if g.records == nil {
		g.records, g.oneStore = g.store, true
	}
	if g.log == nil {
		g.log = slog.Default()
	}
	g.outbox = g.newOutbox()
	var err error
	if g.proxies, err = c.proxies(); err != nil {
		return nil, err
	}
	if g.nobody, err = message.New(message.Config{AppID: "nobody", Token: rand.Text(), Log: g.log.With("app", "(none with callbacks)")}); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	first, err := g.configured(c)
	if err != nil {
		return nil, err
	}
	g.served.Store(first)
	if g.publicFallback, err = g.newFallbacks("PublicFallback", o.PublicFallback); err != nil {
		return nil, err
	}
	if g.privateFallback, err = g.newFallbacks("PrivateFallback", o.PrivateFallback); err != nil {
		return nil, err
	}
	return g, nil
}

// configured returns the snapshot of a configuration. It keeps digests of its keys, and no key.
func (g *Gateway) configured(c Config) (*snapshot, error) {
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
//	POST /app/{app}/retry           scope admin: asks WeChat now, where an earlier refusal is remembered
//	GET  /healthz, /readyz          open
//
// See token.Handler, ticket.Handler, jssdk.CardHandler and oauth.Handler.
func (g *Gateway) Private() http.Handler { return g.serve(privateSide) }

// Public serves WeChat and browsers:
//
//	GET, POST /app/{app}/message           callbacks: the URL for WeChat's console
//	GET  /app/{app}/login?to=              web login, which ends on to with a login_code
//	GET  /app/{app}/login/callback         where WeChat sends the browser back
//	POST /app/{app}/session                of a mini program
//	GET  /app/{app}/js/config.js           signs the page that holds it
//	POST /app/{app}/js/config              signs the page that asks
//	POST /app/{app}/js/card                signs cards by their id, of an app with cards: true
//	GET  /{name}.txt                       verification files of domains, under any name that WeChat gives
//
// See message.Receiver, oauth.Login, oauth.Mini, jssdk.Handler and oauth.VerifyFiles.
func (g *Gateway) Public() http.Handler { return g.serve(publicSide) }

// Both serves the private and the public side on one address. A route that both sides have is the private one to requests
// with an Authorization. As strangers reach it, /readyz tells them no more than that a store cannot be used: the log has
// the rest.
func (g *Gateway) Both() http.Handler { return g.serve(bothSides) }

func (g *Gateway) serve(s side) http.Handler {
	own := http.NewServeMux()
	if s.private {
		words := error.Error
		if s.public {
			words = g.hush
		}
		own.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer.JSON(w, http.StatusOK, okBody) })
		own.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { g.ready(w, r, words) })
	}
	all := http.NewServeMux()
	all.Handle("/app/", g.door(s))
	all.Handle("/", g.root(s, own))
	served := g.behindProxies(g.pin(all))
	if s.public {
		return g.limits(served)
	}
	return served
}

// Keep does the work that nobody asks for until ctx ends, whose cause it returns: it renews the tokens and tickets of apps
// with keep: true, and delivers the copies of messages.
func (g *Gateway) Keep(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { g.run(ctx) })
	all.Go(func() { g.keepCopies(ctx) })
	all.Wait()
	<-ctx.Done()
	return context.Cause(ctx)
}
