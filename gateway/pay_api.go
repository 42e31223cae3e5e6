package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/pay"
)

const (
	payAPIPrefix = "/pay/api/"
	maxPayBody   = 1 << 20 // bytes
)

// apiMethods are the methods of APIv3.
var apiMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// servePayAPI signs a call and forwards it to WeChat Pay. It checks and sends the decoded path, so that WeChat cannot read another
// path than the one checked.
func (a *app) servePayAPI(w http.ResponseWriter, r *http.Request, route string) {
	a.guardPay("pay-api")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(apiMethods, r.Method) {
			list := strings.Join(apiMethods, ", ")
			w.Header().Set("Allow", list)
			answer.Refuse(w, http.StatusMethodNotAllowed, "invalid method "+shortMethod(r)+": want "+list)
			return
		}
		c, p := payCaller(r.Context()), strings.TrimPrefix(route, strings.TrimSuffix(payAPIPrefix, "/"))
		if !isAPIPath(p) {
			answer.Refuse(w, http.StatusBadRequest, "invalid path: want a path of APIv3 such as /v3/certificates, with letters, digits and -_.|*@")
			return
		}
		if a.pay.refused != nil {
			a.dropRefused()
			answer.Refuse(w, http.StatusServiceUnavailable, a.pay.refused.Error())
			return
		}
		if a.pay.v3 == nil {
			answer.Refuse(w, http.StatusNotFound, "the merchant of this app has no APIv3: set v3 in the configuration")
			return
		}
		all, err := a.mayUseAll(r.Context(), c, "pay-api", true)
		if err != nil {
			answer.Refuse(w, http.StatusServiceUnavailable, errRecordsAway.Error())
			return
		}
		if reason := a.forbidAPI(c, r.Method, p, all); reason != "" {
			a.refuseCall(w, r, c, reason)
			return
		}
		a.callPayAPI(w, r, c, p)
	})).ServeHTTP(w, r)
}

// forbidAPI returns why a caller with the scope pay-api may not make a call, or "". all is set if it has the scope for all apps with
// the mch_id.
func (a *app) forbidAPI(c *caller, method, p string, all bool) string {
	switch scope := scopeOfWrite(p); {
	case !slices.ContainsFunc(c.paths, func(allowed string) bool { return matchesPath(p, allowed) }):
		return "this key's paths do not include this one"
	case !all:
		return "the merchant is that of other apps, too, whose orders the call could reach: this key's apps must include all of them"
	case method == http.MethodGet:
		return ""
	case scope != "" && !c.mayUse(a, scope):
		return "this call may move money out, as all do that docs/http.md does not list: this key has no scope " + scope + " for this app"
	case (c.maxFen > 0 || c.dayFen > 0) && (scope != "" || orderWrites.has(p)):
		return "max_fen and day_fen of this key cannot be checked for this call: use the routes for orders, refunds and transfers"
	}
	return ""
}

func (a *app) callPayAPI(w http.ResponseWriter, r *http.Request, c *caller, p string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		answer.Refuse(w, http.StatusRequestEntityTooLarge, "the body has more than 1 MiB")
		return
	}
	if err != nil {
		answer.Refuse(w, http.StatusBadRequest, "the body was cut off")
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); len(body) > 0 && (!json.Valid(body) || err == nil && strings.HasPrefix(kind, "multipart/")) {
		answer.Refuse(w, http.StatusUnsupportedMediaType, "the body is not JSON")
		return
	}
	target := p
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	var in any
	if len(body) > 0 {
		in = body
	}
	out := &passedAnswer{w: w}
	err = a.pay.v3.current().Do(r.Context(), r.Method, target, in, out)
	if r.Method != http.MethodGet {
		a.audit(r.Context(), c, describeCall(r.Method, p, body), err)
	}
	switch {
	case err != nil && out.begun:
		panic(http.ErrAbortHandler) // marks the reply as incomplete
	case err != nil:
		pay.AnswerError(w, err)
	case !out.begun:
		w.WriteHeader(http.StatusNoContent)
	}
}

// passedAnswer writes WeChat's reply to w.
type passedAnswer struct {
	w     http.ResponseWriter
	begun bool
}

func (p *passedAnswer) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if !p.begun {
		p.begun = true
		kind := "application/octet-stream"
		if b[0] == '{' || b[0] == '[' {
			kind = "application/json; charset=utf-8"
		}
		p.w.Header().Set("Content-Type", kind)
		p.w.Header().Set("Cache-Control", "no-store")
	}
	return p.w.Write(b)
}

// isAPIPath reports whether p is a clean path of APIv3, without characters that need escaping.
func isAPIPath(p string) bool {
	return strings.HasPrefix(p, "/v3/") && path.Clean(p) == p && len(p) <= 1024 && !strings.ContainsFunc(p, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("/-_.|*@", r))
	})
}

// matchesPath reports whether p is the allowed path, or below it if that ends in /*.
func matchesPath(p, allowed string) bool {
	if below, ok := strings.CutSuffix(allowed, "/*"); ok {
		return strings.HasPrefix(p, below+"/")
	}
	return p == allowed
}

// describeCall returns the description of a call for the log, with the first of our numbers and the amount in its body.
func describeCall(method, p string, body []byte) pay.Call {
	call := pay.Call{Action: fmt.Sprintf("%s %.*s", method, maxLogged, p)}
	var in struct {
		OutRefundNo string          `json:"out_refund_no"`
		OutBillNo   string          `json:"out_bill_no"`
		OutTradeNo  string          `json:"out_trade_no"`
		OutOrderNo  string          `json:"out_order_no"`
		Transfer    int64           `json:"transfer_amount"`
		Amount      json.RawMessage `json:"amount"`
	}
	_ = json.Unmarshal(body, &in) // fields of another type stay empty
	for _, no := range []string{in.OutRefundNo, in.OutBillNo, in.OutTradeNo, in.OutOrderNo} {
		if call.Number == "" && isNumber(no) {
			call.Number = no
		}
	}
	var amount struct{ Refund, Total int64 }
	_ = json.Unmarshal(in.Amount, &amount) // an amount of another form is logged as 0
	switch {
	case in.Transfer != 0:
		call.Fen = in.Transfer
	case amount.Refund != 0:
		call.Fen = amount.Refund
	default:
		call.Fen = amount.Total
	}
	return call
}
