package pay

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Error is a failed call or a refused notification. It contains no secret.
//
// Programs should test its cause: errors.Is(err, pay.ErrPaid). Its message is for people and may change.
type Error struct {
	Op        string          // method and path, such as "POST /v3/pay/transactions/jsapi", or "parse notification"
	Cause     Cause           // empty if Code has no known cause
	Number    string          // the number to query, such as "out_trade_no order-1"
	Status    int             // HTTP status, 0 without a reply
	Code      string          // WeChat's code, such as ORDER_PAID
	Message   string          // WeChat's message, or the reason why its reply is not trusted
	Advice    string          // steps that a person can take
	RequestID string          // WeChat's request id, for its support
	Detail    json.RawMessage // WeChat's detail, unchanged
	Err       error           // wrapped error, such as a network error

	Transaction *Transaction // the payment, if Cause is ErrPaid and a [Cashier] returned it
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("pay: " + e.Op + ": ")
	parts := make([]string, 0, 6)
	if e.Cause != "" {
		parts = append(parts, strings.TrimPrefix(e.Cause.Error(), "pay: "))
	}
	if e.Cause == ErrUnknown && e.Number != "" {
		parts = append(parts, "query "+e.Number)
	}
	if e.Code != "" || e.Message != "" {
		parts = append(parts, strings.TrimSpace(e.Code+" "+e.Message))
	} else if e.Status != 0 && e.Err == nil {
		parts = append(parts, fmt.Sprintf("HTTP status %d", e.Status))
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if e.Advice != "" {
		parts = append(parts, e.Advice)
	}
	b.WriteString(strings.Join(parts, ": "))
	if e.RequestID != "" {
		b.WriteString(" (Request-ID " + e.RequestID + ")")
	}
	return b.String()
}

// Is reports whether target is ErrOther and the cause of e is ErrSerial: another Merchant may have that key.
func (e *Error) Is(target error) bool { return target == ErrOther && e.Cause == ErrSerial }

// isRefusal reports whether WeChat refused a call with a code that has no known cause. APIv2 refuses with status 200.
func (e *Error) isRefusal() bool {
	return e.Cause == "" && (e.Status == http.StatusOK || e.Status >= http.StatusBadRequest && e.Status < http.StatusInternalServerError)
}

// Unwrap returns the cause and the wrapped error.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 2)
	if e.Cause != "" {
		errs = append(errs, e.Cause)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// FieldError is an invalid value in an argument. No request was sent to WeChat.
type FieldError struct {
	Field  string // such as Order.Fen
	Reason string // the rest of a sentence that begins with the field; contains no secret
}

func (e *FieldError) Error() string { return "pay: " + e.Field + " " + e.Reason }
