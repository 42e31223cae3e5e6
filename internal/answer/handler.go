package answer

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/wechat"
)

// Handler serves a credential: GET returns it, and POST {"refused":"…"} returns another one than the refused.
type Handler struct {
	Field string // name of the value in the answer: access_token or ticket
	Get   func(r *http.Request) (wechat.Credential, error)
	Renew func(r *http.Request, refused string) (wechat.Credential, error)

	// Unknown is wrapped by errors that mean that there is no such credential, which is 404. Default: none.
	Unknown error

	answer Credential
}

// Routes returns the routes of path, each behind guard.
func (h *Handler) Routes(path string, guard func(http.Handler) http.Handler) map[string]http.Handler {
	return map[string]http.Handler{
		"GET " + path:  Guarded(guard, http.HandlerFunc(h.serveGet)),
		"POST " + path: Guarded(guard, http.HandlerFunc(h.serveRenew)),
	}
}

func (h *Handler) serveGet(w http.ResponseWriter, r *http.Request) {
	c, err := h.Get(r)
	h.reply(w, c, err)
}

func (h *Handler) serveRenew(w http.ResponseWriter, r *http.Request) {
	if refused, ok := readRefused(w, r); ok {
		c, err := h.Renew(r, refused)
		h.reply(w, c, err)
	}
}

func (h *Handler) reply(w http.ResponseWriter, c wechat.Credential, err error) {
	switch {
	case h.Unknown != nil && errors.Is(err, h.Unknown):
		Refuse(w, http.StatusNotFound, err.Error())
	case err != nil:
		Failure(w, err)
	default:
		h.answer.Write(w, h.Field, c)
	}
}

// maxRefused is the greatest length of a request to renew. A token has up to 512 bytes.
const maxRefused = 4 << 10

// readRefused decodes the body {"refused":"…"} of a request to renew, or answers 400.
func readRefused(w http.ResponseWriter, r *http.Request) (refused string, ok bool) {
	var body struct {
		Refused string `json:"refused"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRefused)).Decode(&body)
	if err != nil || body.Refused == "" {
		Refuse(w, http.StatusBadRequest, `the body must be {"refused":"…"} with the value that WeChat refused`)
		return "", false
	}
	return body.Refused, true
}
