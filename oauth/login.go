package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/wechat"
)

// Routes returns the routes for wetoken.Bind, which browsers visit:
//
//	GET /login?to=URL&scope=&lang=&nonce=   redirects to WeChat, which asks the user
//	GET /login/callback                     where WeChat sends the browser back, and the login ends
//
// The browser returns to the address to, on one of Hosts, with login_code and nonce added to its query. to has up to
// 2048 bytes and must be percent-encoded with encodeURIComponent: an & that is not encoded begins another parameter,
// which /login refuses unless it knows it. scope is snsapi_base or snsapi_userinfo, in WeCom snsapi_base or
// snsapi_privateinfo. lang, the language of the names of places, is zh_CN, zh_TW or en.
//
// A login that fails returns to the address to with login_error and nonce instead of a login_code: denied if the user
// did not consent, expired if the login took too long, failed otherwise. A login without a known to ends on a page that
// gives the reason, in Chinese or English. Some browsers request the end of a login twice. The second request is
// answered like the first for 30 seconds, if the browser sends the cookie that it was given at /login: the login_code
// is the same, and can be redeemed once.
//
// In WeChat's console, enter the host of URL as the domain for web authorization (网页授权域名), in WeCom's as a trusted one.
func (l *Login) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /login":          http.HandlerFunc(l.serveLogin),
		"GET /login/callback": http.HandlerFunc(l.serveCallback),
	}
}

const maxNonce = 256

func (l *Login) serveLogin(w http.ResponseWriter, r *http.Request) {
	q, err := parseLinkQuery(r.URL.RawQuery)
	if err != nil {
		l.writePage(w, r, page{notice: noticeParameter, reason: err.Error()})
		return
	}
	s := state{To: q.Get("to"), Scope: q.Get("scope"), Lang: knownLanguage(q.Get("lang")), Nonce: q.Get("nonce")}
	if s.To != "" || l.OnLogin == nil {
		if err := l.checkReturn(s.To); err != nil {
			l.writePage(w, r, page{notice: noticeTo, reason: err.Error()})
			return
		}
	}
	if len(s.Nonce) > maxNonce {
		l.writePage(w, r, page{notice: noticeRequest, reason: fmt.Sprintf("nonce is longer than %d bytes", maxNonce)})
		return
	}
	var ok bool
	if s.Scope, ok = l.chooseScope(s.Scope); !ok {
		l.writePage(w, r, page{notice: noticeRequest, reason: "this app has no such scope"})
		return
	}
	if s.Scope == ScopePrivateInfo && !insideWeCom(r) {
		s.Scope = ScopeBase
		if q.Get("scope") != "" { // set by the link, not by default
			l.writePage(w, r, page{
				notice: noticeQRCode, reason: "scope snsapi_privateinfo works inside WeCom alone",
				linkURL: l.restartURL(s), linkText: [2]string{"继续登录", "Go on"},
			})
			return
		}
	}
	l.redirectToWeChat(w, r, s)
}

// parseLinkQuery parses the query of a link to /login. It refuses unknown and repeated parameters, since they are most
// likely the rest of a to that was not percent-encoded.
func parseLinkQuery(raw string) (url.Values, error) {
	const cure = "percent-encode to, as encodeURIComponent does"
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("invalid query: " + cure)
	}
	var odd []string
	for name, values := range q {
		switch name {
		case "to", "scope", "lang", "nonce":
			if len(values) > 1 {
				return nil, fmt.Errorf("parameter %s is repeated: %s", name, cure)
			}
		case "from", "isappinstalled": // WeChat adds them to shared links
			if !sharingParameters[name+"="+values[0]] || len(values) > 1 {
				odd = append(odd, name)
			}
		default:
			odd = append(odd, name)
		}
	}
	if len(odd) == 0 {
		return q, nil
	}
	slices.Sort(odd)
	for i, name := range odd {
		odd[i] = fmt.Sprintf("%.40q", name)
	}
	return nil, fmt.Errorf("unknown parameters %s: want to, scope, lang and nonce; %s", strings.Join(odd[:min(len(odd), 5)], ", "), cure)
}

// sharingParameters are the parameters that WeChat adds to shared links.
var sharingParameters = map[string]bool{
	"from=singlemessage": true, "from=groupmessage": true, "from=timeline": true, "isappinstalled=0": true, "isappinstalled=1": true,
}

