package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/pay"
)

// appPay serves the payments of an app.
type appPay struct {
	config   Pay
	merchant *merchant
	v3       *appMerchantV3 // nil for a merchant without APIv3
	cashier  *pay.Cashier

	// Why payments are not served; nil if they are. Then the three above are nil or, while they are being changed, serve only what
	// has begun: notifications and work in the background.
	refused   error
	refusedAt time.Time
}

// payURL returns the public URL for the payments of an app.
func payURL(public, name string) string {
	return strings.TrimSuffix(public, "/") + "/app/" + url.PathEscape(name)
}

// newPay returns the appPay of a, or nil if c is nil.
func (g *Gateway) newPay(a *app, c *Pay) *appPay {
	if c == nil {
		return nil
	}
	m := g.merchants[c.Merchant]
	if m == nil {
		g.log.Error("payments are not served: unknown merchant", "app", a.name)
		return nil
	}
	p := g.buildPay(a, *c, m)
	switch {
	case m.shared:
		p.cashier.AppID = a.appID
	case g.registered != nil:
		p.cashier.AppID, p.cashier.Alone = a.appID, g.isAlone(m)
	}
	return p
}

// buildPay returns the appPay of a with a merchant.
func (g *Gateway) buildPay(a *app, c Pay, m *merchant) *appPay {
	merchants, v3 := g.newAppMerchants(m, a.appID)
	p := &appPay{config: c, merchant: m, v3: v3}
	p.cashier = &pay.Cashier{
		Merchants: merchants, Store: g.store, Records: g.records, URL: payURL(a.publicURL, a.name), App: a.id, QR: encodeQR,
		OnPaid: a.relayPayment, OnRefund: a.relayRefund, OnTransfer: a.relayTransfer, OnError: a.logPayError,
	}
	if c.NotifyTo != "" { // otherwise the Cashier does not acknowledge what is about money
		p.cashier.OnOther = a.relayOther
	}
	if c.NotifyTo != "" && a.signKey == "" {
		g.log.Warn("payments are reported without a signature, so the backend cannot detect forged ones: set sign_key", "app", a.name)
	}
	return p
}

// encodeQR returns a QR code as a PNG image.
func encodeQR(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("gateway: encode a QR code: %w", err)
	}
	return code.PNG(), nil
}

// refusals are the causes of the notifications that anybody can send.
var refusals = []pay.Cause{pay.ErrClock, pay.ErrSerial, pay.ErrSignature, pay.ErrMerchant, pay.ErrUnreadable, pay.ErrTooLarge, pay.ErrOther}

// refusedNotification is what limits the log of refused notifications to one line a minute.
type refusedNotification struct {
	app   string
	cause pay.Cause
}

func (a *app) logPayError(ctx context.Context, err error) {
	if isReported(err) {
		return
	}
	args := []any{"app", a.name, "error", err}
	if cause := pay.Cause(""); errors.As(err, &cause) && slices.Contains(refusals, cause) {
		now, more := a.gateway.refusedNotifications.Allow(refusedNotification{a.id, cause})
		if !now {
			return
		}
		args = append(args, "repeats", more)
	}
	a.gateway.log.WarnContext(ctx, "payment", args...)
}

// newHandler returns the handler for the private listener.
func (p *appPay) newHandler(a *app) *pay.Handler {
	return &pay.Handler{
		Cashier: p.cashier, Around: a.aroundPayment,
		Guard: func(next http.Handler) http.Handler {
			own, withRefund, withBill := a.guardPay("pay")(next), a.guardPay("pay", "refund")(next), a.guardPay("pay")(a.guardBill(next))
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasPrefix(r.URL.Path, "/pay/refunds/"): // a query of a refund
					withRefund.ServeHTTP(w, r)
				case strings.HasPrefix(r.URL.Path, "/pay/bills/"):
					withBill.ServeHTTP(w, r)
				default:
					own.ServeHTTP(w, r)
				}
			})
		},
		RefundGuard: a.guardPay("refund"), TransferGuard: a.guardPay("transfer"),
	}
}

type payCallerKey struct{}

