package answer

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// bodyTime is how long a body may take to arrive.
const bodyTime = 10 * time.Second

// Body reads a request's JSON, of up to limit bytes, into out, or answers what is wrong with it: 413 where it is too
// long, else 400 with want, which says what the body must be.
func Body(w http.ResponseWriter, r *http.Request, limit int64, want string, out any) (ok bool) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // where there is a connection to set it on
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
