package gateway

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/internal/answer"
)

// side is the part of a gateway that an address serves.
type side struct {
	name            string
	private, public bool
}

// All sides.
var (
	privateSide = side{name: "the private side", private: true}
	publicSide  = side{name: "the public side", public: true}
	bothSides   = side{name: "this server", private: true, public: true}
)

// routeMap is a part that consists of its routes.
type routeMap map[string]http.Handler

func (m routeMap) Routes() map[string]http.Handler { return m }

// mergeSides returns a part with the routes of both sides. A route of both sides is chosen by sideByAuthorization.
func mergeSides(private, public []wetoken.Part) wetoken.Part {
	all := make(routeMap)
	for _, p := range public {
		maps.Copy(all, p.Routes())
	}
	for _, p := range private {
		for pattern, h := range p.Routes() {
			if open, ok := all[pattern]; ok {
				h = sideByAuthorization(h, open)
			}
			all[pattern] = h
		}
	}
	return all
}

// sideByAuthorization serves a request with an Authorization by private, and every other request by public.
func sideByAuthorization(private, public http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hasAuthorization(r) {
			private.ServeHTTP(w, r)
			return
		}
		public.ServeHTTP(w, r)
	})
}

// hasAuthorization reports whether a request has an Authorization, valid or not.
func hasAuthorization(r *http.Request) bool { return r.Header.Get("Authorization") != "" }

// newMux returns a function that returns a mux of parts, which the first call makes. Each route names a method.
func newMux(parts ...wetoken.Part) func() *http.ServeMux {
	return sync.OnceValue(func() *http.ServeMux {
		m := http.NewServeMux()
		wetoken.Bind(m, "", parts...)
		return m
	})
}

// isAppPath reports whether a path is that of an app.
func isAppPath(path string) bool { return strings.HasPrefix(path, "/app/") }

// dispatch serves the requests for apps, each by the mux of the app that its path names. A callback for an unknown app is
// refused like one with a wrong signature.
func (g *Gateway) dispatch(s side) http.HandlerFunc {
	unknown := http.NewServeMux()
	if s.public {
		unknown = newMux(g.unknownApp)()
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if !isClean(r.URL.Path) { // because of escapes: a mux would redirect it, possibly to another app
			g.refuse(w, r, refusal{side: s, reason: func() string { return textNotFound }})
			return
		}
		a, route, explain, err := g.findApp(r)
		if err != nil {
			answer.Refuse(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		if a.isRevoked() && route != "/pay/notify" { // which takes the payments of open orders
			g.refuseRevoked(w, r, a, s)
			return
		}
		if a != nil && s.private && a.pay != nil && strings.HasPrefix(route, payAPIPrefix) {
			a.servePayAPI(w, r, route)
			return
		}
		inner := withPath(route, r)
		if a == nil && hasRoute(unknown, inner) {
			unknown.ServeHTTP(w, inner)
			return
		}
		if a != nil && a.handlers().routes(s).serve(w, inner) {
			return
		}
		g.serveFallback(w, r, s, func() refusal {
			if a != nil {
				return a.newRefusal(s, inner)
			}
			return refusal{side: s, open: allowedMethods(inner, unknown), reason: explain}
		})
	}
}

// serveOutsideApps serves the requests that are not for an app: by own or open, whose routes need no key, or else by a fallback.
func (g *Gateway) serveOutsideApps(s side, own, open *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, mux := range []*http.ServeMux{open, own} {
			if hasRoute(mux, r) {
				mux.ServeHTTP(w, r)
				return
			}
		}
		g.serveFallback(w, r, s, func() refusal {
			return refusal{side: s, open: allowedMethods(r, open), all: allowedMethods(r, open, own), reason: func() string {
				return fmt.Sprintf("no route %s %.100q on %s", shortMethod(r), r.URL.Path, s.name)
			}}
		})
	}
}

// isClean reports whether a path has no dots and double slashes that a mux would remove.
func isClean(p string) bool {
	c := path.Clean(p)
	return p == c || p == c+"/" && c != "/"
}

// withPath returns r with route as its path, as http.StripPrefix does.
func withPath(route string, r *http.Request) *http.Request {
	inner, path := *r, *r.URL
	path.Path, path.RawPath = route, ""
	inner.URL = &path
	return &inner
}

// refusal is the reply to a request that no route serves.
type refusal struct {
	side   side
	open   []string      // methods of the path that need no caller key
	all    []string      // methods of the path
	reason func() string // of a 404; only callers with a key see it
}

// refuse replies to a request that no route serves. Only callers with a key learn anything about the private side.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, u refusal) {
	find := g.findHeldCaller
	if u.side.private {
		find = g.findCaller
	}
	_, err := find(r)
	allowed := u.open
	if err == nil {
		allowed = u.all
	}
	switch {
	case len(allowed) > 0:
		list := strings.Join(allowed, ", ")
		w.Header().Set("Allow", list)
		answer.Refuse(w, http.StatusMethodNotAllowed, fmt.Sprintf("invalid method %s: want %s", shortMethod(r), list))
	case err == nil:
		answer.Refuse(w, http.StatusNotFound, u.reason())
	case u.side.private:
		refuseCaller(w, err)
	default:
		answer.Refuse(w, http.StatusNotFound, textNotFound)
	}
}

const (
	textNotFound = "unknown app or route"
	textUnclean  = "invalid path: want one without //, /./ and /../ (does the base URL end with a slash?)"
)

// shortMethod returns the method of a request, cut to a length that a reply may repeat.
func shortMethod(r *http.Request) string { return fmt.Sprintf("%.20s", r.Method) }

// refuseLocalCall refuses a request for an app that this server makes of itself, for a call of a message or of a payment. The apps' routes
// are for WeChat, browsers and callers: there is no reason to place an order for a call, and a message would wait for itself.
func (g *Gateway) refuseLocalCall(w http.ResponseWriter, r *http.Request) {
	if ok, more := g.warnings.Allow("local call"); ok {
		g.log.WarnContext(r.Context(), "a call of this server is refused: want a path that is not below /app/", "path", fmt.Sprintf("%.100q", r.URL.Path), "more", more)
	}
	answer.Refuse(w, http.StatusNotFound, textNotFound)
}

// newRefusal returns the refusal of a request that a has no route for. The path of r is the one below that of a.
func (a *app) newRefusal(s side, r *http.Request) refusal {
	u := refusal{side: s, all: allowedMethods(r, a.handlers().routes(s).mux)}
	if s.public {
		u.open = allowedMethods(r, a.handlers().routes(publicSide).mux)
	}
	u.reason = func() string {
		text := fmt.Sprintf("no route %s %.100q of app %q on %s", shortMethod(r), r.URL.Path, a.name, s.name)
		for _, other := range []side{privateSide, publicSide} {
			if other != s && s != bothSides && len(allowedMethods(r, a.handlers().routes(other).mux)) > 0 {
				text += ": it is on " + other.name
			}
		}
		return text
	}
	return u
}
