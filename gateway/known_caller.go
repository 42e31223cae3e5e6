package gateway

import (
	"net/http"
)

// Caller is one of our own services, as a handler of [Options.PrivateFallback] knows it by its key.
type Caller struct{ caller *caller }

// Caller returns the caller whose key is in the Authorization of a request, or is key, which the handler has found elsewhere, such as
// in the query of an old client. The error is a [CallerError].
func (g *Gateway) Caller(r *http.Request, key string) (*Caller, error) {
	c, err := g.findCaller(r)
	if err != nil && key != "" {
		seen := *r
		seen.Header = http.Header{"Authorization": {"Bearer " + key}}
		c, err = g.findCaller(&seen)
	}
	if err != nil {
		return nil, &CallerError{statusOfRefusal(err), err}
	}
	return &Caller{c}, nil
}

// CallerError reports that a request has no caller. Its text has no secret.
type CallerError struct {
	Status int // of the response: 401; 403 for an address that the key is not for, 429 beyond its rate, 503 while the records are away
	Reason error
}

func (e *CallerError) Error() string { return e.Reason.Error() }

// Unwrap returns the reason.
func (e *CallerError) Unwrap() error { return e.Reason }

// Name returns the name of the caller's key, for the log.
func (c *Caller) Name() string { return c.caller.id }

// Allows reports whether the caller has a scope for an app.
func (c *Caller) Allows(a ServedApp, scope string) bool { return c.caller.mayUse(a.app, scope) }

// IsAdmin reports whether the caller has the scope admin for all apps, which the registries need.
func (c *Caller) IsAdmin() bool { return c.caller.allApps && c.caller.hasScope("admin") }

// Audit records that a caller did something to an app, as the gateway's own routes do. c is nil for a caller without a key.
func (g *Gateway) Audit(r *http.Request, c *Caller, action, app string) {
	name := "(no key)"
	if c != nil {
		name = c.Name()
	}
	g.audit(r.Context(), "change", "caller", name, "app", app, "action", action, "from", r.RemoteAddr)
}

// Beside returns h for another private address than that of [Gateway.Private]. RemoteAddr is then the client's address behind a
// trusted proxy, and [Gateway.Caller] may be called.
func (g *Gateway) Beside(h http.Handler) http.Handler { return g.withClientAddress(g.withSnapshot(h)) }
