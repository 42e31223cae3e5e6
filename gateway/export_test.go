package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/wetoken/wetoken/internal/registry"
)

// Decode reads JSON into a part of the configuration.
var Decode = decodeExactly

// May reports whether the caller of a key has a scope for app.
func May(k Key, app, scope string) bool {
	c, _ := newCaller(k, map[string]App{app: {}})
	return c.allows(app, scope)
}

// IDOfKey returns the id of the registered key with a name.
var IDOfKey = idOfKey

// Authenticator returns a function that finds the caller of r, as a guard does.
func Authenticator(g *Gateway, r *http.Request) func() error {
	r = r.WithContext(context.WithValue(r.Context(), snapshotKey{}, g.served.Load()))
	return func() error {
		_, err := g.findCaller(r)
		return err
	}
}

// Replace has g serve the apps and callers of c from now on. The apps in kept stay those that it serves now.
func Replace(g *Gateway, c Config, kept ...string) error {
	all, err := newCallers(c.Keys, c.Apps)
	if err != nil {
		return err
	}
	var apps []*app
	for _, name := range kept {
		apps = append(apps, g.served.Load().named[name])
	}
	for name, a := range c.Apps {
		if !slices.Contains(kept, name) {
			apps = append(apps, g.newApp(name, a))
		}
	}
	next, err := newSnapshot(apps, all)
	if err == nil {
		g.replaceSnapshot(next)
	}
	return err
}

// SetBackends has g send reports by a client.
func SetBackends(g *Gateway, c *http.Client) { g.relayHTTP = c }

// CheckAccepted returns an error if a 2xx response refuses a report.
var CheckAccepted = checkAccepted

// FlatPayment returns a payment as the fields of a notification of APIv2.
var FlatPayment = flatPayment

// ReadLink returns an error for a text that is no link to a payment of an app.
func ReadLink(g *Gateway, app, text string) error {
	_, err := g.served.Load().named[app].readLink(text, time.Now())
	return err
}

// CloseForChange does what a process has done that ends while it deletes an app.
func CloseForChange(ctx context.Context, g *Gateway, name string) error {
	_, err := g.Apps().setClosing(ctx, name, time.Now().Add(closingLife).UnixMilli(), func(*registry.Entry) error { return nil })
	return err
}
