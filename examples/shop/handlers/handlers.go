// Package handlers serves a shop over HTTP: the JSON routes of the old program, and pages for browsers.
package handlers

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/examples/shop/shop"
)

// Sessions knows the users of requests. Tokens implements it.
type Sessions interface {
	// User returns the user who sent a request, or ErrNoSession if it has no valid session.
	User(r *http.Request) (shop.User, error)
	// Issue returns a token of a user.
	Issue(u shop.User) (token string, err error)
	// SetCookie gives a browser a token. The empty token ends its session.
	SetCookie(w http.ResponseWriter, token string)
}

// Handlers serves a Shop.
type Handlers struct {
	Shop     *shop.Shop
	Sessions Sessions

	// Phone is the URL of the simulated WeChat Pay. Default none: the merchant is real.
	Phone string

	// Proxies are the addresses of proxies in front of the program, whose X-Forwarded-For names the caller. Default none. Without them
	// all callers behind a proxy share the limits of its address.
	Proxies []netip.Prefix

	// Stop ends the streams of pages when it is closed, so that the server need not wait for them. Default never.
	Stop <-chan struct{}
}

// Handler returns the handler of all routes. Paths match in any letter case, as in the old program. Requests of other origins that
// change something are refused.
func (h *Handlers) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, routes := range []map[string]http.HandlerFunc{h.orderRoutes(), h.accountRoutes(), h.catalogueRoutes(), h.pageRoutes()} {
		for pattern, handler := range routes {
			mux.HandleFunc(pattern, handler)
		}
	}
	wetoken.Bind(mux, "/", h.Shop.Cashier) // POST /pay/notify, GET /pay/qr/{id} …
	return http.NewCrossOriginProtection().Handler(behindProxies(h.Proxies, foldCase(mux)))
}

// foldCase serves a path that mux does not know as it is by its lower-case form.
func foldCase(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			if lower := strings.ToLower(r.URL.Path); lower != r.URL.Path {
				r = r.Clone(r.Context())
				r.URL.Path, r.URL.RawPath = lower, ""
			}
		}
		mux.ServeHTTP(w, r)
	})
}

// writeJSON writes v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}

// user returns the user who sent a request, or false if it has no valid session.
func (h *Handlers) user(r *http.Request) (shop.User, bool) {
	u, err := h.Sessions.User(r)
	if err != nil && !errors.Is(err, ErrNoSession) {
		slog.ErrorContext(r.Context(), "session", "error", err)
	}
	return u, err == nil
}
