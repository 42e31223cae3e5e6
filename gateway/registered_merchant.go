package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/registry"
)

// Terms of an app with payments. The number is part of them, so that an app is served only with the merchant that it was
// registered for.
func usesTerm(merchant string) string { return "merchant/" + merchant }
func mchIDTerm(m Merchant) string     { return "mchid/" + m.MchID }
func numberTerm(m Merchant) string    { return "number/" + m.MchID + "/" + m.SubMchID }

func isPayTerm(term string) bool {
	return slices.ContainsFunc([]string{"merchant/", "mchid/", "number/"}, func(prefix string) bool { return strings.HasPrefix(term, prefix) })
}

// payTerms returns the terms of an app that takes payments with a merchant.
func payTerms(m *merchant) []string {
	return []string{usesTerm(m.name), mchIDTerm(m.config), numberTerm(m.config)}
}

// findMerchant returns the merchant with a name, of the configuration or registered, or nil. It holds those that it reads.
func (g *Gateway) findMerchant(ctx context.Context, name string) (*merchant, error) {
	if m := g.merchants[name]; m != nil || g.registered == nil {
		return m, nil
	}
	m, _, err := g.registered.merchants.get(ctx, "name/"+name, func(ctx context.Context) (string, *merchant, bool, error) {
		m, err := g.readMerchant(ctx, name)
		if err != nil || m == nil {
			return "", nil, false, err
		}
		return m.id, m, true, nil
	})
	return m, err
}

// readMerchant is findMerchant, but reads a registered one from the records.
func (g *Gateway) readMerchant(ctx context.Context, name string) (*merchant, error) {
	if m := g.merchants[name]; m != nil || g.registered == nil {
		return m, nil
	}
	e, ok, err := g.registered.ByName(ctx, merchantKind, name)
	if err != nil || !ok {
		return nil, err
	}
	return g.newRegisteredMerchant(e)
}

// newRegisteredMerchant returns the merchant of an entry. A certificate that has expired since does not matter: WeChat refuses
// calls with it, and notifications are still verified.
func (g *Gateway) newRegisteredMerchant(e *registry.Entry) (*merchant, error) {
	r, err := readRegisteredMerchant(e)
	if err != nil {
		return nil, err
	}
	if key := r.Merchant.fileSetting(); key != "" { // the records are not trusted with the files of this machine
		return nil, fmt.Errorf("gateway: the registration of merchant %q names a file: %s", e.Name, key)
	}
	m, err := newMerchant(e.Name, r.Merchant, g, false)
	if err != nil {
		return nil, fmt.Errorf("gateway: the registration of merchant %q cannot be used: %w", e.Name, err)
	}
	m.id = e.ID
	return m, nil
}

// dropMerchant forgets a merchant that has changed, and the apps that use it. The next request of each is served with the new keys.
func (r *registered) dropMerchant(id string) {
	r.merchants.drop(id)
	for _, a := range r.apps.values() {
		if a.pay != nil && (a.pay.merchant == nil || a.pay.merchant.id == id) {
			r.apps.drop(a.id)
		}
	}
	r.apps.drop("") // no app has that id: an app that is being read may have got the old merchant
}

// newRegisteredPay returns the payments of a registered app. An error is of the records.
func (g *Gateway) newRegisteredPay(ctx context.Context, a *app, e *registry.Entry, c Pay) (*appPay, error) {
	if err := g.checkMoney(ctx); err != nil {
		return g.refusePay(ctx, a, c, err), nil
	}
	m, err := g.findMerchant(ctx, c.Merchant)
	switch {
	case err != nil:
		return nil, err
	case m == nil:
		return g.refusePay(ctx, a, c, fmt.Errorf("merchant %q is neither registered nor part of the configuration", c.Merchant)), nil
	case !slices.Contains(e.Terms, numberTerm(m.config)) || !slices.Contains(e.Terms, mchIDTerm(m.config)):
		return g.refusePay(ctx, a, c, fmt.Errorf("merchant %q has another mch_id or sub_mch_id than when the app was registered: register the app again", c.Merchant)), nil
	}
	p := g.buildPay(a, c, m)
	p.cashier.AppID = a.appID // other apps may come to use the merchant
	return p, nil
}

// refusePay returns payments that are not served, for a reason that callers see.
func (g *Gateway) refusePay(ctx context.Context, a *app, c Pay, reason error) *appPay {
	if now, more := g.refusedNotifications.Allow(refusedNotification{app: a.id, cause: "not served"}); now {
		g.log.ErrorContext(ctx, "payments are not served", "app", a.name, "error", reason, "repeats", more)
	}
	return &appPay{config: c, refused: errors.New("payments of this app are not served: " + reason.Error()), refusedAt: time.Now()}
}

// maxRefusedLife is how long an app without payments for a reason of the server is held: the reason may end without a change.
const maxRefusedLife = 10 * time.Second

// dropRefused has the next request read a, if its payments are not served.
func (a *app) dropRefused() {
	if a.pay.refused != nil && time.Since(a.pay.refusedAt) > maxRefusedLife {
		a.gateway.registered.apps.drop(a.id)
	}
}

// isAlone returns a function that reports whether no registered app takes payments with the number of a merchant.
func (g *Gateway) isAlone(m *merchant) func(context.Context) bool {
	term := numberTerm(m.config)
	return func(ctx context.Context) bool {
		other, err := g.registered.byTerm(ctx, term, false)
		return err == nil && other == nil
	}
}

// mayUseAll reports whether c has a scope for all apps that take payments with the number of the merchant of a or, if wide is set,
// with its mch_id, such as the shops of a service provider. An error means that this cannot be found out now.
func (a *app) mayUseAll(ctx context.Context, c *caller, scope string, wide bool) (bool, error) {
	g, m := a.gateway, a.pay.merchant.config
	if c.allApps {
		return c.hasScope(scope), nil
	}
	for name, other := range g.fileApps {
		if other.Pay == nil || other.id(name) == a.id || c.allows(other.id(name), scope) {
			continue
		}
		if used := g.merchants[other.Pay.Merchant].config; used.MchID == m.MchID && (wide || used.SubMchID == m.SubMchID) {
			return false, nil
		}
	}
	if g.registered == nil {
		return true, nil
	}
	term := numberTerm(m)
	if wide {
		term = mchIDTerm(m)
	}
	ids, err := g.registered.Listed(ctx, appKind, term)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if id == a.id || c.allows(id, scope) {
			continue
		}
		e, ok, err := g.registered.ByID(ctx, appKind, id)
		if err != nil {
			return false, err
		}
		if !ok || !slices.Contains(e.Terms, term) || c.named[e.Name] && c.hasScope(scope) {
			continue
		}
		r, err := readRegisteredApp(e)
		if err != nil || r.App.Platform == "" || !c.platforms[r.App.Platform] || !c.hasScope(scope) {
			return false, err
		}
	}
	return true, nil
}
