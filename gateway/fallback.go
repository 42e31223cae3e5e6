package gateway

import (
	"fmt"
	"net/http"
	"slices"
)

// matcher is a handler that says which requests it has a route for, as *http.ServeMux does: the pattern is empty where it
// has none.
type matcher interface {
	Handler(r *http.Request) (h http.Handler, pattern string)
}

// serves reports whether h has a route for a request. A handler that is no matcher has one for each.
func serves(h http.Handler, r *http.Request) bool {
	m, ok := h.(matcher)
	if !ok {
		return true
	}
	_, pattern := m.Handler(r)
	return pattern != ""
}

// methods returns the methods by which any of handlers serves the path of r.
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
	for i, build := range list {
		if build != nil {
			all[i] = build(g)
		}
		if all[i] == nil {
			return nil, fmt.Errorf("gateway: Options.%s[%d]: want a handler, not nil", key, i)
		}
	}
	return all, nil
}

// fallbacks returns the handlers that are asked for a request that no route of an app or of the gateway serves, in order.
func (g *Gateway) fallbacks(s side, r *http.Request) (list []http.Handler) {
	if s.public {
		list = append(list, pinnedTo(r).files())
	}
	switch {
	case !s.public:
		return append(list, g.privateFallback...)
	case !s.private:
		return append(list, g.publicFallback...)
	case showsKey(r): // as in either
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

// union returns the methods in a or b, sorted.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
