// Package wetoken mounts wetoken's parts on an application's own router. The parts themselves are the packages beside
// it, each of use without this one:
//
//	tokens := &token.Manager{AppID: id, Secret: secret, Store: s}
//	wetoken.Bind(mux, "/wx", &token.Handler{Source: tokens, Guard: guard})
package wetoken

import (
	"net/http"
	"strings"
)

// Part is a set of handlers, such as token.Handler, message.Receiver or oauth.Login. Its routes are keyed by patterns
// of http.ServeMux, such as "GET /token".
type Part interface {
	Routes() map[string]http.Handler
}

// Mux is what [Bind] mounts parts on, such as http.ServeMux: a pattern that ends in a slash takes all paths below it.
type Mux interface {
	Handle(pattern string, handler http.Handler)
}

// Handler serves the routes of all parts. It panics, as http.ServeMux does, when two of them clash.
func Handler(parts ...Part) http.Handler {
	mux := http.NewServeMux()
	for _, p := range parts {
		for pattern, h := range p.Routes() {
			mux.Handle(pattern, h)
		}
	}
	return mux
}

// Bind mounts the parts below prefix, such as "/wx": a token.Handler then answers GET /wx/token. Other routers mount
// the [Handler] itself below http.StripPrefix; the examples folder has the line for chi, gin and echo.
//
// It takes the pattern prefix+"/", and panics, as http.ServeMux does, on a mux that has it already: all parts of one
// prefix go into one Bind, and prefix "/" is for a mux without a "/" of its own.
func Bind(mux Mux, prefix string, parts ...Part) {
	prefix = "/" + strings.Trim(prefix, "/")
	if prefix == "/" {
		mux.Handle("/", Handler(parts...))
		return
	}
	mux.Handle(prefix+"/", http.StripPrefix(prefix, Handler(parts...)))
}
