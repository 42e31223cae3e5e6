package ticket

import (
	"context"
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// Source hands out tickets. [Manager] and [Remote] are Sources.
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
// Types are jsapi, wx_card and agent_config; one that the app does not have is 404. Other errors are as those of
// token.Handler.
type Handler struct {
	Source Source
	Guard  func(http.Handler) http.Handler // lets callers in; nil refuses everybody with 403

	answer answer.Credential
}

// Routes makes Handler a part that wetoken.Bind mounts.
func (h *Handler) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /ticket/{type}":  answer.Guarded(h.Guard, http.HandlerFunc(h.get)),
		"POST /ticket/{type}": answer.Guarded(h.Guard, http.HandlerFunc(h.renew)),
	}
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) {
	c, err := h.Source.Ticket(r.Context(), r.PathValue("type"))
	h.reply(w, c, err)
}

func (h *Handler) renew(w http.ResponseWriter, r *http.Request) {
	if refused, ok := answer.Refused(w, r); ok {
		c, err := h.Source.Renew(r.Context(), r.PathValue("type"), refused)
		h.reply(w, c, err)
	}
}

func (h *Handler) reply(w http.ResponseWriter, c wechat.Credential, err error) {
	if errors.Is(err, ErrType) {
		answer.Refuse(w, http.StatusNotFound, err.Error())
		return
	}
	if err != nil {
		answer.Failure(w, err)
		return
	}
	h.answer.Write(w, "ticket", c)
}
