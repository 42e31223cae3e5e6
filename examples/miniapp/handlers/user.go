package handlers

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/wetoken/wetoken/examples/miniapp/account"
)

// shownAccount is an account as its owner sees it.
type shownAccount struct {
	UserName string `json:"user_name"`
	Phone    string `json:"phone"`
	Nickname string `json:"nickname"`
	Avatar   string `json:"avatar"`
	Points   int64  `json:"points"`
	Initial  bool   `json:"initial"`
}

func shown(a account.Account) shownAccount {
	return shownAccount{a.UserName, a.Phone, a.Nickname, a.Avatar, a.Points, a.Initial()}
}

func (h *Handlers) user(w http.ResponseWriter, _ *http.Request, s account.Session) {
	answer(w, shown(s.Account))
}

// updateInfo sets the nickname and the avatar as the person gives them. It also takes WeChat's names of them.
func (h *Handlers) updateInfo(w http.ResponseWriter, r *http.Request, s account.Session) {
	var body struct {
		Nickname  string `json:"nickname"`
		NickName  string `json:"nickName"`
		Avatar    string `json:"avatar"`
		AvatarURL string `json:"avatarUrl"`
	}
	if !h.read(w, r, &body) {
		return
	}
	nickname, avatar := cmp.Or(body.Nickname, body.NickName), cmp.Or(body.Avatar, body.AvatarURL)
	if nickname == "" && avatar == "" {
		h.refuse(w, r, errBody)
		return
	}
	if _, err := h.Accounts.UpdateProfile(r.Context(), s.Account.ID, nickname, avatar); err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, nil)
}

// picture serves an uploaded avatar. Its name is random, so the picture of a name never changes.
func (h *Handlers) picture(w http.ResponseWriter, r *http.Request) {
	p, ok, err := h.Accounts.Store.Picture(r.Context(), r.PathValue("name"))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", p.Type)
	header.Set("Content-Length", strconv.Itoa(len(p.Data)))
	header.Set("Content-Security-Policy", "default-src 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "private, max-age=86400")
	_, _ = w.Write(p.Data) // fails if the client has gone
}
