package answer

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/wetoken/wetoken/wechat"
)

// Public is Failure for handlers that strangers reach: what went wrong with the app goes to the log, and the answer is
// what could not be done and, where WeChat refused, its errcode.
func Public(w http.ResponseWriter, r *http.Request, what string, err error) {
	slog.ErrorContext(r.Context(), what, "error", err)
	var refusal *wechat.Error
	if errors.As(err, &refusal) {
		Error(w, http.StatusBadGateway, int(refusal.Code), what+": WeChat refused: the server's log has more")
		return
	}
	w.Header().Set("Retry-After", "2")
	Refuse(w, http.StatusServiceUnavailable, what+": the server's log has more")
}
