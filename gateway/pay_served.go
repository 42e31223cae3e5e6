package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

// Merchant returns the name of the merchant of new orders of the app, such as v2/1900000001: see [pay.Merchant]. It is empty if the app
// takes no payments now.
func (a ServedApp) Merchant() string {
	if p := a.app.pay; p != nil && p.refused == nil {
		return p.cashier.Name()
	}
	return ""
}

// Prepay places an order for a client of wechat-proxy, within the limits of its caller, and logs it with the caller. c is nil for a
// request that needs no key. The defaults of the order are those of wechat-proxy: without an OutTradeNo it gets a new one, and NotifyTo
// may lack http://, or be a path of the public side of this server that is not below /app/. The payment is reported as the flat strings of APIv2.
//
// Errors are those of [pay.Cashier.Prepay]; an app that takes no payments returns [pay.ErrNotFound].
func (a ServedApp) Prepay(ctx context.Context, c *Caller, o pay.Order) (pay.Prepaid, error) {
	by := noCaller
	if c != nil {
		by = c.caller
	}
	if o.OutTradeNo == "" {
		o.OutTradeNo = newOutTradeNo(time.Now(), o.OpenID)
	}
	return a.app.placeFlat(ctx, by, o)
}

// Refund refunds a payment, as [pay.Cashier.Refund] does, within the limits of its caller, and logs it with the caller. A payment without an
// OutTradeNo is found at WeChat by its TransactionID.
func (a ServedApp) Refund(ctx context.Context, c *Caller, f pay.Refund) (pay.Refund, error) {
	err := a.app.checkServesPay()
	if err == nil && f.OutTradeNo == "" {
		f.OutTradeNo, err = a.app.findOutTradeNo(ctx, f.TransactionID)
	}
	if err != nil {
		return f, err
	}
	call := pay.Call{Action: "refund", Number: f.OutRefundNo, Fen: f.Fen}
	err = a.app.limitPayment(ctx, c.caller, call, func(ctx context.Context) (err error) {
		f, err = a.app.pay.cashier.Refund(ctx, f)
		return err
	})
	f.NotifyURL = ""
	return f, err
}

// SandboxSignKey downloads the key of the sandbox of APIv2 (getsignkey) that the merchant's setting sandbox names, by default the present one.
func (a ServedApp) SandboxSignKey(ctx context.Context) (string, error) {
	if err := a.app.checkServesPay(); err != nil {
		return "", err
	}
	for _, m := range a.app.pay.cashier.Merchants {
		if v2, ok := m.(*appMerchant[*payv2.Merchant]); ok {
			return v2.current().SandboxSignKey(ctx)
		}
	}
	return "", &pay.Error{Op: "getsignkey", Cause: pay.ErrNotFound, Message: "the merchant has no key of APIv2"}
}

// noCaller places the orders of requests without a key.
var noCaller = &caller{id: "(no key)"}

// placeFlat places an order of a client of wechat-proxy.
func (a *app) placeFlat(ctx context.Context, by *caller, o pay.Order) (p pay.Prepaid, err error) {
	if err := a.checkServesPay(); err != nil {
		return p, err
	}
	call := pay.Call{Action: "order", Number: o.OutTradeNo, Fen: o.Fen, NotifyTo: wholeCall(o.NotifyTo)}
	if o.NotifyTo = ""; call.NotifyTo != "" || strings.HasPrefix(a.pay.cashier.Name(), "v3/") {
		o.NotifyTo = flatPrefix + call.NotifyTo
	}
	if err = a.checkFlatCall(by, call); err == nil {
		err = a.checkStillPays(ctx)
	}
	if err == nil {
		p, err = a.pay.cashier.Prepay(ctx, o)
	}
	a.audit(context.WithoutCancel(ctx), by, call, err)
	return p, err
}

// CheckPay returns why the app takes no payments now, or nil. An app without payments returns [pay.ErrNotFound].
func (a ServedApp) CheckPay() error { return a.app.checkServesPay() }

// checkServesPay returns an error if a takes no payments now.
func (a *app) checkServesPay() error {
	switch {
	case a.pay == nil:
		return &pay.Error{Op: "order", Cause: pay.ErrNotFound, Message: "this app takes no payments"}
	case a.pay.refused != nil:
		defer a.dropRefused()
		return fmt.Errorf("gateway: %w", a.pay.refused)
	}
	return nil
}

// newOutTradeNo returns an order number in the form of wechat-proxy: the time in Beijing, the end of the payer's openid, and 40 random bits.
func newOutTradeNo(now time.Time, openID string) string {
	end := "----"
	if at := len(openID) - len(end); at >= 0 && pay.CheckOutTradeNo("openid"+openID[at:]) == nil {
		end = openID[at:]
	}
	return now.In(beijing).Format("20060102150405") + "-" + end + "-" + strings.ToLower(rand.Text()[:8])
}

// ServePayNotify serves a notification of WeChat Pay as POST /app/{app}/pay/notify does, but always answers with the XML of APIv2, which
// senders to the notify_url of wechat-proxy read.
func (a ServedApp) ServePayNotify(w http.ResponseWriter, r *http.Request) {
	if a.app.pay == nil {
		answerXML(w, http.StatusNotFound, errors.New("this app takes no payments"))
		return
	}
	inner := withPath("/pay/notify", r)
	quiet := &statusOnly{header: make(http.Header), ResponseWriter: w}
	if !a.app.handlers().routes(publicSide).serve(quiet, inner) {
		quiet.status = http.StatusServiceUnavailable
	}
	if quiet.status < http.StatusMultipleChoices {
		answerXML(w, http.StatusOK, nil)
		return
	}
	if after := quiet.header.Get("Retry-After"); after != "" {
		w.Header().Set("Retry-After", after)
	}
	answerXML(w, quiet.status, errors.New("the notification was not accepted"))
}

// statusOnly keeps the status of a response, and drops its body.
type statusOnly struct {
	http.ResponseWriter
	header http.Header
	status int
}

func (w *statusOnly) Header() http.Header { return w.header }

func (w *statusOnly) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *statusOnly) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}

func (w *statusOnly) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// answerXML answers a notification of APIv2. The text of the error has no markup.
func answerXML(w http.ResponseWriter, status int, err error) {
	code, text := "SUCCESS", "OK"
	if err != nil {
		code, text = "FAIL", err.Error()
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<xml><return_code><![CDATA[%s]]></return_code><return_msg><![CDATA[%s]]></return_msg></xml>", code, text)
}
