package oauth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// outcome is the end of a login.
type outcome struct {
	At    int64 `json:"at"` // Unix seconds
	Fault fault `json:"fault,omitempty"`
	Code  int   `json:"errcode,omitempty"` // of WeChat, where it refused
	User  User  `json:"user,omitzero"`     // for Done and Require
}

const (
	finishMax = 20 * time.Second // for a login to end, once WeChat has sent the browser back
	keepMax   = 5 * time.Second  // for the store to keep what comes of it
)

// finish asks WeChat who has come back with code, and keeps the outcome for the same browser.
func (l *Login) finish(ctx context.Context, name string, s state, code, loginCode string) outcome {
	end, err := l.conclude(ctx, s, code, loginCode)
	if err != nil {
		end = outcome{Fault: faultOf(err)}
		if refusal := (*wechat.Error)(nil); errors.As(err, &refusal) {
			end.Code = int(refusal.Code)
		}
		if noticeFor(end.Fault).status >= http.StatusInternalServerError {
			slog.ErrorContext(ctx, "login failed", "error", err)
		}
	}
	if s.Proven {
		end.At = time.Now().Unix()
		s.End = &end
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepMax)
		defer cancel()
		b, err := s.encode()
		if err == nil {
			err = l.store().Set(ctx, l.key("state", name), b, endedLife)
		}
		if err != nil {
			slog.WarnContext(ctx, "the end of a login is not kept: a second request will fail", "error", err)
		}
	}
	return end
}

// conclude exchanges code for its user, and hands the user to Backend or keeps it under loginCode.
func (l *Login) conclude(ctx context.Context, s state, code, loginCode string) (outcome, error) {
	if code == "" {
		return outcome{}, errDeclined
	}
	u, err := l.user(ctx, code, s)
	switch {
	case err != nil:
		return outcome{}, err
	case s.Stay && !l.admits(u):
		return outcome{}, errMember
	case s.Stay, l.Done != nil:
		return outcome{User: u}, nil
	case l.Backend != "":
		if err := l.tell(ctx, s, loginCode, u); err != nil {
			return outcome{}, fmt.Errorf("%w: %w", errBackend, err)
		}
		return outcome{}, nil
	}
	u.To, u.Nonce = s.site(), s.Nonce
	return outcome{}, issue(ctx, l.store(), l.owner(), loginCode, u)
}

// repeatPoll is how often a second request looks for the outcome of the first.
const repeatPoll = 100 * time.Millisecond

// await returns the outcome of the login called name, which another request of the same browser ends.
func (l *Login) await(ctx context.Context, name string, s state) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, finishMax+keepMax)
	defer cancel()
	for s.End == nil {
		timer := time.NewTimer(repeatPoll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return outcome{}, fmt.Errorf("oauth: await the end of the login: %w", ctx.Err())
		case <-timer.C:
		}
		var err error
		if s, _, err = l.readState(ctx, name); err == nil && !s.Proven {
			err = errUsed // by another browser
		}
		if err != nil {
			return outcome{}, err
		}
	}
	return *s.End, nil
}

// deliver answers the browser with the outcome of its login.
func (l *Login) deliver(w http.ResponseWriter, r *http.Request, s state, end outcome, loginCode string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	switch {
	case end.Fault != "":
		l.refuse(w, r, s, end.Fault, end.Code)
	case s.Stay:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), keepMax)
		defer cancel()
		if err := l.stay(ctx, w, end.User); err != nil {
			l.fail(w, r, s, err)
			return
		}
		http.Redirect(w, r, withQuery(s.To), http.StatusFound)
	case l.Done != nil:
		done := r.Clone(r.Context())
		done.Form, done.URL.RawQuery = nil, url.Values{"to": {s.To}, "nonce": {s.Nonce}}.Encode()
		done.RequestURI = done.URL.RequestURI()
		l.Done(w, done, end.User)
	default:
		http.Redirect(w, r, withQuery(s.To, "login_code", loginCode, "nonce", s.Nonce), http.StatusFound)
	}
}

// fail answers a login that has ended with err, and logs what its visitor can do nothing about.
func (l *Login) fail(w http.ResponseWriter, r *http.Request, s state, err error) {
	f := faultOf(err)
	if noticeFor(f).status >= http.StatusInternalServerError {
		slog.ErrorContext(r.Context(), "login failed", "error", err)
	}
	l.refuse(w, r, s, f, 0)
}

// refuse sends the browser back to its site with login_error, or shows a page where the login has no such site.
func (l *Login) refuse(w http.ResponseWriter, r *http.Request, s state, f fault, code int) {
	if word := f.word(); word != "" && s.To != "" && !s.Stay {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.Redirect(w, r, withQuery(s.To, "login_error", word, "nonce", s.Nonce), http.StatusFound)
		return
	}
	p := page{notice: noticeFor(f)}
	if f != faultRisk && f != faultOften { // another login does not help these
		p.again = l.again(s)
	}
	var cause error
	if code != 0 {
		p.why = fmt.Sprintf("errcode %d", code)
		cause = &wechat.Error{Code: wechat.Code(code)}
	}
	if u := answer.Of(cause); u.Status == p.status {
		u.SetRetryAfter(w.Header())
	}
	l.show(w, r, p)
}

// loginCodeFor returns the login_code of the login called name. A browser that shows its cookie gets the same one each
// time, without a store that knows it; one that does not gets a random one.
func loginCodeFor(name, cookie string) string {
	if cookie == "" {
		return rand.Text()
	}
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte("login_code " + name))
	return base32.StdEncoding.EncodeToString(mac.Sum(nil))[:26]
}
