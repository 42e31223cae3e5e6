// Package wetoken mounts wetoken's parts on an application's own router. The parts themselves are the packages beside
// it, each of use without this one:
//
//	tokens := &token.Manager{AppID: id, Secret: secret, Store: s}
//	wetoken.Bind(mux, "/wx", &token.Handler{Source: tokens, Guard: guard})
package wetoken

import (
	"fmt"
	"net/http"
	"strings"
)

// Part is a set of handlers, such as token.Handler, message.Receiver or oauth.Login. Its routes are keyed by a method and
// a path, such as "GET /token" or "GET /ticket/{type}". A path names each of its segments: it holds no {name...} and no
// {$}, which routers other than http.ServeMux do not know.
type Part interface {
	Routes() map[string]http.Handler
}

// Mux is a router that [Bind] mounts parts on, such as http.ServeMux or a chi.Router of version 5.1 or later.
type Mux interface {
	// Handle serves a pattern such as "GET /wx/ticket/{type}", whose values a handler gets by http.Request.PathValue.
	Handle(pattern string, handler http.Handler)
}

// Handler serves the routes of all parts, on any router that mounts an http.Handler. It panics, as http.ServeMux does,
// when two of them clash.
func Handler(parts ...Part) http.Handler {
	mux := http.NewServeMux()
	for _, p := range parts {
		for pattern, h := range p.Routes() {
			mux.Handle(pattern, h)
		}
	}
	return mux
}

// Bind mounts the parts below prefix, such as "/wx": a token.Handler then answers GET /wx/token. Each route is a pattern
// of mux, and all other paths stay free, so that more parts may be bound to the same prefix, and "/" may be one. The
// handlers see the path without prefix. Routers that are no [Mux] mount the [Handler] below http.StripPrefix; the
// examples folder has the line for gin and echo.
//
// It panics on a route that is not as [Part] says, and where mux does, as http.ServeMux on a pattern that it has already.
func Bind(mux Mux, prefix string, parts ...Part) {
	prefix = strings.TrimSuffix("/"+strings.Trim(prefix, "/"), "/")
	for _, p := range parts {
		for pattern, h := range p.Routes() {
			method, path, ok := strings.Cut(pattern, " ")
			if !ok || method == "" || !strings.HasPrefix(path, "/") || strings.Contains(path, "...}") || strings.Contains(path, "{$}") {
				panic(fmt.Sprintf("wetoken: invalid route %q of %T: want a method and a path such as GET /token, without {$} and {name...}", pattern, p))
			}
			mux.Handle(method+" "+prefix+path, strip(prefix, h))
		}
	}
}

// strip removes prefix from the path of each request. It serves a path that does not begin so as it is, since the router
// has matched it: that of chi's subrouters begins with their own prefix.
func strip(prefix string, h http.Handler) http.Handler {
	stripped := http.StripPrefix(prefix, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix) && (r.URL.RawPath == "" || strings.HasPrefix(r.URL.RawPath, prefix)) {
			stripped.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}
