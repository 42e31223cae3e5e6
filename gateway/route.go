package gateway

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/internal/answer"
)

// side is what an address serves: one of the two sides, or both.
type side struct{ private, public bool }

func (s side) String() string {
	switch s {
	case side{private: true}:
		return "the private side"
	case side{public: true}:
		return "the public side"
	}
	return "this server"
}

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
		if r.Header.Get("Authorization") != "" {
			private.ServeHTTP(w, r)
			return
		}
		public.ServeHTTP(w, r)
	})
}

// mux serves parts, and hands other requests to rest. It is made when it is first used.
func mux(rest func(*http.ServeMux) http.HandlerFunc, parts ...wetoken.Part) func() *http.ServeMux {
	return sync.OnceValue(func() *http.ServeMux {
		m := http.NewServeMux()
		for _, p := range parts {
			for pattern, h := range p.Routes() {
				m.Handle(pattern, h)
			}
		}
		m.Handle("/", rest(m))
		return m
	})
}

// methods are those by which mux serves the path of r.
func methods(mux *http.ServeMux, r *http.Request) (list []string) {
	probe := *r
	for _, probe.Method = range []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} {
		if _, pattern := mux.Handler(&probe); pattern != "" && pattern != "/" && pattern != "/app/" {
			list = append(list, probe.Method)
		}
	}
	return list
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
	c, fault := g.callers.of(r)
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

// refuseRoute answers requests for routes that an app does not have on a side.
func (a *app) refuseRoute(s side) func(*http.ServeMux) http.HandlerFunc {
	return func(mux *http.ServeMux) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			u := unserved{side: s, all: methods(mux, r)}
			if s.public {
				u.open = methods(a.rooms().public(), r)
			}
			u.why = func() string {
				text := fmt.Sprintf("there is no route %s %.100q of app %q on %s", method(r), r.URL.Path, a.name, s)
				for _, other := range []side{{private: true}, {public: true}} {
					if other != s && s != (side{true, true}) && len(methods(a.rooms().mux(other), r)) > 0 {
						text += ": it is on " + other.String()
					}
				}
				return text
			}
			a.gateway.refuse(w, r, u)
		}
	}
}

// refusePath answers requests for paths outside of apps.
func (g *Gateway) refusePath(s side) func(*http.ServeMux) http.HandlerFunc {
	return func(mux *http.ServeMux) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			all := methods(mux, r) // which are open to everybody
			g.refuse(w, r, unserved{side: s, open: all, all: all, why: func() string {
				return fmt.Sprintf("there is no route %s %.100q on %s", method(r), r.URL.Path, s)
			}})
		}
	}
}

// missing returns the reason why no app serves the route.
func (g *Gateway) missing(name, route string) string {
	a := g.apps[name]
	if a == nil {
		for _, other := range g.apps {
			if other.AppID == name {
				return fmt.Sprintf("there are several apps with the appid %.100q: want the name of one", name)
			}
		}
		return fmt.Sprintf("there is no app %.100q", name)
	}
	if a.expired() {
		return fmt.Sprintf("the registration of app %q has ended", a.name)
	}
	return fmt.Sprintf("app %q does not allow %.100q: see its setting allow", a.name, route)
}
