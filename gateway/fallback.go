package gateway

import (
	"fmt"
	"net/http"
	"slices"
)

// A fallback serves what an app's own mux and the gateway's own routes do not. See [Options.PublicFallback].

// matcher is a handler that says which requests it has a route for, as *http.ServeMux does: the pattern is empty for those
// of others.
type matcher interface {
	Handler(r *http.Request) (h http.Handler, pattern string)
}

// serves reports whether h has a route for a request. A handler that cannot say so has one for all.
func serves(h http.Handler, r *http.Request) bool {
	m, ok := h.(matcher)
	if !ok {
		return true
	}
	_, pattern := m.Handler(r)
	return pattern != ""
}

// methods are those by which any of handlers serves the path of r.
func methods(r *http.Request, handlers ...http.Handler) (list []string) {
	probe := *r
	for _, probe.Method = range []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} {
		if slices.ContainsFunc(handlers, func(h http.Handler) bool { return serves(h, &probe) }) {
			list = append(list, probe.Method)
		}
	}
	return list
}

// newFallbacks returns the fallbacks of a side, which options name by key.
func (g *Gateway) newFallbacks(key string, list []func(*Gateway) http.Handler) ([]http.Handler, error) {
	all := make([]http.Handler, len(list))
	for i, make := range list {
		if make != nil {
			all[i] = make(g)
		}
		if all[i] == nil {
			return nil, fmt.Errorf("gateway: Options.%s[%d]: want a handler, not nil", key, i)
		}
	}
	return all, nil
}

// fallbacks are the handlers that are asked for a request, in this order.
func (g *Gateway) fallbacks(s side, r *http.Request) (list []http.Handler) {
	if s.public {
		list = append(list, pinnedTo(r).files())
	}
	switch {
	case !s.public:
		return append(list, g.privateFallback...)
	case !s.private:
		return append(list, g.publicFallback...)
	case showsKey(r): // as either has it
		return append(append(list, g.privateFallback...), g.publicFallback...)
	}
	return append(append(list, g.publicFallback...), g.privateFallback...)
}

// serveRest answers a request that no route of an app or of the gateway serves: by a fallback, or else by a refusal.
func (g *Gateway) serveRest(w http.ResponseWriter, r *http.Request, s side, refusal func() unserved) {
	list := g.fallbacks(s, r)
	for _, h := range list {
		if serves(h, r) {
			h.ServeHTTP(w, r)
			return
		}
	}
	u := refusal()
	others := methods(r, list...) // which are open to everybody, as far as this server knows
	u.open, u.all = union(u.open, others), union(u.all, others)
	g.refuse(w, r, u)
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
