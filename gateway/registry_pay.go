package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/pay"
)

const (
	// Every process has seen the end of a registration, and has written the records of the orders that it took before, that long
	// after it.
	closingTime = 3 * time.Second

	maxNamedReports = 5
)

// paymentCheck returns the function that checks whether apps with payments may be registered.
func (o Options) paymentCheck() func(context.Context) error {
	switch {
	case o.CheckPayments != nil:
		return o.CheckPayments
	case o.Records == nil && o.Config.Records == "":
		return func(context.Context) error {
			return errors.New("records: must be set to a durable store, which keeps orders")
		}
	}
	return func(context.Context) error { return nil }
}

// UnfinishedError reports that an app cannot be deleted, or its merchant changed, because of payments that are not finished.
type UnfinishedError struct {
	App string
	pay.Unfinished
	Reports      int      // that notify_to has not accepted; at most 5 are counted
	ReportsNamed []string // handles of these, for RetryRelay and DropRelay
}

func (e *UnfinishedError) Error() string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{e.Orders, "orders"}, {e.Refunds, "refunds"}, {e.Transfers, "transfers"}, {e.Reports, "reports that notify_to has not accepted"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	text := fmt.Sprintf("gateway: app %q has unfinished payments: %s", e.App, strings.Join(parts, ", "))
	if names := append(e.Numbers[:len(e.Numbers):len(e.Numbers)], e.ReportsNamed...); len(names) > 0 {
		text += " (" + strings.Join(names, ", ") + ")"
	}
	return text + ": close or wait for them, and retry or drop the reports"
}

// checkUnfinished returns an UnfinishedError if the app with an id has payments or reports that are not finished.
func (g *Gateway) checkUnfinished(ctx context.Context, id, name string) error {
	open, err := (&pay.Cashier{Store: g.store, Records: g.records, App: id}).Unfinished(ctx)
	if err != nil {
		return err
	}
	u := &UnfinishedError{App: name, Unfinished: open}
	for l, err := range g.relays.List(ctx) {
		if err != nil {
			return err
		}
		if l.App == id {
			u.Reports++
			if u.ReportsNamed = append(u.ReportsNamed, "report "+l.Handle); u.Reports == maxNamedReports {
				break
			}
		}
	}
	if u.Any() || u.Reports > 0 {
		return u
	}
	return nil
}

// checkPay checks the payments of an app that replaces old, as the configuration is checked. It returns the terms of the app.
func (a *Apps) checkPay(ctx context.Context, name, id string, old *registry.Entry, c App) (terms []string, err error) {
	g := a.gateway
	if old != nil {
		before, err := readRegisteredApp(old)
		if err != nil {
			return nil, err
		}
		if p := before.App.Pay; p != nil && (c.Pay == nil || c.Pay.Merchant != p.Merchant) { // whose keys its orders need
			if err := g.checkUnfinished(ctx, id, name); err != nil {
				return nil, err
			}
		}
	}
	if c.Pay == nil {
		return nil, nil
	}
	m, err := g.readMerchant(ctx, c.Pay.Merchant)
	if err != nil {
		return nil, err
	}
	if err := a.checkAppPay(ctx, name, c, m); err != nil {
		return nil, err
	}
	return payTerms(m), nil
}

// checkAppPay returns an error if an app cannot take payments with m, which may be nil.
func (a *Apps) checkAppPay(ctx context.Context, name string, c App, m *merchant) error {
	g := a.gateway
	if err := g.checkMoney(ctx); err != nil {
		return &SettingError{"pay", "must be unset on this server: " + trimConfig(err)}
	}
	if m == nil {
		return &SettingError{"pay.merchant", "want the name of a merchant of the configuration, or of one that is registered"}
	}
	if err := (Config{PublicURL: g.publicURL, Merchants: map[string]Merchant{m.name: m.config}}).checkAppPay(name, c); err != nil {
		return &SettingError{Reason: trimConfig(err)}
	}
	return nil
}

var errMerchantGone = errors.New("gateway: the app is registered, but its merchant was deleted meanwhile: register it again")

// checkMerchantStays returns an error if the merchant of an app was deleted while the app was registered.
func (a *Apps) checkMerchantStays(ctx context.Context, c App) error {
	if c.Pay == nil {
		return nil
	}
	_, err := a.gateway.Merchants().Get(ctx, c.Pay.Merchant)
	if errors.Is(err, ErrNotRegistered) {
		return fmt.Errorf("%w: %q", errMerchantGone, c.Pay.Merchant)
	}
	return err
}

// takesPayments reports whether an entry is that of an app with payments, even one that this release cannot read.
func takesPayments(e *registry.Entry) bool {
	return slices.ContainsFunc(e.Terms, func(t string) bool { return strings.HasPrefix(t, usesTerm("")) })
}

// Delete removes an app. It returns an [UnfinishedError] for one with payments that are not finished. An app with payments is
// hidden first, and removed 3 seconds later, when no process takes orders for it any more; if this process ends in between, a day
// later. A revision that is not empty must be that of the app.
func (a *Apps) Delete(ctx context.Context, name, revision string) error {
	err := a.delete(ctx, name, revision)
	err = a.gateway.discardUnreadable(ctx, appKind, name, revision, err, func(id string) error { return a.gateway.checkUnfinished(ctx, id, name) })
	a.gateway.auditChange(ctx, registrationEvent, err, "action", "delete", "app", name)
	return err
}

func (a *Apps) delete(ctx context.Context, name, revision string) error {
	r, err := a.Get(ctx, name)
	switch {
	case err != nil: // one that this release cannot read may be removed, too
		return a.remove(ctx, name, revision, true)
	case r.InFile:
		return ErrInFile
	case revision != "" && revision != AnyRevision && revision != r.Revision:
		return ErrStale
	case r.App.Pay == nil:
		return a.remove(ctx, name, revision, false)
	}
	if err := a.gateway.checkUnfinished(ctx, r.App.id(name), name); err != nil {
		return err
	}
	return a.hideAndRemove(ctx, r) // even one that has ended: others may have read that only now
}

// hideAndRemove removes an app with payments, or shows it again if that fails.
func (a *Apps) hideAndRemove(ctx context.Context, r RegisteredApp) (err error) {
	hidden, err := a.setEnd(ctx, r.Name, r.Revision, time.Now().Add(-time.Minute)) // the clocks of other machines may differ
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		if _, failed := a.setEnd(context.WithoutCancel(ctx), r.Name, hidden.Revision, r.App.ExpiresAt); failed != nil && !errors.Is(failed, ErrStale) {
			err = fmt.Errorf("%w; and the app stays hidden: %w", err, failed)
		}
	}()
	wait := time.NewTimer(closingTime)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return a.remove(ctx, r.Name, hidden.Revision, true)
}

// setEnd changes the end of the registration of an app with payments.
func (a *Apps) setEnd(ctx context.Context, name, revision string, end time.Time) (RegisteredApp, error) {
	return a.write(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		if err := checkRevision(old, revision); err != nil {
			return nil, err
		}
		r, err := readRegisteredApp(old)
		if err != nil {
			return nil, err
		}
		r.App.ID, r.App.ExpiresAt = "", end
		if old.Settings, err = encodePlain(r.App); err != nil {
			return nil, fmt.Errorf("gateway: hide an app: %w", err)
		}
		old.Terms = slices.DeleteFunc(old.Terms, isEndTerm)
		if !end.IsZero() {
			old.Terms = append(old.Terms, endTerm(old.ID, end.Add(expiredLife)))
		}
		return old, nil
	})
}
