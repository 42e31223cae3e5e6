package compat

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
)

// proxy serves the routes of aiportal/wechat-proxy: those of an app, below /app/{app}, and the same without it, whose query names the
// app by its appid.
//
// The gateway's own routes of an app go first, and serve no path of the old system with a method that its clients use: POST /js/config
// and POST /js/card are the gateway's, and GET is the old one's. /api, /pay and /pay/js are old ones with and without a slash at the end,
// beside the gateway's /pay/js/{id}, /pay/orders and others below /pay/. The appid, and whatever else an app is registered with, is never taken from a
// request that names the app in its path.
type proxy struct {
	guard
	examples bool
}

func newProxy(g *gateway.Gateway, c gateway.Compat) *proxy {
	return &proxy{guard{g, c.IsOpen(gateway.CompatProxy)}, c.Examples}
}

// private serves registrations, tokens, tickets, and payments for callers with a key.
func (s *proxy) private() http.Handler {
	m := http.NewServeMux()
	s.addApps(m)       // proxy_apps.go
	s.addTokens(m)     // proxy_token.go
	s.addPayPrivate(m) // proxy_pay.go
	return m
}

// public serves WeChat's messages and notifications, and browsers.
func (s *proxy) public() http.Handler {
	m := http.NewServeMux()
	s.addMessages(m)  // proxy_message.go
	s.addJS(m)        // proxy_jssdk.go
	s.addLogin(m)     // proxy_login.go
	s.addPayPublic(m) // proxy_pay.go
	s.addExamples(m)  // proxy_examples.go
	return publicRoutes{m}
}

// publicRoutes are the routes of the public side. A request for an order or a card with a key or a secret is for the private side, where
// one address serves both, and for nobody on the public side.
type publicRoutes struct{ *http.ServeMux }

// Handler returns the handler for a request, as that of *http.ServeMux does.
func (m publicRoutes) Handler(r *http.Request) (http.Handler, string) {
	if isKeyed(r) {
		return nil, ""
	}
	return m.ServeMux.Handler(r)
}

// isKeyed reports whether a request for an order has a key in its query, or one for a card a key, a secret or a token.
func isKeyed(r *http.Request) bool {
	route := r.URL.Path
	if rest, ok := strings.CutPrefix(route, "/app/"); ok {
		_, route, _ = strings.Cut(rest, "/")
	}
	switch route = strings.Trim(route, "/"); {
	case r.URL.RawQuery == "":
		return false
	case route == "js/card":
		return hasAny(r.URL.Query(), "wetoken_key", "secret", "access_token")
	}
	return (route == "pay" || strings.HasPrefix(route, "pay/")) && hasAny(r.URL.Query(), "wetoken_key")
}

func hasAny(query url.Values, names ...string) bool {
	for _, name := range names {
		if query.Has(name) {
			return true
		}
	}
	return false
}

// handleSlash registers a handler for a path, with and without a slash at its end. HEAD, by which programs look at links, has no effects.
func handleSlash(m *http.ServeMux, method, path string, h http.HandlerFunc) {
	for _, path := range []string{path, path + "/{$}"} {
		m.HandleFunc(method+" "+path, h)
		if method == http.MethodGet {
			m.HandleFunc("HEAD "+path, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "no-store") })
		}
	}
}

// codeProxy is the code of errors that are not WeChat's.
const codeProxy = -10001

// writeProxyError answers an error as wechat-proxy wrote it, with a blank after each colon.
func writeProxyError(w http.ResponseWriter, status, code int, text string) {
	answer.JSON(w, status, fmt.Appendf(nil, `{"errcode": %d, "errmsg": %s}`, code, quote(text)))
}

const textNotFound = "not found"

// writeAdmission answers why a request was not admitted. An app that is unknown, has ended, or does not allow the route is 404.
func writeAdmission(w http.ResponseWriter, err error) {
	refused := (*refusal)(nil)
	switch {
	case errors.As(err, &refused):
		if refused.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="wetoken"`)
		}
		writeProxyError(w, refused.status, codeProxy, refused.text)
	case errors.Is(err, gateway.ErrNoApp):
		writeProxyError(w, http.StatusNotFound, codeProxy, textNotFound)
	default:
		writeProxyError(w, http.StatusServiceUnavailable, codeProxy, err.Error())
	}
}
