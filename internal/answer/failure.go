package answer

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/wechat"
)

// Upstream is the answer to a request that failed because WeChat refused, or could not be reached.
type Upstream struct {
	Status     int
	Code       int    // WeChat's errcode, or Status if WeChat did not refuse
	RetryAfter int    // seconds; 0 if a retry alone does not help
	Words      string // text for strangers, without details of the app and the server
}

// Codes that wechat does not export.
const (
	errInvalidOpenID wechat.Code = 40003
	errCodeBlocked   wechat.Code = 40226 // mini-program user of high risk
	errCodeExpired   wechat.Code = 42003
	errConcurrency   wechat.Code = 45033 // too many calls at once
)

// refusals are the errcodes with a specific answer. The answer to others is 502.
var refusals = map[wechat.Code]Upstream{
	wechat.ErrBusy:          {Status: http.StatusServiceUnavailable, RetryAfter: 2, Words: "WeChat is busy: try again in a few seconds"},
	wechat.ErrMinuteQuota:   {Status: http.StatusTooManyRequests, RetryAfter: 60, Words: "WeChat was asked too often: try again in a minute"},
	errConcurrency:          {Status: http.StatusTooManyRequests, RetryAfter: 2, Words: "WeChat was asked too much at once: try again in a few seconds"},
	errCodeBlocked:          {Status: http.StatusBadRequest, Words: "WeChat's risk control blocks this user"},
	wechat.ErrInvalidCode:   {Status: http.StatusBadRequest, Words: "WeChat refused the code: get a new one"},
	wechat.ErrCodeUsed:      {Status: http.StatusBadRequest, Words: "the code was used before: get a new one"},
	errCodeExpired:          {Status: http.StatusBadRequest, Words: "the code has expired: get a new one"},
	wechat.ErrNotAuthorized: {Status: http.StatusForbidden, Words: "the account has not authorized this platform, or has revoked it"},
	errInvalidOpenID:        {Status: http.StatusBadRequest, Words: "the openid is not one of this app"},
}

// Of returns the answer to an error. All handlers use it.
func Of(err error) Upstream {
	var refusal *wechat.Error
	switch {
	case errors.Is(err, renew.ErrRationed):
		return Upstream{Status: http.StatusTooManyRequests, Code: http.StatusTooManyRequests, RetryAfter: 30, Words: "too many renewals: try again in 30 seconds"}
	case !errors.As(err, &refusal):
		return Upstream{Status: http.StatusServiceUnavailable, Code: http.StatusServiceUnavailable, RetryAfter: 2, Words: "the server's log has more"}
	}
	u, ok := refusals[refusal.Code]
	if !ok {
		u = Upstream{Status: http.StatusBadGateway, Words: "WeChat refused: the server's log has more"}
	}
	u.Code = int(refusal.Code)
	return u
}

// SetRetryAfter sets Retry-After if a retry helps.
func (u Upstream) SetRetryAfter(h http.Header) {
	if u.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(u.RetryAfter))
	}
}

// Failure answers a request of one of our own services with the text of err.
func Failure(w http.ResponseWriter, err error) {
	u := Of(err)
	u.SetRetryAfter(w.Header())
	Error(w, u.Status, u.Code, err.Error())
}

// Public answers a request of a stranger. Details of err go to the log; the answer has what, the failed operation, and
// WeChat's errcode if WeChat refused.
func Public(w http.ResponseWriter, r *http.Request, what string, err error) {
	u := Of(err)
	switch {
	case u.Status >= http.StatusInternalServerError:
		slog.ErrorContext(r.Context(), what, "error", err)
	case u.Status == http.StatusTooManyRequests:
		slog.WarnContext(r.Context(), what, "error", err)
	}
	u.SetRetryAfter(w.Header())
	Error(w, u.Status, u.Code, what+": "+u.Words)
}
