package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
)

const (
	followInterval  = time.Second             // between reads of the changes by Run
	maxBehind       = followInterval * 3 / 2  // without Run, a request reads them first that comes later than this
	defaultResident = 20000                   // of resident_apps
	followTimeout   = 1500 * time.Millisecond // of a read of the changes
)

// errRecordsAway is the reason of a 503.
var errRecordsAway = errors.New("the records cannot be read: try again")

// registered is the apps, merchants and keys that are registered in the records, of which this process holds those in use.
type registered struct {
	*registry.Registry
	gateway *Gateway
	apps    *resident[*app]
	changed *changedApps // for the schedule of renewals

	merchants *resident[*merchant]

	keys     *resident[*heldKey] // by id
	unknown  unknownKeys
	uses     sync.Map      // id of a key to its *keyUse
	useSlots chan struct{} // of writes to the records

	following sync.Mutex
	feed      registry.Feed
	failing   bool         // the last read of the changes failed
	readAt    atomic.Int64 // Unix milliseconds of the last try

	listedAt time.Time // of listKept
}

// newRegistered returns the registered apps of g, or nil if records must not have any: somebody who can write to records that are
// not sealed could register an app there.
func (g *Gateway) newRegistered(o Options) *registered {
	if !o.RegisterUnsealed && !isSealed(g.records) {
		return nil
	}
	limit := o.Config.ResidentApps
	if limit == 0 {
		limit = defaultResident
	}
	r := &registered{
		Registry: &registry.Registry{Store: g.records, OnHeal: g.reportHealed}, gateway: g, changed: newChangedApps(),
		apps: newResident[*app](limit), merchants: newResident[*merchant](limit),
		keys: newResident[*heldKey](residentKeys), useSlots: make(chan struct{}, maxUses),
	}
	r.feed.Registry = r.Registry
	return r
}

// isSealed reports whether a store is a store.Sealed, or has the method Sealed that returns true.
func isSealed(s store.Store) bool {
	if _, ok := s.(*store.Sealed); ok {
		return true
	}
	wrapper, ok := s.(interface{ Sealed() bool })
	return ok && wrapper.Sealed()
}

// run follows the changes of other processes until ctx ends.
func (r *registered) run(ctx context.Context) {
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		r.following.Lock()
		r.follow(ctx)
		r.following.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// catchUp follows the changes if Run does not.
func (r *registered) catchUp(ctx context.Context) {
	if time.Since(time.UnixMilli(r.readAt.Load())) < maxBehind || !r.following.TryLock() {
		return
	}
	defer r.following.Unlock()
	r.follow(context.WithoutCancel(ctx))
}

// follow drops what other processes have changed. If the records are away, what is held stays.
func (r *registered) follow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	changed, all, err := r.feed.Read(ctx)
	r.readAt.Store(time.Now().UnixMilli())
	if all {
		r.merchants.dropAll() // before the apps, which have merchants
		r.apps.dropAll()
		r.keys.dropAll()
		r.changed.addAll()
	}
	if err != nil {
		if !r.failing && !isReported(err) && ctx.Err() == nil {
			r.gateway.log.WarnContext(ctx, "changes of registrations cannot be read: those in use are served as they were", "error", err)
		}
		r.failing = true
		return
	}
	r.failing = false
	if !all {
		r.applyChanges(changed...)
	}
}

// applyChanges drops what this process holds of entries. The next use reads it.
func (r *registered) applyChanges(refs ...registry.Ref) {
	anyApp := false
	for _, ref := range refs {
		switch ref.Kind {
		case appKind:
			r.apps.drop(ref.ID)
			r.changed.add(ref.ID)
			anyApp = true
		case keyKind:
			r.keys.drop(ref.ID)
		case merchantKind:
			r.dropMerchant(ref.ID)
		}
	}
	if anyApp {
		r.apps.unlink("appid/") // the app may share that of another one now, or no longer
	}
}

