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

// side is what an address serves.
type side struct {
	name            string
	private, public bool
}

// The sides there are.
var (
	privateSide = side{name: "the private side", private: true}
	publicSide  = side{name: "the public side", public: true}
	bothSides   = side{name: "this server", private: true, public: true}
)

// routes is a part that is its own routes.
type routes map[string]http.Handler

func (r routes) Routes() map[string]http.Handler { return r }

// either has the routes of both sides. A route that both have is the private one to requests that show a key.
func either(private, public []wetoken.Part) wetoken.Part {
	all := make(routes)
	for _, p := range public {
		maps.Copy(all, p.Routes())
	}
	for _, p := range private {
		for pattern, h := range p.Routes() {
			if open, ok := all[pattern]; ok {
				h = keyed(h, open)
			}
			all[pattern] = h
		}
	}
	return all
}

func keyed(private, public http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if showsKey(r) {
			private.ServeHTTP(w, r)
			return
		}
		public.ServeHTTP(w, r)
	})
}

// showsKey reports whether a request has a key to show, right or wrong.
func showsKey(r *http.Request) bool { return r.Header.Get("Authorization") != "" }

// mux serves parts. It is made when it is first used.
func mux(parts ...wetoken.Part) func() *http.ServeMux {
	return sync.OnceValue(func() *http.ServeMux {
		m := http.NewServeMux()
		for _, p := range parts {
			for pattern, h := range p.Routes() {
				m.Handle(pattern, h)
			}
		}
		return m
	})
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
		a, name, route := pinnedTo(r).find(r)
		inner, mux := below(route, r), strangers
		if a != nil {
			mux = a.rooms().mux(s)
		}
		if serves(mux, inner) {
			mux.ServeHTTP(w, inner)
			return
		}
		g.serveRest(w, r, s, func() unserved {
			if a != nil {
				return a.unserved(s, inner)
			}
			why := func() string { return pinnedTo(r).missing(name, route) }
			return unserved{side: s, open: methods(inner, strangers), why: why}
		})
	}
}

// root serves own, and paths outside of apps that own does not have.
func (g *Gateway) root(s side, own *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if serves(own, r) {
			own.ServeHTTP(w, r)
			return
		}
		g.serveRest(w, r, s, func() unserved {
			open := methods(r, own) // to everybody
			return unserved{side: s, open: open, all: open, why: func() string {
				return fmt.Sprintf("there is no route %s %.100q on %s", method(r), r.URL.Path, s.name)
			}}
		})
	}
}

// clean reports whether a path holds no dots and no double slashes that lead elsewhere. Those that are not escaped never
// come this far.
func clean(p string) bool {
	c := path.Clean(p)
	return p == c || p == c+"/"
}

// below returns r with route as its path. It does what http.StripPrefix does for a prefix that was found already.
func below(route string, r *http.Request) *http.Request {
	inner, path := *r, *r.URL
	path.Path, path.RawPath = route, ""
	inner.URL = &path
	return &inner
}

// unserved is a request that no route serves.
type unserved struct {
	side side
	open []string      // methods by which strangers may use its path
	all  []string      // methods by which callers with a key may
	why  func() string // why there is no such route, for callers with a key
}

// refuse answers a request that no route serves. Only callers with a key are told about the private side.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, u unserved) {
	c, fault := pinnedTo(r).callers.of(r)
	allowed := u.open
	if c != nil {
		allowed = u.all
	}
	switch {
	case len(allowed) > 0:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		answer.Refuse(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s is no method of this route: want %s", method(r), strings.Join(allowed, ", ")))
	case c != nil:
		answer.Refuse(w, http.StatusNotFound, u.why())
	case u.side.private:
		unauthorized(w, fault)
	default:
		answer.Refuse(w, http.StatusNotFound, noSuch)
	}
}

const noSuch = "there is no such app or route"

// method returns the method of a request, cut to a length that an answer may repeat.
func method(r *http.Request) string { return fmt.Sprintf("%.20s", r.Method) }

// unserved says why a has no route for a request, whose path is below that of a.
func (a *app) unserved(s side, r *http.Request) unserved {
	u := unserved{side: s, all: methods(r, a.rooms().mux(s))}
	if s.public {
		u.open = methods(r, a.rooms().mux(publicSide))
	}
	u.why = func() string {
		text := fmt.Sprintf("there is no route %s %.100q of app %q on %s", method(r), r.URL.Path, a.name, s.name)
		for _, other := range []side{privateSide, publicSide} {
			if other != s && s != bothSides && len(methods(r, a.rooms().mux(other))) > 0 {
				text += ": it is on " + other.name
			}
		}
		return text
	}
	return u
}
