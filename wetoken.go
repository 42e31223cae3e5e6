// Package wetoken mounts the parts of wetoken on an application's own router. The parts are in the packages below it, each
// of which can be used without this one:
//
//	tokens := &token.Manager{AppID: id, Secret: secret, Store: s}
//	wetoken.Bind(mux, "/wx", &token.Handler{Source: tokens, Guard: guard})
package wetoken

import (
	"fmt"
	"net/http"
	"strings"
)

// Part is a set of handlers, such as token.Handler, message.Receiver or oauth.Login. The key of a route is a method and a
// path, such as "GET /token" or "GET /ticket/{type}". A path has no {name...} and no {$}, which only http.ServeMux knows.
type Part interface {
	Routes() map[string]http.Handler
}

// Mux is a router that [Bind] mounts parts on, such as http.ServeMux or a chi.Router of version 5.1 or later.
type Mux interface {
	// Handle registers a handler for a pattern such as "GET /wx/ticket/{type}". The handler gets the value of type by
	// http.Request.PathValue.
	Handle(pattern string, handler http.Handler)
}

// Handler returns a handler of the routes of all parts, for any router that mounts an http.Handler. It panics, as
// http.ServeMux does, if two routes conflict.
func Handler(parts ...Part) http.Handler {
	mux := http.NewServeMux()
	for _, p := range parts {
		for pattern, h := range p.Routes() {
			mux.Handle(pattern, h)
		}
	}
	return mux
}

// Bind mounts the parts below prefix, such as "/wx": a token.Handler then serves GET /wx/token. It registers one pattern for
// each route and no other path, so more parts can be bound to the same prefix, and the prefix may be "/". The handlers see
// the path without prefix. Routers that do not implement [Mux] mount the [Handler] below http.StripPrefix;
// examples/mount has the lines for gin and echo.
//
// Bind panics on a route that violates the rules of [Part], and if mux does, as http.ServeMux on a duplicate pattern.
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

// strip removes prefix from the path of each request. It does not change a path without the prefix: the router has matched
// it, and the path that a subrouter of chi matches has the prefix of the subrouter first.
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
