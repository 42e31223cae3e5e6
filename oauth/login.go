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

// Routes makes Login a part that wetoken.Bind mounts, for browsers:
//
//	GET /login?to=URL&scope=&lang=&nonce=   goes to WeChat, which asks the user
//	GET /login/callback                     where WeChat sends the browser back, and the login ends
//
// The browser returns to to, on one of Hosts, with login_code and the nonce added to its query. to has up to 2048 bytes
// and must be percent-encoded, as encodeURIComponent does: what follows an & that is not is another parameter, which
// /login refuses unless it knows it. scope is snsapi_base or snsapi_userinfo, in WeCom snsapi_base or snsapi_privateinfo;
// lang, for names of places, is zh_CN, zh_TW or en.
//
// A login that fails returns to to with login_error and the nonce in place of a login_code: denied where the user did
// not consent, expired where it took too long, failed otherwise. A login without a to that is known ends on a page that
// says why, in Chinese or English. A second request for the end of a login, as some browsers make, is answered like the
// first for 30 seconds, if the browser shows the cookie that it was given at /login: the login_code is the same, and is
// redeemed once.
//
// In WeChat's console the host of URL is to be entered as the domain for web authorization (网页授权域名), for WeCom as a
// trusted one.
func (l *Login) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /login":          http.HandlerFunc(l.start),
		"GET /login/callback": http.HandlerFunc(l.callback),
	}
}

const maxNonce = 256

func (l *Login) start(w http.ResponseWriter, r *http.Request) {
	q, err := linkQuery(r.URL.RawQuery)
	if err != nil {
		l.show(w, r, page{notice: noticeParameter, why: err.Error()})
		return
	}
	s := state{To: q.Get("to"), Scope: q.Get("scope"), Lang: language(q.Get("lang")), Nonce: q.Get("nonce")}
	if s.To != "" || l.Done == nil {
		if err := l.returns(s.To); err != nil {
			l.show(w, r, page{notice: noticeTo, why: err.Error()})
			return
		}
	}
	if len(s.Nonce) > maxNonce {
		l.show(w, r, page{notice: noticeRequest, why: fmt.Sprintf("nonce is longer than %d bytes", maxNonce)})
		return
	}
	var ok bool
	if s.Scope, ok = l.scope(s.Scope); !ok {
		l.show(w, r, page{notice: noticeRequest, why: "this app has no such scope"})
		return
	}
	if s.Scope == ScopePrivateInfo && !insideWeCom(r) {
		s.Scope = ScopeBase
		if q.Get("scope") != "" { // asked for by the link, and not as what links get by default
			l.show(w, r, page{
				notice: noticeQRCode, why: "scope snsapi_privateinfo works inside WeCom alone",
				again: l.again(s), link: [2]string{"继续登录", "Go on"},
			})
			return
		}
	}
	l.send(w, r, s)
}

// linkQuery reads the query of a link to /login. It refuses parameters that /login does not know, and those that are
// given twice: they are most likely the rest of a to that was not percent-encoded.
func linkQuery(raw string) (url.Values, error) {
	const cure = "percent-encode to, as encodeURIComponent does"
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the query cannot be read: " + cure)
	}
	var odd []string
	for name, values := range q {
		switch name {
		case "to", "scope", "lang", "nonce":
			if len(values) > 1 {
				return nil, fmt.Errorf("parameter %s is given twice: %s", name, cure)
			}
		case "from", "isappinstalled": // WeChat adds them to links that are shared
			if !sharedBy[name+"="+values[0]] || len(values) > 1 {
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

// sharedBy are the parameters that WeChat adds to links that are shared.
var sharedBy = map[string]bool{
	"from=singlemessage": true, "from=groupmessage": true, "from=timeline": true, "isappinstalled=0": true, "isappinstalled=1": true,
}

// send keeps the state and sends the browser to WeChat.
func (l *Login) send(w http.ResponseWriter, r *http.Request, s state) {
	root, err := l.root()
	if err != nil {
		l.unavailable(w, r, s, err)
		return
	}
	if !l.admitStart(w, r, s) {
		return
	}
	s.Inner = l.kind() == wechat.Work && insideWeCom(r)
	outside := l.kind() == wechat.Website || l.kind() == wechat.Work && !s.Inner
	s.Loose = !outside && !s.Stay
	cookie := rand.Text()
	s.Cookie = hash(cookie)
	name, err := l.begin(r.Context(), s)
	if err != nil {
		l.fail(w, r, s, err)
		return
	}
	l.bind(w, name, cookie, stateLife)
	back := root + "/login/callback"
	to := l.AuthorizeURL(back, s.Scope, name)
	if outside {
		to = l.QRURL(back, name, s.Lang)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to, http.StatusFound)
}

// unavailable answers a login that could not begin.
func (l *Login) unavailable(w http.ResponseWriter, r *http.Request, s state, err error) {
	slog.ErrorContext(r.Context(), "login not begun", "error", err)
	l.show(w, r, page{notice: noticeTrouble, again: l.again(s)})
}

func (l *Login) callback(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		return // those who look ahead do not use up a login
	}
	if !l.admitCallback(w, r) {
		return
	}
	// A login goes on when its browser goes away, or asks again: WeChat takes a code once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), finishMax)
	defer cancel()
	q := r.URL.Query()
	name := q.Get("state")
	s, err := l.take(r.WithContext(ctx), name)
	cookie := l.shown(r, name, s)
	code := loginCodeFor(name, cookie)
	var end outcome
	switch {
	case err == nil:
		end = l.finish(ctx, name, s, q.Get("code"), code)
	case errors.Is(err, errUsed) && s.Proven && cookie != "":
		end, err = l.await(r.Context(), name, s)
	}
	if cookie != "" {
		l.bind(w, name, cookie, repeatLife)
	}
	if err != nil {
		l.fail(w, r, s, err)
		return
	}
	l.deliver(w, r, s, end, code)
}

// user asks WeChat who has come back.
func (l *Login) user(ctx context.Context, code string, s state) (User, error) {
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

func (l *Login) scope(asked string) (scope string, ok bool) {
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

// address is the public address of the mount, which all others are built from.
func (l *Login) address() (*url.URL, error) {
	u, err := url.Parse(l.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("oauth: URL must be where browsers find /login, such as https://wx.example.com/wx")
	}
	return u, nil
}

// root is the public address of the mount as redirect addresses begin with it, without the port that the scheme has
// anyway: WeChat compares the host with the domain that was entered in its console.
func (l *Login) root() (string, error) {
	u, err := l.address()
	if err != nil {
		return "", err
	}
	return hosts.Origin(u) + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}
