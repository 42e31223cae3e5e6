// Package answer writes the HTTP answers of our handlers: JSON that is not cached, and errors with a fitting status.
package answer

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Error answers {"errcode":…,"errmsg":…}. The code is WeChat's if WeChat refused, else the status.
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

// Refuse answers with a status and a message.
func Refuse(w http.ResponseWriter, status int, msg string) { Error(w, status, status, msg) }

// JSON answers with a body of JSON.
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

// Guarded returns h behind guard. Without a guard it refuses all requests, so that no secret is served by mistake.
func Guarded(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
	if guard != nil {
		return guard(h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		Refuse(w, http.StatusForbidden, "this handler has no Guard, so it refuses everybody: set its Guard field")
	})
}
