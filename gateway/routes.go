package gateway

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/wetoken/wetoken"
)

// routes are the handlers of one side of an app. Most apps have the same routes, and share the mux that finds the pattern of a
// request: a mux for each app would take more memory than all else of it.
type routes struct {
	mux      *http.ServeMux
	handlers map[string]http.Handler // by pattern
}

// serve serves a request, or reports false if there is no route for it. Its path is the one below that of the app.
func (s *routes) serve(w http.ResponseWriter, r *http.Request) bool {
	_, pattern := s.mux.Handler(r)
	h := s.handlers[pattern]
	switch {
	case pattern == "":
		return false
	case h != nil && !strings.Contains(pattern, "{"): // the mux would only look for it again
		h.ServeHTTP(w, r)
	default:
		s.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), routesKey{}, s)))
	}
	return true
}

// routesKey is the key of the *routes in the context of a request that a shared mux serves.
type routesKey struct{}

// lazyRoutes are routes that are made on first use.
type lazyRoutes struct {
	once   sync.Once
	routes *routes
}

func (l *lazyRoutes) get(shared *sharedMuxes, parts ...wetoken.Part) *routes {
	l.once.Do(func() {
		all := make(routeMap)
		for _, p := range parts {
			maps.Copy(all, p.Routes())
		}
		l.routes = &routes{shared.find(all), all}
	})
	return l.routes
}

// sharedMuxes are muxes by the patterns that they have.
type sharedMuxes struct{ byPatterns sync.Map }

// find returns a mux that serves each pattern of some routes by the routes in the context of the request.
func (s *sharedMuxes) find(all routeMap) *http.ServeMux {
	patterns := strings.Join(slices.Sorted(maps.Keys(all)), "\n")
	if m, ok := s.byPatterns.Load(patterns); ok {
		return m.(*http.ServeMux)
	}
	found := make(routeMap, len(all))
	for pattern := range all {
		found[pattern] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Context().Value(routesKey{}).(*routes).handlers[pattern].ServeHTTP(w, r)
		})
	}
	m, _ := s.byPatterns.LoadOrStore(patterns, newMux(found)())
	return m.(*http.ServeMux)
}
