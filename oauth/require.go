package oauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/wechat"
)

// Require serves next to visitors who have logged in with scope snsapi_base (website: by QR code), and redirects others
// to WeChat. A cookie keeps the visitor logged in for Session. The user is in the request's context, see [FromContext].
// The pages must be on the host of URL, where the routes of Login are mounted too. A request that is not for a page,
// such as a POST or one of a script, is answered 401 if the visitor is not logged in. In WeCom only members are
// admitted: others, who have an openid only, are answered 403.
func (l *Login) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, ok, err := l.sessionUser(r)
		switch {
		case err != nil:
			l.answerUnavailable(w, r, state{}, err)
		case ok && l.allowsUser(u):
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, u)))
		case !isPageRequest(r):
			l.writePage(w, r, page{notice: noticeLogin})
		default:
			l.redirectVisitor(w, r)
		}
	})
}

// allowsUser reports whether Require admits a user. In WeCom only members, who have a UserID, are admitted.
func (l *Login) allowsUser(u User) bool { return l.kind() != wechat.Work || u.UserID != "" }

type userKey struct{}

// FromContext returns the user whom [Login.Require] admitted.
func FromContext(ctx context.Context) (u User, ok bool) {
	u, ok = ctx.Value(userKey{}).(User)
	return u, ok
}

// redirectVisitor redirects the visitor to WeChat, to return to the requested page.
func (l *Login) redirectVisitor(w http.ResponseWriter, r *http.Request) {
	own, err := l.mountAddress()
	if err != nil {
		l.answerUnavailable(w, r, state{}, err)
		return
	}
	target := r.RequestURI               // as the browser sent it, with prefixes that were stripped since
	if !strings.HasPrefix(target, "/") { // a whole address, as sent to a proxy
		u, err := url.ParseRequestURI(target)
		if err != nil {
			u = r.URL
		}
		target = u.RequestURI()
	}
	to := hosts.Origin(own) + target
	if len(to) > maxTo {
		l.writePage(w, r, page{notice: noticeRequest, reason: "the address is too long"})
		return
	}
	scope := ScopeBase
	if l.kind() == wechat.Website {
		scope = ScopeLogin
	}
	l.redirectToWeChat(w, r, state{To: to, Scope: scope, Lang: zhCN, ForSession: true})
}

// isPageRequest reports whether the browser would follow a redirect to WeChat's page.
func isPageRequest(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (mode == "" || mode == "navigate")
}

// sessionUser returns the user of a session that Require began. A session in a later format counts as none.
func (l *Login) sessionUser(r *http.Request) (u User, ok bool, err error) {
	c, err := r.Cookie(l.sessionCookieName())
	if err != nil {
		return User{}, false, nil
	}
	b, ok, err := l.store().Get(r.Context(), l.recordKey("session", hash(c.Value)))
	if err != nil {
		return User{}, false, fmt.Errorf("oauth: read session: %w", err)
	}
	if !ok {
		return User{}, false, nil
	}
	switch err := decodeRecord(b, &u); {
	case errors.Is(err, errLater):
		return User{}, false, nil
	case err != nil:
		return User{}, false, fmt.Errorf("oauth: read session: %w", err)
	}
	return u, true, nil
}

// beginSession stores a session and sets its cookie.
func (l *Login) beginSession(ctx context.Context, w http.ResponseWriter, u User) error {
	b, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("oauth: store session: %w", err)
	}
	life := l.Session
	if life <= 0 {
		life = 24 * time.Hour
	}
	value := rand.Text()
	if err := l.store().Set(ctx, l.recordKey("session", hash(value)), b, life); err != nil {
		return fmt.Errorf("oauth: store session: %w", err)
	}
	http.SetCookie(w, &http.Cookie{
		Name: l.sessionCookieName(), Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: l.usesHTTPS(), SameSite: http.SameSiteLaxMode,
	})
	return nil
}

// sessionCookieName returns the name of the session cookie, which differs between apps on one host.
func (l *Login) sessionCookieName() string {
	return l.cookieName("wetoken-" + hash(l.ownerName())[:12])
}
