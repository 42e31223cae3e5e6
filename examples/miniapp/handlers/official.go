package handlers

import (
	"cmp"
	"context"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/oauth"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// OfficialPath is below which the official account's login and callback are.
const OfficialPath = "/wechat/official-account"

func (h *Handlers) cookieName() string {
	if strings.HasPrefix(h.URL, "https:") {
		return "__Host-token"
	}
	return "token"
}

// OnLogin ends a login of the official account. The user has a session here from now on, in a cookie. Users who view a snapshot of
// the page do not get here.
func (h *Handlers) OnLogin(w http.ResponseWriter, r *http.Request, u oauth.User) {
	token, a, err := h.Accounts.Login(r.Context(), account.Identity{AppID: h.Login.AppID, OpenID: u.OpenID, UnionID: u.UnionID})
	if err == nil && a.Nickname == "" && u.Nickname != "" {
		_, err = h.takeProfile(r.Context(), a.ID, u)
	}
	if err != nil {
		told := h.describe(r, err)
		showPage(w, told.status, "official.html", map[string]any{"Notice": told.in(r), "Login": h.loginURL()}, "")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: h.cookieName(), Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(h.URL, "https:"),
	})
	http.Redirect(w, r, cmp.Or(r.URL.Query().Get("to"), "/official"), http.StatusSeeOther)
}

// takeProfile sets the nickname and avatar that WeChat has of a user.
func (h *Handlers) takeProfile(ctx context.Context, accountID string, u oauth.User) (account.Account, error) {
	return h.Accounts.UpdateProfile(ctx, accountID, account.CleanNickname(u.Nickname), account.CleanAvatar(u.HeadImgURL))
}

// refreshUser asks WeChat again for the nickname and avatar, with the grant of the last login, whose token it refreshes.
func (h *Handlers) refreshUser(w http.ResponseWriter, r *http.Request, s account.Session) {
	if s.AppID != h.Login.AppID {
		h.refuse(w, r, errOtherApp)
		return
	}
	g, err := h.Login.Grant(r.Context(), s.OpenID)
	if err == nil {
		g, err = h.Login.Refresh(r.Context(), g)
	}
	var u oauth.User
	if err == nil {
		u, err = h.Login.UserInfo(r.Context(), g, "")
	}
	a := s.Account
	if err == nil {
		a, err = h.takeProfile(r.Context(), a.ID, u)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, shown(a))
}

func (h *Handlers) loginURL() string {
	return OfficialPath + "/login?to=" + url.QueryEscape(h.URL+"/official")
}

// officialPage shows the account of the visitor, or a link to log in.
func (h *Handlers) officialPage(w http.ResponseWriter, r *http.Request) {
	data := map[string]any{"Login": h.loginURL()}
	if s, err := h.session(r); err == nil {
		data["Account"] = shown(s.Account)
	}
	showPage(w, http.StatusOK, "official.html", data, "")
}

// showPage writes a page. simulator is the origin of the simulated WeChat whose scripts it loads, or "".
func showPage(w http.ResponseWriter, status int, name string, data map[string]any, simulator string) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' https: blob: data:; base-uri 'none'; form-action 'self'; frame-ancestors 'self' "+simulator+
		"; script-src 'self' "+simulator+"; connect-src 'self' blob: "+simulator+"; frame-src 'self' "+simulator)
	w.WriteHeader(status)
	_ = pages.ExecuteTemplate(w, name, data) // fails if the client has gone
}
