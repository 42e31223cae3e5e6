package handlers

import (
	"net/http"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

func (s *site) showLogin(w http.ResponseWriter, r *http.Request) {
	s.renderLogin(w, r, http.StatusOK, "", "")
}

func (s *site) renderLogin(w http.ResponseWriter, r *http.Request, status int, username, wrong string) {
	s.render(w, r, status, "login", page{Title: "登录", Wrong: wrong, Data: map[string]string{"Username": username}})
}

// login signs a user in.
func (s *site) login(w http.ResponseWriter, r *http.Request) {
	username := r.PostFormValue("username")
	u, err := s.Shop.Login(r.Context(), username, r.PostFormValue("password"), address(r))
	if err != nil {
		status, text := explainFault(r, err)
		s.renderLogin(w, r, status, username, text)
		return
	}
	s.begin(w, r, u)
}

// begin starts the session of a user, and goes back to the page that asked for it.
func (s *site) begin(w http.ResponseWriter, r *http.Request, u shop.User) {
	token, err := s.Sessions.Issue(u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Sessions.SetCookie(w, token)
	http.Redirect(w, r, localPath(r.PostFormValue("to")), http.StatusSeeOther)
}

// logout ends the session in this browser.
func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	s.Sessions.SetCookie(w, "")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) showRegister(w http.ResponseWriter, r *http.Request) {
	s.renderRegister(w, r, http.StatusOK, page{})
}

// renderRegister shows the form with what was entered, except the passwords.
func (s *site) renderRegister(w http.ResponseWriter, r *http.Request, status int, p page) {
	p.Title = "注册"
	p.Data = map[string]string{"Username": r.PostFormValue("username"), "Mobile": r.PostFormValue("mobile"), "Code": r.PostFormValue("code")}
	s.render(w, r, status, "register", p)
}

// register adds a user and signs the user in.
func (s *site) register(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("password") != r.PostFormValue("repeat_password") {
		s.renderRegister(w, r, http.StatusBadRequest, page{Wrong: "两次输入的密码不一致。"})
		return
	}
	u, err := s.Shop.Register(r.Context(), shop.Registration{
		Username: r.PostFormValue("username"), Password: r.PostFormValue("password"), Mobile: r.PostFormValue("mobile"), Code: r.PostFormValue("code"),
	})
	if err != nil {
		status, text := explainFault(r, err)
		s.renderRegister(w, r, status, page{Wrong: text})
		return
	}
	s.begin(w, r, u)
}

// sendCode sends a code to a mobile. It answers with a line of text for the page's script, and with the page for a browser without it.
func (s *site) sendCode(w http.ResponseWriter, r *http.Request) {
	status, p := http.StatusOK, page{Said: "验证码已发送，5 分钟内有效。"}
	if err := s.Shop.SendCode(r.Context(), r.PostFormValue("mobile"), address(r)); err != nil {
		p = page{}
		status, p.Wrong = explainFault(r, err)
	}
	if r.Header.Get("Accept") != "text/plain" {
		s.renderRegister(w, r, status, p)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(languageOf(r).say(p.Said + p.Wrong))) // the client has gone
}
