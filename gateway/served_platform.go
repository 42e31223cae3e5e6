package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/wechat"
)

// ServedPlatform is a third-party platform as a gateway serves it now, for the handlers of [Options.PrivateFallback] and
// [Options.PublicFallback].
type ServedPlatform struct {
	part *platformPart
	redacted
}

// OnlyPlatform returns the only platform of the configuration. The error wraps [ErrNoPlatform] if there is none, or several.
func (g *Gateway) OnlyPlatform() (ServedPlatform, error) {
	var found *app
	for _, a := range g.served.Load().apps {
		if a.kind != wechat.Platform {
			continue
		}
		if found != nil {
			return ServedPlatform{}, fmt.Errorf("%w: the configuration has several", ErrNoPlatform)
		}
		found = a
	}
	if found == nil {
		return ServedPlatform{}, ErrNoPlatform
	}
	return ServedPlatform{part: found.handlers().platformPart}, nil
}

// Name returns the name of the platform.
func (p ServedPlatform) Name() string { return p.part.app.name }

// Events serves the notices of the open platform to the platform.
func (p ServedPlatform) Events() http.Handler { return p.part.events }

// Messages serves the messages of the account in the path value appid.
func (p ServedPlatform) Messages() http.Handler { return http.HandlerFunc(p.part.serveMessage) }

// Call makes a call below /cgi-bin/component/ of WeChat's API with the component_access_token: see platform.Platform.Call.
func (p ServedPlatform) Call(ctx context.Context, path string, body map[string]any, out any) error {
	return p.part.platform.Call(ctx, path, body, out)
}

// AuthorizeURL returns the address of WeChat's authorization page, and the end of its pre_auth_code. The page returns to an address on
// one of the hosts of the platform.
func (p ServedPlatform) AuthorizeURL(ctx context.Context, page platform.Page) (address string, expires time.Time, err error) {
	if err := p.part.checkBinding(binding{To: page.RedirectURI, Type: page.Type}); err != nil {
		return "", expires, &SettingError{Reason: err.Error()}
	}
	return p.part.platform.AuthorizeURL(ctx, page)
}

// Authorize exchanges an authorization code, and opens the app of its account.
func (p ServedPlatform) Authorize(ctx context.Context, code string) (a ServedApp, account platform.Account, err error) {
	if account, err = p.part.platform.Authorize(ctx, code, time.Time{}); err != nil {
		return a, account, err
	}
	name, err := p.part.open(ctx, account.AppID, "", time.Now().Add(-time.Minute))
	if err != nil {
		return a, account, err
	}
	if account, err = p.part.platform.Account(ctx, account.AppID); err != nil {
		return a, account, err
	}
	a, err = p.part.app.gateway.ServedApp(ctx, name, "/token")
	return a, account, err
}

// AllowsPlatform reports whether the caller has a scope for all accounts of a platform.
func (c *Caller) AllowsPlatform(p ServedPlatform, scope string) bool {
	return (c.caller.allApps || c.caller.platforms[p.part.app.name]) && c.caller.hasScope(scope)
}
