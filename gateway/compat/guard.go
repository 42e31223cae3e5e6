package compat

import (
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/redact"
)

// guard admits the requests of one system.
type guard struct {
	gateway *gateway.Gateway
	open    bool // Compat.Open has the system
}

// refusal is the reason why a request is not admitted.
type refusal struct {
	status int // 401, 403 or another one of a gateway.CallerError
	text   string
}

func (r *refusal) Error() string { return r.text }

var (
	errWrongSecret = &refusal{http.StatusUnauthorized, "unknown appid, or another secret than the app's"}
	errNotAdmin    = &refusal{http.StatusForbidden, `this key has no scope admin for all apps ("*")`}
)

// use is what a request is for.
type use struct {
	appID        string
	route, scope string // of the gateway's own route that does the same
	secret       string // of the app, where it admits; else empty

	redacted
}

// redacted keeps the secrets of a struct out of printed text.
type redacted = redact.Struct

// findCaller returns the caller of a request, or nil for one without a key where none is needed.
func (g guard) findCaller(r *http.Request, p params) (*gateway.Caller, error) {
	c, err := g.gateway.Caller(r, p.query.Get("wetoken_key"))
	if err == nil || g.open {
		return c, nil
	}
	refused := &refusal{http.StatusUnauthorized, err.Error()}
	if known := (*gateway.CallerError)(nil); errors.As(err, &known) {
		refused.status = known.Status
	}
	return nil, refused
}

// findAdmin returns the caller of a request that registers an app.
func (g guard) findAdmin(r *http.Request, p params) (*gateway.Caller, error) {
	g.open = false
	c, err := g.findCaller(r, p)
	if err == nil && !c.IsAdmin() {
		return nil, errNotAdmin
	}
	return c, err
}

// admit returns the app that a request is for, if its caller may use it so. The caller is nil if the request has no key. An error is a
// *refusal, wraps gateway.ErrNoApp, or means that the records cannot be read.
func (g guard) admit(r *http.Request, p params, u use) (gateway.ServedApp, *gateway.Caller, error) {
	c, err := g.findCaller(r, p)
	if err == nil {
		var a gateway.ServedApp
		if a, err = g.gateway.ServedApp(r.Context(), u.appID, u.route); err == nil {
			err = g.check(r, c, a, u.scope)
		}
		if err == nil {
			return a, c, nil
		}
	}
	refused := (*refusal)(nil)
	if u.secret == "" || !errors.As(err, &refused) {
		return gateway.ServedApp{}, nil, err
	}
	a, ok, err := g.gateway.AppWithSecret(r.Context(), u.appID, u.secret, u.route)
	if err == nil && !ok {
		err = errWrongSecret
	}
	return a, nil, err
}

// check returns an error if a caller, which may be nil, has no scope for an app.
func (g guard) check(r *http.Request, c *gateway.Caller, a gateway.ServedApp, scope string) error {
	if g.open || c.Allows(a, scope) {
		return nil
	}
	refused := &refusal{http.StatusForbidden, "this key has no scope " + scope + " for this app"}
	if c != nil && (scope == "pay" || scope == "refund") {
		a.AuditRefusedPayment(r, c, refused.text)
	}
	return refused
}
