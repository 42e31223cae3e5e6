package answer

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/wechat"
)

// Upstream is the answer to a request that WeChat, or the way to it, kept from being served.
type Upstream struct {
	Status     int
	Code       int    // WeChat's errcode, or Status where WeChat did not refuse
	RetryAfter int    // seconds; 0: trying again does not help by itself
	Words      string // for strangers: they name neither the app's settings nor the server's
}

// refusals are the errcodes with an answer of their own. Any other is 502.
var refusals = map[wechat.Code]Upstream{
	wechat.ErrBusy:          {Status: http.StatusServiceUnavailable, RetryAfter: 2, Words: "WeChat is busy: try again in a few seconds"},
	wechat.ErrMinuteQuota:   {Status: http.StatusTooManyRequests, RetryAfter: 60, Words: "WeChat was asked too often: try again in a minute"},
	wechat.ErrConcurrency:   {Status: http.StatusTooManyRequests, RetryAfter: 2, Words: "WeChat was asked too much at once: try again in a few seconds"},
	wechat.ErrCodeBlocked:   {Status: http.StatusBadRequest, Words: "WeChat's risk control blocks this user"},
	wechat.ErrInvalidCode:   {Status: http.StatusBadRequest, Words: "WeChat refused the code: get a new one"},
	wechat.ErrCodeUsed:      {Status: http.StatusBadRequest, Words: "the code was used before: get a new one"},
	wechat.ErrCodeExpired:   {Status: http.StatusBadRequest, Words: "the code has expired: get a new one"},
	wechat.ErrInvalidOpenID: {Status: http.StatusBadRequest, Words: "the openid is not one of this app"},
}

// Of returns the answer to a failure. It is the one table of them, for all handlers.
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

// SetRetryAfter says when to try again, where that helps.
func (u Upstream) SetRetryAfter(h http.Header) {
	if u.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(u.RetryAfter))
	}
}

// Failure answers with what kept WeChat, or the way to it, from serving the request of one of our own services.
func Failure(w http.ResponseWriter, err error) {
	u := Of(err)
	u.SetRetryAfter(w.Header())
	Error(w, u.Status, u.Code, err.Error())
}

// Public is Failure for handlers that strangers reach: what went wrong with the app goes to the log, and the answer is
// what could not be done and, where WeChat refused, its errcode.
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