// payCaller returns the caller that guardPay has admitted.
func payCaller(ctx context.Context) *caller { return ctx.Value(payCallerKey{}).(*caller) }

// guardPay admits callers that have one of scopes for a.
func (a *app) guardPay(scopes ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := a.gateway.findCaller(r)
			if err != nil {
				refuseCaller(w, err)
				return
			}
			if !slices.ContainsFunc(scopes, func(scope string) bool { return c.mayUse(a, scope) }) {
				a.refuseCall(w, r, c, "this key has no scope "+strings.Join(scopes, " or ")+" for this app")
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), payCallerKey{}, c)))
		})
	}
}

// guardBill admits callers, which guardPay has admitted, that may see the orders of all apps in a bill of the merchant: that of a
// service provider has all of its shops.
func (a *app) guardBill(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := payCaller(r.Context())
		if all, err := a.mayUseAll(r.Context(), c, "pay", a.pay.merchant.config.SubMchID == ""); err != nil {
			answer.Refuse(w, http.StatusServiceUnavailable, errRecordsAway.Error())
			return
		} else if !all {
			a.refuseCall(w, r, c, "the bill has orders of other apps of the same merchant: this key's apps must include all of them")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// aroundPayment makes a call that may move money, within the limits of its caller, and logs it with the caller.
func (a *app) aroundPayment(ctx context.Context, call pay.Call, do func(context.Context) error) error {
	return a.limitPayment(ctx, payCaller(ctx), call, do)
}

// limitPayment is aroundPayment for a caller.
func (a *app) limitPayment(ctx context.Context, c *caller, call pay.Call, do func(context.Context) error) error {
	err := a.checkCall(c, call)
	if err == nil {
		err = a.checkStillPays(ctx)
	}
	if err == nil {
		err = a.withinDay(ctx, c, call, do)
	}
	a.audit(ctx, c, call, err)
	return err
}

// checkCall returns an error if the settings of the app or the limits of the caller forbid a call.
func (a *app) checkCall(c *caller, call pay.Call) error {
	if c.maxFen > 0 && call.Fen > c.maxFen && (call.Action == "order" || movesOut(call)) {
		return denied(call, fmt.Sprintf("invalid amount %d fen: want at most max_fen of this key, %d", call.Fen, c.maxFen))
	}
	if call.NotifyTo == "" {
		return nil
	}
	switch err := hosts.Check(call.NotifyTo, a.hosts); {
	case a.signKey == "":
		return &pay.FieldError{Field: "notify_to", Reason: "needs the app's sign_key: unsigned reports can be forged"}
	case err != nil:
		return &pay.FieldError{Field: "notify_to", Reason: "is refused: " + err.Error()}
	case checkTarget(call.NotifyTo) != nil:
		return &pay.FieldError{Field: "notify_to", Reason: "is not an http or https URL"}
	}
	return nil
}

func denied(call pay.Call, why string) error {
	return &pay.Error{Op: call.Action, Cause: pay.ErrDenied, Number: call.Number, Message: why}
}

// checkTarget returns an error if target is not a valid URL of a backend.
func checkTarget(target string) error {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(target) > hosts.MaxLen {
		return errors.New("want an http or https URL such as http://shop:8000/paid")
	}
	return nil
}

// hasPay reports whether any app takes payments.
func (s *snapshot) hasPay() bool {
	for _, a := range s.apps {
		if a.pay != nil {
			return true
		}
	}
	return false
}

// watchPayments runs pay.Watch for all apps until ctx ends. It starts when an app takes payments.
func (g *Gateway) watchPayments(ctx context.Context) {
	if !g.waitForPay(ctx) {
		return
	}
	w := &pay.Watch{
		Store: g.store, Records: g.records,
		Cashier: func(id string) *pay.Cashier {
			if a, err := g.appByID(ctx, id); err == nil && a != nil && a.pay != nil {
				a.dropRefused()
				return a.pay.cashier
			}
			return nil // its records wait
		},
		OnError: func(ctx context.Context, err error) {
			if !isReported(err) {
				g.log.WarnContext(ctx, "payments", "error", err)
			}
		},
	}
	_ = w.Run(ctx) // returns the cause of ctx
}
