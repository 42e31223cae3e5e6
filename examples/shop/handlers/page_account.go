package handlers

import (
	"net/http"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

func (h *Handlers) showLogin(w http.ResponseWriter, r *http.Request) {
	h.renderLogin(w, r, http.StatusOK, r.FormValue("to"), "", "")
}

func (h *Handlers) renderLogin(w http.ResponseWriter, r *http.Request, status int, to, username, wrong string) {
	h.render(w, r, status, "login", page{Title: "登录", Wrong: wrong, Data: map[string]string{"To": localPath(to), "Username": username}})
}

// login signs a user in.
func (h *Handlers) login(w http.ResponseWriter, r *http.Request) {
	username, to := r.PostFormValue("username"), r.PostFormValue("to")
	u, err := h.Shop.Login(r.Context(), username, r.PostFormValue("password"), clientAddress(r))
	if err != nil {
		status, text := explain(r, err)
		h.renderLogin(w, r, status, to, username, text)
		return
	}
	h.begin(w, r, u, to)
}

// begin starts the session of a user, and goes to a page.
func (h *Handlers) begin(w http.ResponseWriter, r *http.Request, u shop.User, to string) {
	token, err := h.Sessions.Issue(u)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.Sessions.SetCookie(w, token)
	http.Redirect(w, r, localPath(to), http.StatusSeeOther)
}

// logout ends the session in this browser.
func (h *Handlers) logout(w http.ResponseWriter, r *http.Request) {
	h.Sessions.SetCookie(w, "")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (h *Handlers) showRegister(w http.ResponseWriter, r *http.Request) {
	h.renderRegister(w, r, http.StatusOK, page{})
}

// renderRegister shows the form with what was entered, except the passwords.
func (h *Handlers) renderRegister(w http.ResponseWriter, r *http.Request, status int, p page) {
	p.Title = "注册"
	p.Data = map[string]string{"Username": r.PostFormValue("username"), "Mobile": r.PostFormValue("mobile"), "Code": r.PostFormValue("code")}
	h.render(w, r, status, "register", p)
}

// register adds a user and signs the user in.
func (h *Handlers) register(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("password") != r.PostFormValue("repeat_password") {
		h.renderRegister(w, r, http.StatusBadRequest, page{Wrong: "两次输入的密码不一致。"})
		return
	}
	u, err := h.Shop.Register(r.Context(), shop.Registration{
		Username: r.PostFormValue("username"), Password: r.PostFormValue("password"), Mobile: r.PostFormValue("mobile"), Code: r.PostFormValue("code"),
	})
	if err != nil {
		status, text := explain(r, err)
		h.renderRegister(w, r, status, page{Wrong: text})
		return
	}
	h.begin(w, r, u, "/")
}

// sendCode sends a code to a mobile. It answers with a line of text for the page's script, and with the page for a browser without it.
func (h *Handlers) sendCode(w http.ResponseWriter, r *http.Request) {
	status, p := http.StatusOK, page{Said: "验证码已发送，5 分钟内有效。"}
	if err := h.Shop.SendCode(r.Context(), r.PostFormValue("mobile"), clientAddress(r)); err != nil {
		p = page{}
		status, p.Wrong = explain(r, err)
	}
	if r.Header.Get("Accept") != "text/plain" {
		h.renderRegister(w, r, status, p)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(languageOf(r).say(p.Said + p.Wrong))) // the client has gone
}
