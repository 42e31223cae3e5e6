// Package gateway serves many WeChat apps behind one door: it knows the apps and the callers that may use them, and
// hands each request on to the rooms of the app it names.
//
//	g, err := gateway.New(gateway.Options{Config: config, Store: s})
//	go http.ListenAndServe("127.0.0.1:8081", g.Private())
//	http.ListenAndServe(":8080", g.Public())
//
// [Gateway.Private] is for our own services, which carry a caller key; [Gateway.Public] is for WeChat and browsers.
// Errors are {"errcode":…,"errmsg":"…"}: 401 without a key, 403 without the scope, 404 for what there is not.
package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/internal/answer"
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

// Gateway serves the apps of a [Config]. Its methods are safe for concurrent use.
type Gateway struct {
	config  Config
	store   store.Store
	records store.Store
	http    *http.Client
	log     *slog.Logger
	callers callers
	apps    map[string]*app // by name, and by appid where one app alone has it
	proxies []netip.Prefix
	files   oauth.VerifyFiles
	nobody  *message.Receiver // refuses callbacks for apps that get none as others refuse those of strangers

	draining   atomic.Bool
	warnShared sync.Once // of limits that are off
}

// New makes a gateway. It fails when the configuration cannot be served, naming the key that is wrong.
func New(o Options) (*Gateway, error) {
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	g := &Gateway{config: o.Config, store: o.Store, records: o.Records, http: o.HTTP, log: o.Log, apps: make(map[string]*app)}
	if g.store == nil {
		g.store = new(store.Memory)
	}
	if g.records == nil {
		g.records = g.store
	}
	if g.log == nil {
		g.log = slog.Default()
	}
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
	if g.nobody, err = message.New(message.Config{AppID: "nobody", Token: rand.Text(), Log: g.log}); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	byID := make(map[string][]*app)
	for name, settings := range o.Config.Apps {
		a := g.newApp(name, settings)
		if _, ok := g.records.(*store.Memory); ok && a.Message.copies() {
			g.log.Warn("copies of messages wait in the memory of this process alone: name records that last", "app", name)
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
//	POST /app/{app}/login/redeem    scope login
//	POST /app/{app}/phone           scope login, of a mini program
//	GET  /healthz, /readyz          open
//
// See token.Handler, ticket.Handler and oauth.Handler.
func (g *Gateway) Private() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/app/", g.door(func(r *rooms) http.Handler { return r.private() }, nil, g.nothing))
	mux.HandleFunc("/", g.nothing)
	g.operations(mux, error.Error)
	return g.behindProxies(mux)
}

// Public serves WeChat and browsers:
//
//	GET, POST /app/{app}/message           callbacks: the URL for WeChat's console
//	GET  /app/{app}/login?to=              web login, which ends on to with a login_code
//	GET  /app/{app}/login/callback         where WeChat sends the browser back
//	POST /app/{app}/session                of a mini program
//	GET  /app/{app}/js/config.js           signs the page that holds it
//	POST /app/{app}/js/config, /js/card
//	GET  /MP_verify_….txt, /WW_verify_….txt
//
// See message.Receiver, oauth.Login, oauth.Mini, jssdk.Handler and oauth.VerifyFiles.
func (g *Gateway) Public() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/app/", g.door(func(r *rooms) http.Handler { return r.public() }, g.nobody, notFound))
	mux.Handle("/", wetoken.Handler(g.files, rest{notFound}))
	return g.limits(g.behindProxies(mux))
}

// Both serves the private and the public side on one address. As strangers reach it, /readyz tells them no more than that
// a store cannot be used: the log has the rest.
func (g *Gateway) Both() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/app/", g.door(func(r *rooms) http.Handler { return r.both() }, g.nobody, g.nothing))
	mux.Handle("/", wetoken.Handler(g.files, rest{g.nothing}))
	g.operations(mux, g.hush)
	return g.limits(g.behindProxies(mux))
}

// operations are what those ask who run the server. They are told in words what keeps the stores from being used.
func (g *Gateway) operations(mux *http.ServeMux, words func(error) string) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer.JSON(w, http.StatusOK, okBody) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { g.ready(w, r, words) })
}

// door hands a request on to the side of the app that it names, or else to those who answer for apps there are not: nobody
// and nothing.
func (g *Gateway) door(side func(*rooms) http.Handler, nobody wetoken.Part, nothing http.HandlerFunc) http.HandlerFunc {
	parts := []wetoken.Part{rest{nothing}}
	if nobody != nil {
		parts = append(parts, nobody)
	}
	missing := wetoken.Handler(parts...)
	return func(w http.ResponseWriter, r *http.Request) {
		if !clean(r.URL.Path) {
			nothing(w, r) // or a mux would redirect out of the app
			return
		}
		h := missing
		a, route := g.find(r)
		if a != nil {
			h = side(a.rooms())
		}
		below(route, h).ServeHTTP(w, r)
	}
}

// nothing answers a private request that nobody serves. What there is is told only to those with a key.
func (g *Gateway) nothing(w http.ResponseWriter, r *http.Request) {
	if g.callers.of(r) == nil {
		unauthorized(w)
		return
	}
	notFound(w, r)
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	answer.Refuse(w, http.StatusNotFound, "there is no such app or route")
}

// find is the app that a request's path names, unless its registration has ended or does not allow the route, and the
// rest of the path.
func (g *Gateway) find(r *http.Request) (a *app, route string) {
	name, route, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/app/"), "/")
	a = g.apps[name]
	if a != nil && (a.expired() || !a.allows(route)) {
		a = nil
	}
	return a, "/" + route
}

// clean tells whether a path holds no dots and no double slashes that lead elsewhere. Those that are not escaped never
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

// Ping tells whether the stores can be used. It reads the key "ready" of both.
func (g *Gateway) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	if _, _, err := g.store.Get(ctx, "ready"); err != nil {
		return fmt.Errorf("gateway: the store cannot be used: %w", err)
	}
	if _, _, err := g.records.Get(ctx, "ready"); err != nil {
		return fmt.Errorf("gateway: the records cannot be used: %w", err)
	}
	return nil
}

// Drain makes /readyz answer 503, which tells a balancer to send no more requests. It has to see that: http.Server's
// Shutdown closes the listeners at once, so a program waits in between for as long as its balancer takes to ask again.
func (g *Gateway) Drain() { g.draining.Store(true) }

// Keep does the work that nobody asks for until ctx ends, whose cause it returns: it renews the tokens of apps with
// keep: true, and delivers the copies of messages.
func (g *Gateway) Keep(ctx context.Context) error {
	var all sync.WaitGroup
	keep := func(ctx context.Context, a *app, what string, work func(context.Context) error) {
		all.Go(func() {
			if err := work(ctx); !errors.Is(err, context.Cause(ctx)) {
				g.log.ErrorContext(ctx, what, "app", a.name, "error", err)
			}
		})
	}
	for name, a := range g.apps {
		if name != a.name {
			continue
		}
		if a.Keep {
			ctx, cancel := a.registered(ctx)
			defer cancel()
			keep(ctx, a, "keep token", a.rooms().tokens.Keep)
		}
		if a.Message != nil {
			keep(ctx, a, "deliver copies", a.rooms().messages.Keep)
		}
	}
	all.Wait()
	<-ctx.Done()
	return context.Cause(ctx)
}
