package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/wechat"
)

// Routes makes Login a part that wetoken.Bind mounts, for browsers:
//
//	GET /login?to=URL&scope=&lang=&nonce=   goes to WeChat, which asks the user
//	GET /login/callback                     where WeChat sends the browser back, and the login ends
//
// The browser returns to to, on one of Hosts, with login_code and the nonce added to its query. scope is snsapi_base or
// snsapi_userinfo, in WeCom snsapi_base or snsapi_privateinfo; lang, for names of places, is zh_CN, zh_TW or en. A login
// that fails ends on a page that says why, in Chinese or English. In WeChat's console the host of URL is to be entered
// as the domain for web authorization (网页授权域名), for WeCom as a trusted one.
func (l *Login) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /login":          http.HandlerFunc(l.start),
		"GET /login/callback": http.HandlerFunc(l.callback),
	}
}

const maxNonce = 256

func (l *Login) start(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s := state{To: q.Get("to"), Scope: q.Get("scope"), Lang: language(q.Get("lang")), Nonce: q.Get("nonce")}
	if s.To != "" || l.Done == nil {
		if err := l.returns(s.To); err != nil {
			show(w, r, page{notice: noticeTo, why: err.Error()})
			return
		}
	}
	if len(s.Nonce) > maxNonce {
		show(w, r, page{notice: noticeRequest, why: fmt.Sprintf("nonce is longer than %d bytes", maxNonce)})
		return
	}
	var ok bool
	if s.Scope, ok = l.scope(s.Scope); !ok {
		show(w, r, page{notice: noticeRequest, why: "this app has no such scope"})
		return
	}
	l.send(w, r, s)
}

// send keeps the state and sends the browser to WeChat.
func (l *Login) send(w http.ResponseWriter, r *http.Request, s state) {
	if _, err := l.address(); err != nil {
		fail(w, r, page{}, err)
		return
	}
	if !l.admitStart(w, r, s) {
		return
	}
	s.Inner = l.kind() == Work && insideWeCom(r)
	outside := l.kind() == Website || l.kind() == Work && !s.Inner
	bind := func(http.ResponseWriter, string) {}
	if outside || s.Stay {
		s.Cookie, bind = l.bind()
	}
	name, err := l.begin(r.Context(), s)
	if err != nil {
		fail(w, r, page{}, err)
		return
	}
	bind(w, name)
	back := base(l.URL, "") + "/login/callback"
	to := l.AuthorizeURL(back, s.Scope, name)
	if outside {
		to = l.QRURL(back, name, s.Lang)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to, http.StatusFound)
}

func (l *Login) callback(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		return // those who look ahead do not use up a login
	}
	if !l.admitCallback(w, r) {
		return
	}
	q := r.URL.Query()
	s, err := l.take(r, q.Get("state"))
	again := page{again: l.again(s)}
	if err != nil {
		fail(w, r, again, err)
		return
	}
	if s.Cookie != "" {
		l.unbind(w, q.Get("state"))
	}
	code := q.Get("code")
	if code == "" || len(code) > 512 {
		again.notice = noticeDeclined
		show(w, r, again)
		return
	}
	u, err := l.user(r.Context(), code, s)
	if err != nil {
		fail(w, r, again, err)
		return
	}
	l.deliver(w, r, s, u)
}

var errSnapshot = errors.New("oauth: a visitor of the snapshot page is not logged in")

// user asks WeChat who has come back.
func (l *Login) user(ctx context.Context, code string, s state) (User, error) {
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

// deliver hands a finished login to whoever asked for it.
func (l *Login) deliver(w http.ResponseWriter, r *http.Request, s state, u User) {
	again := page{again: l.again(s)}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	switch {
	case s.Stay && !l.admits(u):
		again.notice = noticeMember
		show(w, r, again)
	case s.Stay:
		if err := l.stay(w, r, u); err != nil {
			fail(w, r, again, err)
			return
		}
		http.Redirect(w, r, withQuery(s.To), http.StatusFound)
	case l.Done != nil:
		done := r.Clone(r.Context())
		done.Form, done.URL.RawQuery = nil, url.Values{"to": {s.To}, "nonce": {s.Nonce}}.Encode()
		done.RequestURI = done.URL.RequestURI()
		l.Done(w, done, u)
	case l.Backend != "":
		code := rand.Text() // which nobody has but Backend and this browser
		if err := l.tell(r.Context(), s, code, u); err != nil {
			again.notice = noticeBackend
			fail(w, r, again, err)
			return
		}
		http.Redirect(w, r, withQuery(s.To, "login_code", code, "nonce", s.Nonce), http.StatusFound)
	default:
		u.To, u.Nonce = s.site(), s.Nonce
		code, err := issue(r.Context(), l.store(), l.app(), u)
		if err != nil {
			fail(w, r, again, err)
			return
		}
		http.Redirect(w, r, withQuery(s.To, "login_code", code, "nonce", s.Nonce), http.StatusFound)
	}
}

// returns tells whether a login may return to an address: to one of Hosts, and from https to nothing weaker, as the
// login_code travels in the address.
func (l *Login) returns(to string) error {
	u, err := hosts.Parse(to, l.Hosts)
	if err != nil {
		return err
	}
	if l.secure() && strings.EqualFold(u.Scheme, "http") && !hosts.Loopback(u.Host) {
		return errors.New("it must be https")
	}
	return nil
}

func (l *Login) scope(asked string) (scope string, ok bool) {
	if asked == "" {
		asked = l.Scope
	}
	switch {
	case l.kind() == Website:
		return ScopeLogin, asked == "" || asked == ScopeLogin
	case asked == "":
		return ScopeBase, true
	case l.kind() == Work:
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

// again is the address that begins the same login once more; none for a login that is not known.
func (l *Login) again(s state) string {
	if s.Stay || s.To == "" {
		return s.To
	}
	return base(l.URL, "") + "/login?" + url.Values{"to": {s.To}, "scope": {s.Scope}, "lang": {s.Lang}, "nonce": {s.Nonce}}.Encode()
}

// withQuery sets parameters of an address whose others stay as they are, byte by byte. Empty ones are left out. It ends
// with a fragment, be it an empty one: where a redirect has none, browsers keep WeChat's #wechat_redirect.
func withQuery(address string, pairs ...string) string {
	address, fragment, _ := strings.Cut(address, "#")
	address, query, _ := strings.Cut(address, "?")
	set := make(map[string]bool)
	for i := 0; i < len(pairs); i += 2 {
		set[pairs[i]] = true
	}
	var kept []string
	for _, pair := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if pair != "" && !set[name] {
			kept = append(kept, pair)
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			kept = append(kept, pairs[i]+"="+escape(pairs[i+1]))
		}
	}
	if len(kept) > 0 {
		address += "?" + strings.Join(kept, "&")
	}
	return address + "#" + fragment
}

// noticeFor is what a person is told of an error.
func noticeFor(err error) notice {
	refusal := (*wechat.Error)(nil)
	switch {
	case errors.Is(err, errUnknown):
		return noticeExpired
	case errors.Is(err, errUsed):
		return noticeUsed
	case errors.Is(err, errBrowser):
		return noticeBrowser
	case errors.Is(err, errSnapshot):
		return noticeSnapshot
	case errors.Is(err, wechat.ErrInvalidCode), errors.Is(err, wechat.ErrCodeUsed),
		errors.Is(err, wechat.ErrCodeExpired):
		return noticeCode
	case errors.As(err, &refusal):
		return noticeRefused
	}
	return noticeTrouble
}
