package answer

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// bodyTimeout is the time for a body to arrive.
const bodyTimeout = 10 * time.Second

// Body decodes a request's JSON, of up to limit bytes, into out. For an invalid body it answers 413 if it is too long,
// else 400 with want, a description of a valid body.
func Body(w http.ResponseWriter, r *http.Request, limit int64, want string, out any) (ok bool) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // fails without a connection, as in tests
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		Refuse(w, http.StatusRequestEntityTooLarge, "the body is too long: it must be "+want)
		return false
	}
	if err != nil || json.Unmarshal(b, out) != nil {
		Refuse(w, http.StatusBadRequest, "the body must be "+want)
		return false
	}
	return true
}
