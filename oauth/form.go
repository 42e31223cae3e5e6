package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/wechat"
)

// Form serves logins that end with a page of the application, from which the browser itself carries the user to a site, as
// sites of wechat-proxy expect:
//
//	GET Path?call=URL&state=&lang=   redirects to WeChat; further parameters are ignored
//	GET Path?key=…&code=…            where WeChat sends the browser back: Reply answers it
//
// call is an address on one of the Login's Hosts, with the rules of to at /login; one that begins with / is below Base. What
// the browser carries proves nothing by itself: the site has to redeem the login_code, or to verify a signature by the
// application.
//
// A login that fails without an answer of WeChat ends on a page, in Chinese or English. Login is the one that serves
// /login/callback. A login that a Form begins ends at the same Path only, and OnLogin and BackendURL do not get it.
type Form struct {
	Login *Login
	Path  string // below the Login's URL, such as /auth
	Scope string // default the Login's
	Base  string // base URL of calls that begin with /; default the origin of the Login's URL

	// Reply answers the browser of a login that has ended. It is called again, with the same end, if the browser requests
	// the end of a login twice.
	Reply func(w http.ResponseWriter, r *http.Request, end FormEnd)
}

// FormEnd is the end of a login of a [Form].
type FormEnd struct {
	Call      string // whole address
	State     string // as the site gave it
	User      User
	LoginCode string // for [Login.Redeem], whose User has the origin of Call as To and State as Nonce

	// Refusal is set if WeChat refused the login. There is then no User and no LoginCode.
	Refusal *wechat.Error

	redacted
}

// maxFormState is the greatest length of a site's state in bytes, which strangers cause to be stored.
const maxFormState = 1024

// ServeHTTP begins or ends a login.
func (f *Form) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Has("key") && !q.Has("call") {
		f.Login.serveEnd(w, r, q.Get("key"), f.Path, f.answer)
		return
	}
	f.begin(w, r, q)
}

// begin redirects the browser to WeChat.
func (f *Form) begin(w http.ResponseWriter, r *http.Request, q url.Values) {
	l := f.Login
	s := state{Path: f.Path, Lang: knownLanguage(q.Get("lang")), Nonce: q.Get("state")}
	own, err := l.mountAddress()
	if err != nil {
		l.answerUnavailable(w, r, s, err)
		return
	}
	if !q.Has("call") {
		l.writePage(w, r, page{notice: noticeRequest, reason: "call is missing"})
		return
	}
	if s.To, err = f.address(own, q.Get("call")); err != nil {
		l.writePage(w, r, page{notice: noticeTo, reason: err.Error()})
		return
	}
	if len(s.Nonce) > maxFormState {
		l.writePage(w, r, page{notice: noticeRequest, reason: fmt.Sprintf("state is longer than %d bytes", maxFormState)})
		return
	}
	var ok bool
	if s.Scope, ok = l.chooseScope(f.Scope); !ok {
		l.answerUnavailable(w, r, s, fmt.Errorf("oauth: begin login: the app has no scope %q", f.Scope))
		return
	}
	l.redirectToWeChat(w, r, s)
}

// address returns the whole address of a call, or an error if a login may not end there. A call without a scheme gets the
// scheme of own, the address of the mount.
func (f *Form) address(own *url.URL, call string) (string, error) {
	base := strings.TrimSuffix(f.Base, "/")
	if base == "" {
		base = hosts.Origin(own)
	}
	if strings.HasPrefix(call, "/") {
		call = base + call
	}
	if strings.HasPrefix(call, base+"/") { // such as one that began with /, when the login begins again
		if len(call) > maxTo {
			return "", fmt.Errorf("it is longer than %d bytes", maxTo)
		}
		u, err := url.Parse(base)
		if err != nil {
			return "", errors.New("the base URL is invalid")
		}
		_, err = hosts.Parse(call, []string{u.Host})
		return call, err
	}
	if !strings.Contains(call, "://") {
		call = own.Scheme + "://" + call
	}
	return call, f.Login.checkReturn(call)
}

// answer answers the browser of a login that has ended.
func (f *Form) answer(w http.ResponseWriter, r *http.Request, s state, end outcome, loginCode string) {
	done := FormEnd{Call: s.To, State: s.Nonce}
	switch {
	case end.Fault == "":
		done.User, done.LoginCode = end.User, loginCode
	case end.Code != 0:
		done.Refusal = &wechat.Error{Op: f.Path, Code: wechat.Code(end.Code), Msg: end.Msg}
	default:
		f.Login.answerFault(w, r, s, end.Fault, 0)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	f.Reply(w, r, done)
}

// textTimeout is the answer of wechat-proxy to a key that is unknown or old.
const textTimeout = "auth timeout"

// readsHTML reports whether a client wants a page.
func readsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

func writeTimeout(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(noticeExpired.status)
	_, _ = w.Write([]byte(textTimeout))
}
