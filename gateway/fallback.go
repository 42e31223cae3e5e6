package gateway

import (
	"fmt"
	"net/http"
	"slices"
)

// matcher is a handler that names the pattern by which it serves a request, as *http.ServeMux does. The pattern is empty if
// it has none.
type matcher interface {
	Handler(r *http.Request) (h http.Handler, pattern string)
}

// hasRoute reports whether h has a route for a request. A handler that is no matcher has a route for every request.
func hasRoute(h http.Handler, r *http.Request) bool {
	m, ok := h.(matcher)
	if !ok {
		return true
	}
	_, pattern := m.Handler(r)
	return pattern != ""
}

// allowedMethods returns the methods by which any of handlers serves the path of r.
func allowedMethods(r *http.Request, handlers ...http.Handler) (list []string) {
	probe := *r
	for _, probe.Method = range []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} {
		if slices.ContainsFunc(handlers, func(h http.Handler) bool { return hasRoute(h, &probe) }) {
			list = append(list, probe.Method)
		}
	}
	return list
}

// newFallbacks returns the fallbacks of a side, from the field of Options with a name.
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

// fallbacks returns the handlers to try, in order, for a request that no route of an app or of the gateway serves.
func (g *Gateway) fallbacks(s side, r *http.Request) (list []http.Handler) {
	if s.public {
		list = append(list, snapshotOf(r).files())
		if g.registered != nil {
			list = append(list, verifyFile{g.registered})
		}
	}
	switch {
	case !s.public:
		return append(list, g.privateFallback...)
	case !s.private:
		return append(list, g.publicFallback...)
	case hasAuthorization(r): // as sideByAuthorization does
		return append(append(list, g.privateFallback...), g.publicFallback...)
	}
	return append(append(list, g.publicFallback...), g.privateFallback...)
}

// serveFallback serves a request that no route of an app or of the gateway serves: by a fallback, or else by a refusal.
func (g *Gateway) serveFallback(w http.ResponseWriter, r *http.Request, s side, newRefusal func() refusal) {
	list := g.fallbacks(s, r)
	for _, h := range list {
		if hasRoute(h, r) {
			h.ServeHTTP(w, r)
			return
		}
	}
	u := newRefusal()
	others := allowedMethods(r, list...) // this server cannot know which need a key
	u.open, u.all = union(u.open, others), union(u.all, others)
	g.refuse(w, r, u)
}

// union returns the methods in a or b, sorted.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
