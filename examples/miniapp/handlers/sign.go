package handlers

import (
	"net/http"

	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/wechat"
)

const maxCode = 512 // bytes of a code of WeChat

// sign logs in with a code of wx.login (默认登录).
func (h *Handlers) sign(w http.ResponseWriter, r *http.Request) {
	var body struct {
		JSCode string `json:"jsCode"`
	}
	if !h.read(w, r, &body) {
		return
	}
	if body.JSCode == "" || len(body.JSCode) > maxCode {
		h.refuse(w, r, wechat.ErrInvalidCode)
		return
	}
	u, err := h.Mini.Session(r.Context(), body.JSCode)
	var token string
	var a account.Account
	if err == nil {
		token, a, err = h.Accounts.Login(r.Context(), account.Identity{AppID: h.Mini.AppID, OpenID: u.OpenID, UnionID: u.UnionID})
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, joinFlag(token, a))
}

// joinFlag returns a token as old clients expect it. They split it at the underscore, which no token contains.
func joinFlag(token string, a account.Account) string {
	if a.Initial() {
		return token + "_1"
	}
	return token + "_0"
}
