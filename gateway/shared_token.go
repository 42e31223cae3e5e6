package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// Several apps may have one appid. The stores keep one token for them, and each app holds it as if it were another process: it reads
// the store every few seconds. WeChat ends a stable token at once when it is forced to make another, so that the apps of this process are told.

const tellTimeout = 2 * time.Second // of reading the store for all of them

// Renew returns a token other than refused, as [token.Manager.Renew] does. The other apps of this process with the same appid serve it from
// now on.
func (a ServedApp) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	return a.app.renewToken(ctx, refused)
}

var errNoToken = errors.New("gateway: a website has no token")

func (a *app) renewToken(ctx context.Context, refused string) (wechat.Credential, error) {
	m := a.managers()
	if m.tokens == nil {
		return wechat.Credential{}, errNoToken
	}
	c, err := m.tokens.Renew(ctx, refused)
	if err != nil {
		return c, err
	}
	if last := m.renewed.Swap(&c.Value); last != nil && *last == c.Value { // the others were told
		return c, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	for _, other := range a.gateway.appsInUse() {
		if other != a && other.sharesToken(a) {
			_ = other.managers().tokens.Retry(ctx) // it logs its failure, and reads the store again in a few seconds
		}
	}
	return c, nil
}

// sharesToken reports whether the stores keep one token for a and b.
func (a *app) sharesToken(b *app) bool {
	return a.appID == b.appID && a.platform == b.platform && a.kind != wechat.Website && a.kind != wechat.Platform && a.classic == b.classic && (a.kind != wechat.Work || equalSecrets(a.secret, b.secret))
}

// appsInUse returns the apps whose token or tickets this process may hold.
func (g *Gateway) appsInUse() (list []*app) {
	add := func(a *app) {
		if a.kind != wechat.Website && a.built.Load() && !a.expired() && !a.isRevoked() {
			list = append(list, a)
		}
	}
	for _, a := range g.served.Load().apps {
		add(a)
	}
	if g.registered != nil {
		for _, a := range g.registered.apps.values() {
			add(a)
		}
	}
	return list
}

// sharedToken is the token of an app that others may share.
type sharedToken struct {
	*token.Manager
	app *app
}

// Renew renews the token for all apps that share it.
func (s sharedToken) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	return s.app.renewToken(ctx, refused)
}
