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
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
)

// Options are what a gateway is made of.
type Options struct {
	Config Config

	Store   store.Store  // shared and disposable: tokens, tickets, leases; default one of this process
	Records store.Store  // durable; default Store
	HTTP    *http.Client // the way to WeChat; default one with sane limits
	Log     *slog.Logger // default slog.Default
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
	config  Config
	store   store.Store
	records store.Store

	oneStore bool // records is store

	http    *http.Client
	log     *slog.Logger
	callers callers
	apps    map[string]*app // by name, and by appid where one app alone has it
	proxies []netip.Prefix
	files   oauth.VerifyFiles
	outbox  *outbox.Outbox    // of copies, those of all apps
	nobody  *message.Receiver // refuses callbacks for apps that get none as others refuse those of strangers

	draining   atomic.Bool
	warnShared sync.Once // of limits that are off
}

// New makes a gateway. It fails when the configuration cannot be served, naming the key that is wrong.
func New(o Options) (*Gateway, error) {
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	if err := o.checkStores(); err != nil {
		return nil, err
	}
	g := &Gateway{config: o.Config, store: o.Store, records: o.Records, http: o.HTTP, log: o.Log, apps: make(map[string]*app)}
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
	if g.callers, err = newCallers(o.Config.Keys); err != nil {
		return nil, fmt.Errorf("gateway: config: keys: %w", err)
	}
	g.config.Keys = nil // callers know their digests
	if g.proxies, err = o.Config.proxies(); err != nil {
		return nil, err
	}
	if g.files, err = o.Config.verifyFiles(); err != nil {
		return nil, err
	}
	if g.nobody, err = message.New(message.Config{AppID: "nobody", Token: rand.Text(), Log: g.log.With("app", "(none with callbacks)")}); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	byID := make(map[string][]*app)
	for name, settings := range o.Config.Apps {
		a := g.newApp(name, settings)
		if _, ok := g.records.(*store.Memory); ok && a.Message.copies() {
			g.log.Warn("copies of messages wait in the memory of this process alone: name records that last", "app", name)
		}
		if a.Message != nil && len(a.Message.Forward) > 0 && a.SignKey == "" {
			g.log.Warn("messages are forwarded unsigned, and backends cannot tell them from forged ones: set sign_key", "app", name)
		}
		g.apps[name] = a
		byID[a.AppID] = append(byID[a.AppID], a)
	}
	for id, apps := range byID {
		if _, taken := g.apps[id]; !taken && len(apps) == 1 {
			g.apps[id] = apps[0]
		}
	}
	return g, nil
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
func (g *Gateway) Private() http.Handler { return g.serve(side{private: true}) }

// Public serves WeChat and browsers:
//
//	GET, POST /app/{app}/message           callbacks: the URL for WeChat's console
//	GET  /app/{app}/login?to=              web login, which ends on to with a login_code
//	GET  /app/{app}/login/callback         where WeChat sends the browser back
//	POST /app/{app}/session                of a mini program
//	GET  /app/{app}/js/config.js           signs the page that holds it
//	POST /app/{app}/js/config              signs the page that asks
//	POST /app/{app}/js/card                signs cards by their id, of an app with cards: true
//	GET  /MP_verify_….txt, /WW_verify_….txt
//
// See message.Receiver, oauth.Login, oauth.Mini, jssdk.Handler and oauth.VerifyFiles.
func (g *Gateway) Public() http.Handler { return g.serve(side{public: true}) }

// Both serves the private and the public side on one address. A route that both sides have is the private one to requests
// with an Authorization. As strangers reach it, /readyz tells them no more than that a store cannot be used: the log has
// the rest.
func (g *Gateway) Both() http.Handler { return g.serve(side{private: true, public: true}) }

func (g *Gateway) serve(s side) http.Handler {
	all := routes{"/app/": g.door(s)}
	if s.public {
		maps.Copy(all, g.files.Routes())
	}
	if s.private {
		words := error.Error
		if s.public {
			words = g.hush
		}
		all["GET /healthz"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer.JSON(w, http.StatusOK, okBody) })
		all["GET /readyz"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.ready(w, r, words) })
	}
	served := g.behindProxies(mux(g.refusePath(s), all)())
	if s.public {
		return g.limits(served)
	}
	return served
}

