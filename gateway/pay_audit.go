package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/logline"
	"github.com/wetoken/wetoken/pay"
)

// maxLogged is the number of bytes of a path that a log line has.
const maxLogged = 200

// paymentCall is the event of calls that may move money.
const paymentCall = "payment call"

// refusedCall is a kind of refused calls, for the limit of their log lines.
type refusedCall struct{ caller, app, reason string }

// audit logs a call that may move money, and its result. Calls that the limits of the key forbid are logged once a minute.
func (a *app) audit(ctx context.Context, c *caller, call pay.Call, err error) {
	result := "ok"
	var denied *pay.Error
	if err != nil {
		result = "failed"
		if cause := pay.Cause(""); errors.As(err, &cause) {
			result = string(cause)
		}
		if !errors.As(err, &denied) || denied.Cause != pay.ErrDenied {
			denied = nil
		}
	}
	args := []any{"caller", c.id, "app", a.name, "action", call.Action}
	if isNumber(call.Number) {
		args = append(args, "number", call.Number)
	}
	if call.Fen > 0 {
		args = append(args, "fen", call.Fen)
	}
	args = append(args, "result", result)
	if denied != nil {
		now, more := a.gateway.refusedCalls.Allow(refusedCall{c.id, a.id, call.Action})
		if !now {
			return
		}
		args = append(args, "reason", denied.Message, "repeats", more)
	}
	if denied == nil && (call.Action == "order" || call.Action == "close" || call.Action == "link") { // they move no money, and the records have each order
		logline.Audit(ctx, a.gateway.log, paymentCall, args...)
		return
	}
	a.gateway.audit(ctx, paymentCall, args...)
}

// refuseCall replies 403, and logs that once a minute for each caller and reason.
func (a *app) refuseCall(w http.ResponseWriter, r *http.Request, c *caller, reason string) {
	answer.Refuse(w, http.StatusForbidden, reason)
	a.auditRefusedCall(r, c, reason)
}

func (a *app) auditRefusedCall(r *http.Request, c *caller, reason string) {
	if now, more := a.gateway.refusedCalls.Allow(refusedCall{c.id, a.id, reason}); now {
		action := fmt.Sprintf("%s %.*s", shortMethod(r), maxLogged, r.URL.Path)
		a.gateway.audit(r.Context(), paymentCall, "caller", c.id, "app", a.name, "action", action, "result", "refused", "reason", reason, "repeats", more)
	}
}

// AuditRefusedPayment records a payment call of a caller that was refused for a reason, as those of /app/{app}/pay are: once a minute for
// each caller and reason.
func (a ServedApp) AuditRefusedPayment(r *http.Request, c *Caller, reason string) {
	a.app.auditRefusedCall(r, c.caller, reason)
}

// isNumber reports whether a text can be a number of ours or of WeChat. Any other text is not logged.
func isNumber(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("_-|*@", r))
	})
}
