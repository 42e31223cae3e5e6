package compat

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/pay"
)

// payment serves the routes of windsome/wechat-payment.
type payment struct{ guard }

func newPayment(g *gateway.Gateway, c gateway.Compat) *payment {
	return &payment{guard{g, c.IsOpen(gateway.CompatPayment)}}
}

const paymentPrefix = "/apis/v1/wepay/"

func isPaymentPath(path string) bool { return strings.HasPrefix(path, paymentPrefix) }

// private serves orders, refunds and the sandbox's key.
func (s *payment) private() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST "+paymentPrefix+"get_pay_request_params", s.serve("pay", s.order))
	m.HandleFunc("POST "+paymentPrefix+"refund", s.serve("refund", s.refund))
	m.HandleFunc("POST "+paymentPrefix+"get_sign_key", s.serve("pay", s.signKey))
	m.HandleFunc(paymentPrefix, func(w http.ResponseWriter, _ *http.Request) { writeOldError(w, errNoAPI) })
	return paths{m, isPaymentPath}
}

// public serves WeChat's notifications.
func (s *payment) public() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc(paymentPrefix+"pay_notify", s.serveNotify)
	return paths{m, isPaymentPath}
}

// paymentRequest is a request of an admitted caller, which is nil for one that needs no key.
type paymentRequest struct {
	params
	*http.Request
	app    gateway.ServedApp
	caller *gateway.Caller
}

// serve returns the handler of a route: do returns the value of result, or an error.
func (s *payment) serve(scope string, do func(paymentRequest) (map[string]string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := readParams(w, r)
		if err != nil {
			writeOldError(w, &oldError{Code: -1, Message: err.Error(), Detail: err.Error(), status: http.StatusBadRequest})
			return
		}
		in := paymentRequest{params: p, Request: r}
		if in.app, in.caller, err = s.find(in, scope); err == nil {
			var result map[string]string
			if result, err = do(in); err == nil {
				body, _ := json.Marshal(map[string]any{"errcode": 0, "result": result}) // strings always encode
				answer.JSON(w, http.StatusOK, body)
				return
			}
		}
		writeOldError(w, asPaymentError(err))
	}
}

// find returns the app of a request, which need not name it, if its caller has a scope for it. Refunds are never open.
func (s *payment) find(in paymentRequest, scope string) (a gateway.ServedApp, c *gateway.Caller, err error) {
	g := s.guard
	g.open = g.open && scope != "refund"
	if c, err = g.findCaller(in.Request, in.params); err != nil {
		return a, nil, err
	}
	missing := "the key has several apps that take payments, or none: name one as appid, or use a key for one app"
	if id := in.text("appid"); id != "" {
		a, err = s.gateway.ServedApp(in.Context(), id, "/pay")
		missing = "no app with this appid takes payments"
	} else {
		a, err = s.gateway.OnlyPaidApp(in.Context(), c, "/pay")
	}
	if err == nil {
		err = g.check(in.Request, c, a, scope)
	}
	if err == nil {
		err = a.CheckPay()
	}
	if errors.Is(err, gateway.ErrNoApp) || errors.Is(err, pay.ErrNotFound) {
		err = errParameter(missing)
	}
	return a, c, err
}

// asPaymentError returns an error in the old form. WeChat's refusals begin as the old system had them.
func asPaymentError(err error) error {
	var refused *pay.Error
	var wrong *pay.FieldError
	switch {
	case errors.As(err, &wrong):
		return errFailed(cmp.Or(paymentParams[wrong.Field], wrong.Field) + " " + wrong.Reason)
	case !errors.As(err, &refused):
		return err
	case errors.Is(err, pay.ErrDenied):
		return &oldError{Code: -1, Message: err.Error(), Detail: err.Error(), status: http.StatusForbidden}
	case refused.Message != "" && !errors.Is(err, pay.ErrUnknown):
		return errFailed("pay fail! " + refused.Message)
	case refused.Code != "" && !errors.Is(err, pay.ErrUnknown):
		return errFailed("pay fail! " + refused.Code)
	}
	return errFailed("pay fail! " + err.Error())
}

// paymentParams are the parameters by the fields of a pay.Order or a pay.Refund.
var paymentParams = map[string]string{
	"Order.OutTradeNo": "id", "Order.Fen": "fee", "Order.Description": "body", "Order.OpenID": "openid", "Order.Attach": "attach",
	"Refund.OutTradeNo": "out_trade_no", "Refund.TransactionID": "transaction_id", "Refund.OutRefundNo": "out_refund_no", "Refund.Fen": "refund_fee",
	"Refund.TotalFen": "total_fee", "Refund.Reason": "refund_desc",
}

// parseFen returns an amount. JSON may have a fraction of zero.
func parseFen(name, text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f), nil
	}
	return 0, errFailed(name + ": want a whole number of fen")
}

// errFailed returns an error with a text for people.
func errFailed(text string) *oldError { return &oldError{Code: -1, Message: text, Detail: text} }

// errMissing returns the old error for parameters that are missing.
func errMissing(names []string) *oldError {
	return errFailed("missing params " + strings.Join(names, ","))
}

// signKey returns the key of the sandbox.
func (s *payment) signKey(in paymentRequest) (map[string]string, error) {
	key, err := in.app.SandboxSignKey(in.Context())
	if err != nil {
		return nil, err
	}
	return map[string]string{"return_code": codeSuccess, "return_msg": "ok", "sandbox_signkey": key}, nil
}