// door hands a request on to the side of the app that it names. Callbacks for unknown apps are answered like
// those of strangers.
func (g *Gateway) door(s side) http.HandlerFunc {
	strangers := http.NewServeMux()
	if s.public {
		for pattern, h := range g.nobody.Routes() {
			strangers.Handle(pattern, h)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if !clean(r.URL.Path) { // or a mux would redirect out of the app
			g.refuse(w, r, unserved{side: s, why: func() string { return noSuch }})
			return
		}
		a, name, route := g.find(r)
		if a != nil {
			below(route, a.rooms().mux(s)).ServeHTTP(w, r)
			return
		}
		below(route, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h, pattern := strangers.Handler(r); pattern != "" {
				h.ServeHTTP(w, r)
				return
			}
			open := methods(strangers, r)
			g.refuse(w, r, unserved{side: s, open: open, why: func() string { return g.missing(name, route) }})
		})).ServeHTTP(w, r)
	}
}

// find is the app that a request's path names, unless its registration has ended or does not allow the route, the name,
// and the rest of the path.
func (g *Gateway) find(r *http.Request) (a *app, name, route string) {
	name, route, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/app/"), "/")
	a = g.apps[name]
	if a != nil && (a.expired() || !a.allows(route)) {
		a = nil
	}
	return a, name, "/" + route
}

// clean reports whether a path holds no dots and no double slashes that lead elsewhere. Those that are not escaped never
// come this far.
func clean(p string) bool {
	c := path.Clean(p)
	return p == c || p == c+"/"
}

// below is h for a request whose path is route to it. It is http.StripPrefix for a prefix that was found already.
func below(route string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner, path := *r, *r.URL
		path.Path, path.RawPath = route, ""
		inner.URL = &path
		h.ServeHTTP(w, &inner)
	})
}

var okBody = []byte(`{"errcode":0,"errmsg":"ok"}`)

// storeMax is how long the stores may take to be called ready.
const storeMax = 2 * time.Second

// ready answers 503 while a store cannot be used, or once Drain was called. The tokens that are held are served
// even so.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request, words func(error) string) {
	if g.draining.Load() {
		answer.Refuse(w, http.StatusServiceUnavailable, "going down")
		return
	}
	if err := g.Ping(r.Context()); err != nil {
		answer.Refuse(w, http.StatusServiceUnavailable, words(err))
		return
	}
	answer.JSON(w, http.StatusOK, okBody)
}

// hush logs an error, and tells strangers nothing of where the stores are.
func (g *Gateway) hush(err error) string {
	g.log.Warn("not ready", "error", err)
	return "gateway: a store cannot be used: the server's log has more"
}

// Ping returns why a store cannot be used, or nil. A store with a method Ping(context.Context) error is asked by that; of
// any other the key "ready" is read.
func (g *Gateway) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	if err := g.ping(ctx, g.store); err != nil {
		return fmt.Errorf("gateway: the store cannot be used: %w", err)
	}
	if g.oneStore {
		return nil
	}
	if err := g.ping(ctx, g.records); err != nil {
		return fmt.Errorf("gateway: the records cannot be used: %w", err)
	}
	return nil
}

func (g *Gateway) ping(ctx context.Context, s store.Store) error {
	if p, ok := s.(interface{ Ping(context.Context) error }); ok {
		return p.Ping(ctx)
	}
	_, _, err := s.Get(ctx, "ready")
	if errors.Is(err, store.ErrPlaintext) || errors.Is(err, store.ErrTampered) { // the store has answered
		g.log.ErrorContext(ctx, "somebody without the keys has written to the store", "key", "ready", "error", err)
		return nil
	}
	return err
}

// Drain makes /readyz answer 503, which tells a balancer to send no more requests. It has to see that: http.Server's
// Shutdown closes the listeners at once, so a program waits in between for as long as its balancer takes to ask again.
func (g *Gateway) Drain() { g.draining.Store(true) }

// Keep does the work that nobody asks for until ctx ends, whose cause it returns: it renews the tokens and tickets of apps
// with keep: true, and delivers the copies of messages.
func (g *Gateway) Keep(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { g.renewKept(ctx) })
	all.Go(func() { g.keepCopies(ctx) })
	all.Wait()
	<-ctx.Done()
	return context.Cause(ctx)
}
