package oauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/wechat"
)

// Require lets visitors of next through once they are logged in with scope snsapi_base (website: by QR code), and keeps
// them so for Session by a cookie. The user is in the request's context, see [FromContext]. The pages must be on the host
// of URL, below which the routes of Login are mounted too. Requests other than for a page, such as a POST or a script's,
// are answered 401 where the visitor is not logged in. In WeCom only members get through: anybody else who comes back
// from there, with an openid alone, is answered 403.
func (l *Login) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, ok, err := l.visitor(r)
		switch {
		case err != nil:
			l.unavailable(w, r, state{}, err)
		case ok && l.admits(u):
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, u)))
		case !opensPage(r):
			l.show(w, r, page{notice: noticeLogin})
		default:
			l.require(w, r)
		}
	})
}

// admits reports whether Require lets a user through: in WeCom anybody with WeChat can log in, and only members have a
// UserID.
func (l *Login) admits(u User) bool { return l.kind() != wechat.Work || u.UserID != "" }

type userKey struct{}

// FromContext returns the user whom [Login.Require] let through.
func FromContext(ctx context.Context) (u User, ok bool) {
	u, ok = ctx.Value(userKey{}).(User)
	return u, ok
}

// require sends the visitor to WeChat and from there back to this very page.
func (l *Login) require(w http.ResponseWriter, r *http.Request) {
	own, err := l.address()
	if err != nil {
		l.unavailable(w, r, state{}, err)
		return
	}
	target := r.RequestURI               // what the browser asked for, whatever prefixes were stripped since
	if !strings.HasPrefix(target, "/") { // a whole address, as for a proxy
		u, err := url.ParseRequestURI(target)
		if err != nil {
			u = r.URL
		}
		target = u.RequestURI()
	}
	to := hosts.Origin(own) + target
	if len(to) > maxTo {
		l.show(w, r, page{notice: noticeRequest, why: "the address is too long"})
		return
	}
	scope := ScopeBase
	if l.kind() == wechat.Website {
		scope = ScopeLogin
	}
	l.send(w, r, state{To: to, Scope: scope, Lang: zhCN, Stay: true})
}

// opensPage reports whether the browser would follow a redirect to WeChat's page.
func opensPage(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (mode == "" || mode == "navigate")
}

// visitor is the user of a session that Require began.
func (l *Login) visitor(r *http.Request) (u User, ok bool, err error) {
	c, err := r.Cookie(l.sessionCookie())
	if err != nil {
		return User{}, false, nil
	}
	b, ok, err := l.store().Get(r.Context(), l.key("session", hash(c.Value)))
	if err != nil {
		return User{}, false, fmt.Errorf("oauth: read session: %w", err)
	}
	if !ok {
		return User{}, false, nil
	}
	if err := json.Unmarshal(b, &u); err != nil {
		return User{}, false, fmt.Errorf("oauth: read session: the record is not one of ours: %w", err)
	}
	return u, true, nil
}

// stay begins a session.
func (l *Login) stay(ctx context.Context, w http.ResponseWriter, u User) error {
	b, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("oauth: keep session: %w", err)
	}
	life := l.Session
	if life <= 0 {
		life = 24 * time.Hour
	}
	value := rand.Text()
	if err := l.store().Set(ctx, l.key("session", hash(value)), b, life); err != nil {
		return fmt.Errorf("oauth: keep session: %w", err)
	}
	http.SetCookie(w, &http.Cookie{
		Name: l.sessionCookie(), Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: l.secure(), SameSite: http.SameSiteLaxMode,
	})
	return nil
}

// sessionCookie differs between apps on one host.
func (l *Login) sessionCookie() string { return l.cookie("wetoken-" + hash(l.owner())[:12]) }