// read returns a function that reads the app of an entry.
func (r *registered) read(find func(context.Context) (*registry.Entry, bool, error)) func(context.Context) (string, *app, bool, error) {
	return func(ctx context.Context) (string, *app, bool, error) {
		e, ok, err := find(ctx)
		if err != nil || !ok {
			return "", nil, false, err
		}
		a, err := r.gateway.newRegisteredApp(ctx, e)
		if err != nil {
			return "", nil, false, err
		}
		return e.ID, a, true, nil
	}
}

// newRegisteredApp returns the app of a registration, with its merchant.
func (g *Gateway) newRegisteredApp(ctx context.Context, e *registry.Entry) (*app, error) {
	r, err := readRegisteredApp(e)
	if err != nil {
		return nil, err
	}
	takes := r.App.Pay
	r.App.ID, r.App.Pay = e.ID, nil
	a := g.newApp(r.Name, r.App)
	a.former = e.Former
	if takes != nil {
		if a.pay, err = g.newRegisteredPay(ctx, a, e, *takes); err != nil {
			return nil, err
		}
		if e.IsClosing() && a.pay.refused == nil {
			a.pay.refused, a.pay.refusedAt = errClosing, time.Now()
			time.AfterFunc(time.Until(time.UnixMilli(e.ClosingUntil)), func() { g.registered.apps.drop(e.ID) }) // the mark may end without a change
		}
		g.beginPay()
	}
	return a, nil
}

// byID returns the app with an id, or nil.
func (r *registered) byID(ctx context.Context, id string) (*app, error) {
	r.catchUp(ctx)
	a, _, err := r.apps.get(ctx, "id/"+id, r.read(func(ctx context.Context) (*registry.Entry, bool, error) { return r.ByID(ctx, appKind, id) }))
	return a, err
}

// visitByID returns the app with an id, or nil, for a visit of the background. An app that is not in use is held only where there
// is room for it.
func (r *registered) visitByID(ctx context.Context, id string) (*app, error) {
	find := func(ctx context.Context) (*registry.Entry, bool, error) { return r.ByID(ctx, appKind, id) }
	a, _, err := r.apps.visit(ctx, id, "id/"+id, r.read(find), func(a *app) bool { return a.keep })
	return a, err
}

// byName returns the app that has a name, had it recently, or has it as its appid alone; or nil.
func (r *registered) byName(ctx context.Context, name string) (*app, error) {
	switch {
	case looksLikeAppID(name):
		return r.byTerm(ctx, "appid/"+name, true)
	case checkRouteName(name) != nil:
		return nil, nil
	}
	r.catchUp(ctx)
	for {
		a, ok := r.apps.held("name/" + name)
		if !ok {
			var err error
			a, _, err = r.apps.get(ctx, "name/"+name, r.read(func(ctx context.Context) (*registry.Entry, bool, error) { return r.ByName(ctx, appKind, name) }))
			if err != nil || a == nil {
				return nil, err
			}
		}
		if a.name == name || registry.IsFormer(a.former, name) {
			return a, nil
		}
		r.apps.drop(a.id) // it has lost the name since it was read, maybe to another app
	}
}

// byTerm returns the first app that has a term or, if it has to be alone, the only one; or nil.
func (r *registered) byTerm(ctx context.Context, term string, alone bool) (*app, error) {
	r.catchUp(ctx)
	a, _, err := r.apps.get(ctx, term, r.read(func(ctx context.Context) (*registry.Entry, bool, error) {
		list, err := r.ByTerm(ctx, appKind, term, 2)
		if err != nil || len(list) == 0 || alone && len(list) > 1 {
			return nil, false, err
		}
		return list[0], true, nil
	}))
	return a, err
}

// byFile returns an app that has a verification file, and whose registration has not ended; or nil.
func (r *registered) byFile(ctx context.Context, file string) (*app, error) {
	r.catchUp(ctx)
	term := "file/" + file
	if a, ok := r.apps.held(term); ok && a.expired() {
		r.apps.unlink(term)
	}
	a, _, err := r.apps.get(ctx, term, r.read(func(ctx context.Context) (*registry.Entry, bool, error) {
		for e, err := range r.WithTerm(ctx, appKind, term) {
			if err != nil && !isUnreadable(err) {
				return nil, false, err
			}
			if err != nil {
				continue
			}
			if found, err := readRegisteredApp(e); err == nil && !isPast(found.App.ExpiresAt) {
				return e, true, nil
			}
		}
		return nil, false, nil
	}))
	return a, err
}

