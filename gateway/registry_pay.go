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
	// Every process has seen a change, and has written the records of the orders that it took before, that long after it.
	closingTime = 3 * time.Second

	// The payments of an app whose change was cut off open again after closingLife. A change begins its last write within changeTimeout
	// from when it closed them; the rest is for that write, and for clocks that differ.
	closingLife   = 2 * time.Minute
	changeTimeout = 45 * time.Second

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
	}{{e.Orders, "orders"}, {e.Refunds, "refunds"}, {e.Transfers, "transfers"}, {e.Refused, "refused payments"}, {e.Reports, "reports that notify_to has not accepted"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	text := fmt.Sprintf("gateway: app %q has unfinished payments: %s", e.App, strings.Join(parts, ", "))
	if names := append(e.Numbers[:len(e.Numbers):len(e.Numbers)], e.ReportsNamed...); len(names) > 0 {
		text += " (" + strings.Join(names, ", ") + ")"
	}
	return text + ": close or wait for them, accept or refund refused payments, and retry or drop the reports"
}

// checkUnfinished returns an UnfinishedError if the app with an id has payments or reports that are not finished. Refused payments are
// those of the merchant that the app has by its terms.
func (g *Gateway) checkUnfinished(ctx context.Context, id, name string, terms []string) error {
	c := &pay.Cashier{Store: g.store, Records: g.records, App: id}
	for _, term := range terms {
		if number, ok := strings.CutPrefix(term, "number/"); ok {
			c.Merchants = append(c.Merchants, recordedMerchant{number: strings.TrimSuffix(number, "/")})
		}
	}
	open, err := c.Unfinished(ctx)
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

// recordedMerchant is a merchant of whom only the records are read.
type recordedMerchant struct {
	pay.Merchant // nil
	number       string
}

func (m recordedMerchant) Name() string { return "v3/" + m.number } // which has the records of v2, too

// checkPay checks the payments of an app that replaces old, as the configuration is checked. It returns the terms of the app.
func (a *Apps) checkPay(ctx context.Context, name, id string, old *registry.Entry, c App) (terms []string, err error) {
	g := a.gateway
	if c.Pay != nil {
		m, err := g.readMerchant(ctx, c.Pay.Merchant)
		if err != nil {
			return nil, err
		}
		if err := a.checkAppPay(ctx, name, c, m); err != nil {
			return nil, err
		}
		terms = payTerms(m)
	}
	if endsPayments(old, terms) {
		err = g.checkUnfinished(ctx, id, name, old.Terms)
	}
	return terms, err
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
	return e != nil && slices.ContainsFunc(e.Terms, isPayTerm)
}

// endsPayments reports whether an app that gets terms loses the merchant that old has, whose keys its orders need.
func endsPayments(old *registry.Entry, terms []string) bool {
	return old != nil && slices.ContainsFunc(old.Terms, func(t string) bool { return isPayTerm(t) && !slices.Contains(terms, t) })
}

// errNotClosed is the error of a change that would end the payments of an app, which other processes may still take orders for.
var errNotClosed = errors.New("gateway: the app takes payments")

// Delete removes an app. It returns an [UnfinishedError] for one with payments that are not finished. An app with payments takes no
// new ones from then on, and is removed 3 seconds later, when all processes know; if this process ends in between, the app stays, and
// takes payments again after two minutes. A revision that is not empty must be that of the app.
func (a *Apps) Delete(ctx context.Context, name, revision string) error {
	err := a.remove(ctx, name, revision, false)
	if errors.Is(err, errNotClosed) {
		err = a.whileClosed(ctx, name, revision, func(ctx context.Context, closed string) error { return a.remove(ctx, name, closed, true) })
	}
	id, err := a.gateway.discardUnreadable(ctx, appKind, name, revision, err, func(id string) error { return a.gateway.checkUnfinished(ctx, id, name, nil) })
	if id != "" {
		a.gateway.reportUnfinished(ctx, id, name)
	}
	a.gateway.auditChange(ctx, registrationEvent, err, "action", "delete", "app", name)
	return err
}

// whileClosed closes the payments of an app, and makes a change once no process takes orders for it. The change gets the revision that
// the app has then. If it fails, the payments are opened again.
func (a *Apps) whileClosed(ctx context.Context, name, revision string, change func(ctx context.Context, revision string) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	var before string
	closed, err := a.setClosing(ctx, name, time.Now().Add(closingLife).UnixMilli(), func(old *registry.Entry) error {
		if old != nil {
			before = old.Revision
		}
		return checkRevision(old, revision)
	})
	if closed == nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		// The app has its earlier revision if the answer to closing it was lost. Another one keeps that from being made later.
		_, failed := a.setClosing(context.WithoutCancel(ctx), name, 0, func(old *registry.Entry) error {
			if old != nil && old.Revision == before {
				return nil
			}
			return checkRevision(old, closed.Revision)
		})
		if failed != nil && !errors.Is(failed, ErrStale) { // another change has opened them
			err = fmt.Errorf("%w; and the app may take no payments for two minutes: %w", err, failed)
		}
	}()
	if err != nil {
		return err
	}
	if err := waitClosing(ctx); err != nil {
		return err
	}
	return change(ctx, closed.Revision)
}

// waitClosing waits until all processes have seen a change, and have written the records of orders that they took before.
func waitClosing(ctx context.Context) error {
	wait := time.NewTimer(closingTime)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// setClosing sets until when an app is closing, if check returns nil for it. After an error it returns the entry if that may have been
// written.
func (a *Apps) setClosing(ctx context.Context, name string, until int64, check func(old *registry.Entry) error) (*registry.Entry, error) {
	return a.gateway.writeEntry(ctx, appKind, name, func(old *registry.Entry) (*registry.Entry, error) {
		if err := check(old); err != nil {
			return nil, err
		}
		if old == nil {
			return nil, ErrNotRegistered
		}
		old.ClosingUntil = until
		return old, nil
	})
}

// errClosing is why payments are not served while a change waits.
var errClosing = errors.New("payments of this app are being changed: try again")

// checkStillPays returns an error if a registered app has lost its payments. It reads the record: the body of the
// request may have come slowly, and this process may be behind the changes while the records are slow.
func (a *app) checkStillPays(ctx context.Context) error {
	g := a.gateway
	if g.registered == nil || g.served.Load().apps[a.id] != nil {
		return nil
	}
	e, ok, err := g.registered.ByID(ctx, appKind, a.id)
	var now RegisteredApp
	if err == nil && ok {
		now, err = readRegisteredApp(e)
	}
	if err == nil && ok && e.ClosingUntil != 0 && !e.IsClosing() {
		// The change was cut off, or its machine slept. A new revision keeps it from being made from here on.
		_, err = g.Apps().setClosing(ctx, e.Name, 0, func(old *registry.Entry) error { return checkRevision(old, e.Revision) })
	}
	m := a.pay.merchant
	switch {
	case err != nil:
		return errRecordsAway
	case !ok || e.IsClosing() || isPast(now.App.ExpiresAt) || !slices.Contains(e.Terms, usesTerm(m.name)) || !slices.Contains(e.Terms, numberTerm(m.config)):
		return &pay.Error{Op: "check the app", Cause: pay.ErrBusy, Message: errClosing.Error()}
	}
	return nil
}
