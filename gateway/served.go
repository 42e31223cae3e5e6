package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// ErrNoApp reports that a gateway serves no app with a name, or that the app does not allow the route.
var ErrNoApp = errors.New("gateway: no such app")

// ServedApp is an app as a gateway serves it now. It is for one request, or one run: an app that is registered again is another one.
type ServedApp struct {
	app *app
	redacted
}

// ServedApp returns the app with a name or an appid, if it may be used through route, such as /token. The error wraps [ErrNoApp] if
// there is none; any other one means that the records cannot be read.
//
// A handler of [Options.PrivateFallback] has to check first that the caller may use it: see [Gateway.Caller] and
// [Gateway.AppWithSecret].
func (g *Gateway) ServedApp(ctx context.Context, name, route string) (ServedApp, error) {
	found, err := g.appNamed(ctx, name)
	if err != nil {
		return ServedApp{}, err
	}
	return found.open(snapshotIn(ctx, g), name, route)
}

// OnlyApp returns the only app of a caller, for requests that name none. A caller of all apps has one if the configuration has one,
// and none can be registered. c may be nil for a caller of all apps.
func (g *Gateway) OnlyApp(ctx context.Context, c *Caller, route string) (ServedApp, error) {
	return g.onlyApp(ctx, c, route, func(*app) bool { return true })
}

// OnlyPaidApp is like OnlyApp, for the only app that takes payments.
func (g *Gateway) OnlyPaidApp(ctx context.Context, c *Caller, route string) (ServedApp, error) {
	return g.onlyApp(ctx, c, route, func(a *app) bool { return a.pay != nil })
}

// onlyApp returns the only app of a caller for which counts is true.
func (g *Gateway) onlyApp(ctx context.Context, c *Caller, route string, counts func(*app) bool) (ServedApp, error) {
	s, found := snapshotIn(ctx, g), []*app(nil)
	switch {
	case c != nil && !c.caller.allApps && len(c.caller.apps)+len(c.caller.named) <= maxOwnApps:
		own, err := g.appsOfCaller(ctx, c.caller)
		if err != nil {
			return ServedApp{}, err
		}
		for _, a := range own {
			if counts(a) {
				found = append(found, a)
			}
		}
	case (c == nil || c.caller.allApps) && g.registered == nil:
		for _, a := range s.apps {
			if counts(a) {
				found = append(found, a)
			}
		}
	}
	if len(found) != 1 {
		return ServedApp{}, fmt.Errorf("%w: the request names none, and the caller has several or none", ErrNoApp)
	}
	return found[0].open(s, found[0].name, route)
}

const maxOwnApps = 100 // that onlyApp looks at

// appsOfCaller returns the apps that the settings of a caller name: by id those that existed before its key, and by name later ones.
func (g *Gateway) appsOfCaller(ctx context.Context, c *caller) (list []*app, err error) {
	for id := range c.apps {
		a, err := g.appByID(ctx, id)
		if err != nil {
			return nil, errRecordsAway
		}
		if a != nil {
			list = append(list, a)
		}
	}
	for name := range c.named {
		a, err := g.appNamed(ctx, name)
		if err != nil {
			return nil, err
		}
		if a != nil && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list, nil
}

// AppWithSecret returns the app with an appid, if secret is its secret, and if it may be used through route. ok is false for a wrong
// secret and for an unknown app: both take the same steps, and the same reads of the records. The secret is compared in constant time.
func (g *Gateway) AppWithSecret(ctx context.Context, appID, secret, route string) (a ServedApp, ok bool, err error) {
	found, err := g.appNamed(ctx, appID)
	if err != nil {
		return a, false, err
	}
	if found.knowsSecret(secret) {
		a, err = found.open(snapshotIn(ctx, g), appID, route)
		return a, err == nil, nil
	}
	if found != nil && len(appID) > len(absentPrefix) { // an unknown app was looked up in vain: so is another one here
		if _, err := g.appNamed(ctx, absentPrefix+appID[len(absentPrefix):]); err != nil {
			return a, false, err
		}
	}
	return a, false, nil
}

// absentPrefix begins what looks like an appid, but is none.
const absentPrefix = "wx~"

// knowsSecret reports whether secret is one of a, which may be nil. The time does not depend on which.
func (a *app) knowsSecret(secret string) bool {
	if a == nil {
		a = new(app)
	}
	present, next, previous := equalSecrets(a.secret, secret), equalSecrets(a.nextSecret, secret), equalSecrets(a.previousSecret, secret)
	return present || next || previous
}

// equalSecrets reports whether two secrets are equal and not empty. The digests have one length, so that the time does not depend on the
// length of a secret.
func equalSecrets(known, given string) bool {
	a, b := sha256.Sum256([]byte(known)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && known != ""
}

// open returns a, which may be nil, for a route below its name.
func (a *app) open(s *snapshot, name, route string) (ServedApp, error) {
	if explain := a.explainClosed(s, name, trimSlash(route)); explain != nil {
		return ServedApp{}, fmt.Errorf("%w: %s", ErrNoApp, explain())
	}
	if a.isRevoked() {
		return ServedApp{}, fmt.Errorf("%w: %w", ErrNoApp, a.revokedError())
	}
	return ServedApp{app: a}, nil
}

func trimSlash(route string) string {
	if route != "" && route[0] == '/' {
		return route[1:]
	}
	return route
}

// PageScripts returns the addresses of the scripts that example pages load: WeChat's JSSDK, and what its browser would have for payments.
// The latter is empty unless WeChat is simulated.
func (g *Gateway) PageScripts() (jssdk, bridge string) {
	base := strings.TrimSuffix(g.endpoints.Script, "/")
	if base != "" {
		bridge = base + "/phone/pay/bridge.js"
	}
	return cmp.Or(base, "https://res.wx.qq.com") + "/open/js/jweixin-1.6.0.js", bridge
}

// Name returns the name of the app in its routes.
func (a ServedApp) Name() string { return a.app.name }

// AppID returns the appid, of WeCom the corp id.
func (a ServedApp) AppID() string { return a.app.appID }

// Kind returns the kind of the app.
func (a ServedApp) Kind() wechat.Kind { return cmp.Or(a.app.kind, wechat.Official) }

// HasSecret reports whether secret is the app's: the present one, the next one or the previous one. It compares in constant time.
func (a ServedApp) HasSecret(secret string) bool { return a.app.knowsSecret(secret) }

// Tokens returns the app's token, or nil for a website, which has none.
func (a ServedApp) Tokens() *token.Manager { return a.app.handlers().tokens }

// Tickets returns the app's tickets, or nil for a website, which has none.
func (a ServedApp) Tickets() *ticket.Manager { return a.app.handlers().tickets }

// Messages returns the receiver of the app's callbacks. For an app without callbacks it refuses all.
func (a ServedApp) Messages() *message.Receiver { return a.app.handlers().messages }

// Pages returns the handler that signs the app's pages and cards, or nil for an app that has none: a mini program or a website.
func (a ServedApp) Pages() *jssdk.Handler { return a.app.handlers().pages }

// Client returns a client of the WeChat servers that the app uses, with its token.
func (a ServedApp) Client() *wechat.Client {
	c := a.app.newClient()
	if tokens := a.Tokens(); tokens != nil {
		c.Tokens = sharedToken{tokens, a.app}
	}
	return c
}

// WCodeTemplateID returns the setting wcode_template_id.
func (a ServedApp) WCodeTemplateID() string { return a.app.wcodeTemplateID }
