package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// Source returns the users of finished logins. [Login] and [Mini] are Sources.
type Source interface {
	Redeem(ctx context.Context, loginCode string) (User, error)
}

var (
	_ Source      = (*Login)(nil)
	_ Source      = (*Mini)(nil)
	_ phoneSource = (*Mini)(nil)
)

// phoneSource is a Source that returns phone numbers too.
type phoneSource interface {
	Phone(ctx context.Context, code, openID string) (Phone, error)
}

// Handler serves the users who have logged in to the app's own servers:
//
//	POST /login/redeem {"login_code":"…"}        the User, once; if several sites use the app, each compares its to
//	POST /phone        {"code":"…","openid":"…"} the Phone, if Source has Mini's method Phone; openid is optional
//
// An error is {"errcode":…,"errmsg":"…"}, with WeChat's errcode if WeChat refused. The status is 400 for an invalid
// body and if WeChat refuses the code of a phone number or its user, 404 for an invalid login_code, 502 if WeChat's
// answer is not a number of this app's user, who must press the button again, and otherwise that of token.Handler.
type Handler struct {
	Source Source
	Guard  func(http.Handler) http.Handler // admits callers; nil refuses all with 403
}

// Routes returns the routes for wetoken.Bind.
func (h *Handler) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{"POST /login/redeem": answer.Guarded(h.Guard, http.HandlerFunc(h.serveRedeem))}
	if source, ok := h.Source.(phoneSource); ok {
		routes["POST /phone"] = answer.Guarded(h.Guard, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			servePhone(source, w, r)
		}))
	}
	return routes
}

func (h *Handler) serveRedeem(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		LoginCode string `json:"login_code"`
	}
	if !answer.Body(w, r, maxBody, `{"login_code":"…"}`, &ask) {
		return
	}
	u, err := h.Source.Redeem(r.Context(), ask.LoginCode)
	switch {
	case errors.Is(err, ErrLoginCode):
		answer.Refuse(w, http.StatusNotFound, err.Error())
	case err != nil:
		answer.Failure(w, err)
	default:
		writeJSON(w, u)
	}
}

func servePhone(source phoneSource, w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Code   string `json:"code"`
		OpenID string `json:"openid"`
	}
	const want = `{"code":"…"} with the code of the getPhoneNumber button`
	if !answer.Body(w, r, maxBody, want, &ask) {
		return
	}
	if ask.Code == "" || len(ask.Code) > maxCode || len(ask.OpenID) > maxOpenID {
		answer.Refuse(w, http.StatusBadRequest, "the body must be "+want)
		return
	}
	p, err := source.Phone(r.Context(), ask.Code, ask.OpenID)
	var refusal *wechat.Error
	switch {
	case errors.As(err, &refusal) && needsNewCode(refusal.Code):
		answer.Error(w, http.StatusBadRequest, int(refusal.Code), err.Error())
	case errors.As(err, new(buttonError)): // not 503, since a retry cannot succeed
		answer.Refuse(w, http.StatusBadGateway, err.Error())
	case err != nil:
		answer.Failure(w, err)
	default:
		writeJSON(w, p)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		answer.Failure(w, err)
		return
	}
	answer.JSON(w, http.StatusOK, b)
}
