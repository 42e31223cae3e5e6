// Package answer writes what our handlers say over HTTP: JSON that no cache keeps, and errors with a truthful status.
package answer

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Error answers {"errcode":…,"errmsg":…}. The code is WeChat's where it is WeChat that refused, else the status.
func Error(w http.ResponseWriter, status, code int, msg string) {
	body, err := json.Marshal(struct {
		Code int    `json:"errcode"`
		Msg  string `json:"errmsg"`
	}{code, msg})
	if err != nil {
		body = []byte(`{"errcode":500,"errmsg":"internal error"}`)
	}
	JSON(w, status, body)
}

// Refuse answers with a status of ours and words.
func Refuse(w http.ResponseWriter, status int, msg string) { Error(w, status, status, msg) }

// JSON answers with a body that is JSON already.
func JSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = jsonType, noStore
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body)
}

var (
	jsonType = []string{"application/json; charset=utf-8"}
	noStore  = []string{"no-store"}
)

// Guarded is h behind guard. Without a guard nobody gets in: a secret is never served by oversight.
func Guarded(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
	if guard != nil {
		return guard(h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		Refuse(w, http.StatusForbidden, "this handler has no Guard, so it refuses everybody: set its Guard field")
	})
}