// appByID returns the app with an id.
func (g *Gateway) appByID(ctx context.Context, id string) (*app, error) {
	if a := g.served.Load().apps[id]; a != nil {
		return a, nil
	}
	if g.registered == nil {
		return nil, nil
	}
	return g.registered.byID(ctx, id)
}

// findApp returns the app that a request's path names, and the rest of the path. The app is nil if it is unknown, its registration
// has ended, or it does not allow the route; explain then says which. The error is errRecordsAway.
func (g *Gateway) findApp(r *http.Request) (a *app, route string, explain func() string, err error) {
	name, route, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/app/"), "/")
	found, err := g.appNamed(r.Context(), name)
	if err != nil {
		return nil, "", nil, err
	}
	if explain = found.explainClosed(snapshotOf(r), name, route); explain != nil {
		return nil, "/" + route, explain, nil
	}
	return found, "/" + route, nil, nil
}

// appNamed returns the app that has a name or an appid, or nil.
func (g *Gateway) appNamed(ctx context.Context, name string) (*app, error) {
	s := snapshotIn(ctx, g)
	if a := s.named[name]; a != nil || g.registered == nil || s.isSharedAppID(name) {
		return a, nil
	}
	a, err := g.registered.byName(ctx, name)
	if err != nil {
		return nil, errRecordsAway
	}
	return a, nil
}

// explainClosed returns nil if a, which may be nil, serves a route below the name, and otherwise why not.
func (a *app) explainClosed(s *snapshot, name, route string) func() string {
	switch {
	case a == nil:
		return func() string { return s.explainMissing(name) }
	case a.expired() && !(a.pay != nil && route == "pay/notify"): // which takes the payments of open orders
		return func() string { return fmt.Sprintf("the registration of app %q has ended", a.name) }
	case !a.allows(route):
		return func() string {
			return fmt.Sprintf("app %q does not allow %.100q: see its setting allow", a.name, "/"+route)
		}
	case name != a.name && name != a.appID && !slices.Contains(formerRoutes, route):
		return func() string { return fmt.Sprintf("app %.100q has another name now: %q", name, a.name) }
	}
	return nil
}

// formerRoutes are served below the former name of an app, since WeChat calls them.
var formerRoutes = []string{"message", "msg", "msg/json", "pay/notify"}

// verifyFile is a handler for the verification file of a registered app.
type verifyFile struct{ registered *registered }

// Handler returns the handler for a request, as that of *http.ServeMux does.
func (v verifyFile) Handler(r *http.Request) (http.Handler, string) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	routes := oauth.VerifyFiles{name: "checked"}.Routes()
	if len(routes) == 0 || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return http.NotFoundHandler(), ""
	}
	a, err := v.registered.byFile(r.Context(), name)
	if err != nil || a == nil || a.expired() {
		return http.NotFoundHandler(), ""
	}
	for _, h := range (oauth.VerifyFiles{name: a.verifyFiles[name]}).Routes() {
		return h, "GET /" + name
	}
	return http.NotFoundHandler(), ""
}

func (v verifyFile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, _ := v.Handler(r)
	h.ServeHTTP(w, r)
}

// fileContent returns the verification file of an app of the configuration.
func (g *Gateway) fileContent(name string) (content string, ok bool) {
	for _, a := range g.fileApps {
		if content, ok := a.VerifyFiles[name]; ok {
			return content, true
		}
	}
	return "", false
}

// forget removes the app's token and tickets from the store.
func (a *app) forget(ctx context.Context) error {
	m := a.managers()
	if m.tokens == nil {
		return nil
	}
	return errors.Join(m.tokens.Forget(ctx), m.tickets.Forget(ctx))
}

// trimConfig returns the text of an error of the configuration without the names before the key.
func trimConfig(err error) string { return strings.TrimPrefix(err.Error(), "gateway: config: ") }