// redirectToWeChat stores the state and redirects the browser to WeChat.
func (l *Login) redirectToWeChat(w http.ResponseWriter, r *http.Request, s state) {
	root, err := l.mountURL()
	if err != nil {
		l.answerUnavailable(w, r, s, err)
		return
	}
	if !l.admitLogin(w, r, s) {
		return
	}
	s.InsideApp = l.kind() == wechat.Work && insideWeCom(r)
	outside := l.kind() == wechat.Website || l.kind() == wechat.Work && !s.InsideApp
	s.CookieOptional = !outside && !s.ForSession
	cookie := rand.Text()
	s.Cookie = hash(cookie)
	name, err := l.saveState(r.Context(), s)
	if err != nil {
		l.answerError(w, r, s, err)
		return
	}
	l.setStateCookie(w, name, cookie, stateLife)
	back := root + "/login/callback"
	if s.Path != "" {
		back = root + s.Path + "?key=" + name
	}
	to := l.AuthorizeURL(back, s.Scope, name)
	if outside {
		to = l.QRURL(back, name, s.Lang)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to, http.StatusFound)
}

// answerUnavailable answers a request for a login that could not begin.
func (l *Login) answerUnavailable(w http.ResponseWriter, r *http.Request, s state, err error) {
	slog.ErrorContext(r.Context(), "begin login", "error", err)
	l.writePage(w, r, page{notice: noticeUnavailable, linkURL: l.restartURL(s)})
}

func (l *Login) serveCallback(w http.ResponseWriter, r *http.Request) {
	l.serveEnd(w, r, r.URL.Query().Get("state"), "", l.answerOutcome)
}

// serveEnd finishes the login called name, which ends at path, and has reply answer the browser.
func (l *Login) serveEnd(w http.ResponseWriter, r *http.Request, name, path string, reply replyFunc) {
	if r.Method == http.MethodHead {
		return // previews do not use up a login
	}
	if !l.admitCallback(w, r) {
		return
	}
	// The login continues if its browser leaves or repeats the request: WeChat accepts a code once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), finishTimeout)
	defer cancel()
	s, err := l.consumeState(r.WithContext(ctx), name, path)
	cookie := l.presentedCookie(r, name, s)
	code := loginCodeFor(name, cookie)
	var end outcome
	switch {
	case err == nil:
		end = l.finishLogin(ctx, name, s, r.URL.Query().Get("code"), code)
	case errors.Is(err, errUsed) && s.CookieShown && cookie != "":
		end, err = l.waitForOutcome(r.Context(), name, s)
	}
	if cookie != "" {
		l.setStateCookie(w, name, cookie, repeatLife)
	}
	if err != nil {
		s.Path = path // which an unknown state lacks
		l.answerError(w, r, s, err)
		return
	}
	reply(w, r, s, end, code)
}

// replyFunc answers the browser of a login that has ended.
type replyFunc func(w http.ResponseWriter, r *http.Request, s state, end outcome, loginCode string)

// fetchUser returns the user of a code.
func (l *Login) fetchUser(ctx context.Context, code string, s state) (User, error) {
	if len(code) > maxCode {
		return User{}, fmt.Errorf("oauth: the code is longer than %d bytes", maxCode)
	}
	g, err := l.Exchange(ctx, code)
	if err != nil {
		return User{}, err
	}
	if g.Snapshot {
		return User{}, errSnapshot
	}
	if s.Scope == ScopeBase {
		return g.user(), nil
	}
	return l.UserInfo(ctx, g, s.Lang)
}

func (l *Login) chooseScope(asked string) (scope string, ok bool) {
	if asked == "" {
		asked = l.Scope
	}
	switch {
	case l.kind() == wechat.Website:
		return ScopeLogin, asked == "" || asked == ScopeLogin
	case asked == "":
		return ScopeBase, true
	case l.kind() == wechat.Work:
		return asked, asked == ScopeBase || asked == ScopePrivateInfo
	}
	return asked, asked == ScopeBase || asked == ScopeUserInfo
}

// mountAddress parses URL, the public address of the mount.
func (l *Login) mountAddress() (*url.URL, error) {
	u, err := url.Parse(l.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("oauth: invalid URL: want the address where browsers find /login, such as https://wx.example.com/wx")
	}
	return u, nil
}

// mountURL returns the public address of the mount as redirect addresses begin with it, without the default port of the
// scheme: WeChat compares the host with the domain entered in its console.
func (l *Login) mountURL() (string, error) {
	u, err := l.mountAddress()
	if err != nil {
		return "", err
	}
	return hosts.Origin(u) + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}
