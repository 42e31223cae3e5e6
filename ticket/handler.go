package ticket

import (
	"context"
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// Source returns tickets. [Manager] and [Remote] are Sources.
type Source interface {
	Ticket(ctx context.Context, typ Type) (wechat.Credential, error)
	Renew(ctx context.Context, typ Type, refused string) (wechat.Credential, error)
}

var (
	_ Source = (*Manager)(nil)
	_ Source = (*Remote)(nil)
)

// Handler serves tickets to other programs:
//
//	GET  /ticket/{type}                   {"ticket":"…","expires_in":7140,"expires_at":"2026-01-02T03:04:05Z"}
//	POST /ticket/{type} {"refused":"…"}   the same, with another ticket than the refused one
//
// Types are jsapi, wx_card and agent_config. A type that the app does not have is answered 404. Other errors are those
// of token.Handler.
type Handler struct {
	Source Source
	Guard  func(http.Handler) http.Handler // admits callers; nil refuses all with 403
}

// Routes returns the routes for wetoken.Bind.
func (h *Handler) Routes() map[string]http.Handler {
	serve := answer.Handler{
		Field:   "ticket",
		Unknown: ErrType,
		Get: func(r *http.Request) (wechat.Credential, error) {
			return h.Source.Ticket(r.Context(), r.PathValue("type"))
		},
		Renew: func(r *http.Request, refused string) (wechat.Credential, error) {
			return h.Source.Renew(r.Context(), r.PathValue("type"), refused)
		},
	}
	return serve.Routes("/ticket/{type}", h.Guard)
}
