package handlers

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/oauth"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// OfficialPath is below which the official account's login and callback are.
const OfficialPath = "/wechat/official-account"

const (
	officialPage = "/official"
	loginPage    = "/official/login"
)

// Names of cookies.
const (
	tokenCookie = "token"
	nonceCookie = "login-nonce"
)

// cookieName returns a name that no other host can set, if pages are served by https.
func (h *Handlers) cookieName(name string) string {
	if strings.HasPrefix(h.URL, "https:") {
		return "__Host-" + name
	}
	return name
}

func (h *Handlers) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: h.cookieName(name), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(life / time.Second),
		Secure: strings.HasPrefix(h.URL, "https:"),
	})
}

const nonceLife = 10 * time.Minute // as long as a login may take

// beginLogin begins a login of the official account that only this browser can end: otherwise the author of a link could log
// others in to the author's own account.
func (h *Handlers) beginLogin(w http.ResponseWriter, r *http.Request) {
	nonce := rand.Text()
	h.setCookie(w, nonceCookie, nonce, nonceLife)
	query := url.Values{"nonce": {nonce}}
	if to := r.URL.Query().Get("to"); to != "" {
		query.Set("to", to)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, OfficialPath+"/login?"+query.Encode(), http.StatusFound)
}

// began reports whether the browser of a login is the one that began it.
func (h *Handlers) began(r *http.Request) bool {
	c, err := r.Cookie(h.cookieName(nonceCookie))
	nonce := r.URL.Query().Get("nonce")
	return err == nil && nonce != "" && subtle.ConstantTimeCompare([]byte(c.Value), []byte(nonce)) == 1
}

// OnLogin ends a login of the official account. The user has a session here from now on, in a cookie. Users who view a snapshot of
// the page do not get here.
func (h *Handlers) OnLogin(w http.ResponseWriter, r *http.Request, u oauth.User) {
	if !h.began(r) {
		h.refuseLogin(w, r, errOtherBrowser)
		return
	}
	token, a, err := h.Accounts.Login(r.Context(), account.Identity{AppID: h.Login.AppID, OpenID: u.OpenID, UnionID: u.UnionID})
	if err == nil && a.Nickname == "" && u.Nickname != "" {
		_, err = h.takeProfile(r.Context(), a.ID, u)
	}
	if err != nil {
		h.refuseLogin(w, r, err)
		return
	}
	h.setCookie(w, nonceCookie, "", -time.Second)
	h.setCookie(w, tokenCookie, token, 0)
	http.Redirect(w, r, cmp.Or(r.URL.Query().Get("to"), officialPage), http.StatusSeeOther)
}

// refuseLogin shows why a login failed, with a link to log in again.
func (h *Handlers) refuseLogin(w http.ResponseWriter, r *http.Request, err error) {
	told := h.describe(r, err)
	showPage(w, told.status, "official.html", map[string]any{"Notice": told.in(r), "Login": loginPage}, "")
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

// showOfficial shows the account of the visitor, or a link to log in.
func (h *Handlers) showOfficial(w http.ResponseWriter, r *http.Request) {
	data := map[string]any{"Login": loginPage}
	if r.URL.Query().Has("login_error") { // a login with this page in to
		data["Notice"] = loginFailed.in(r)
	}
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
