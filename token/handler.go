package token

import (
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// Handler serves a token to other programs:
//
//	GET  /token                   {"access_token":"…","expires_in":7140,"expires_at":"2026-01-02T03:04:05Z"}
//	POST /token {"refused":"…"}   the same, with another token than the refused one
//
// expires_in is in seconds. An error is {"errcode":…,"errmsg":"…"}, with WeChat's errcode if WeChat refused. The status
// is 400 for a request without a refused token; 429 if only a forced refresh would help and its ration is used up, or
// if WeChat limits the calls (45011, 45033); 503 if WeChat is busy (-1), cannot be reached or still answers the refused
// token; and 502 for any other refusal. 429 and 503 have a Retry-After. Answers must not be cached.
type Handler struct {
	Source wechat.TokenSource
	Guard  func(http.Handler) http.Handler // admits callers; nil refuses all with 403
}

// Routes returns the routes for wetoken.Bind.
func (h *Handler) Routes() map[string]http.Handler {
	serve := answer.Handler{
		Field: "access_token",
		Get:   func(r *http.Request) (wechat.Credential, error) { return h.Source.Token(r.Context()) },
		Renew: func(r *http.Request, refused string) (wechat.Credential, error) {
			return h.Source.Renew(r.Context(), refused)
		},
	}
	return serve.Routes("/token", h.Guard)
}
