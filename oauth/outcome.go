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

// outcome is the result of a login.
type outcome struct {
	At    int64 `json:"at"` // Unix seconds
	Fault fault `json:"fault,omitempty"`
	Code  int   `json:"errcode,omitempty"` // WeChat's errcode, if WeChat refused
	User  User  `json:"user,omitzero"`     // for OnLogin, Require and a Form

	Msg string `json:"errmsg,omitempty"` // WeChat's, for a Form
}

const (
	finishTimeout = 20 * time.Second // for a login to end after WeChat sent the browser back
	saveTimeout   = 5 * time.Second  // for the store to save the outcome
)

// finishLogin exchanges code for its user, and saves the outcome for repeated requests of the same browser.
func (l *Login) finishLogin(ctx context.Context, name string, s state, code, loginCode string) outcome {
	end, err := l.resolveLogin(ctx, s, code, loginCode)
	if err != nil {
		end = outcome{Fault: faultOf(err)}
		if refusal := (*wechat.Error)(nil); errors.As(err, &refusal) {
			end.Code = int(refusal.Code)
			if s.Path != "" {
				end.Msg = refusal.Msg
			}
		}
		if noticeFor(end.Fault).status >= http.StatusInternalServerError {
			slog.ErrorContext(ctx, "login failed", "error", err)
		}
	}
	if s.CookieShown {
		end.At = time.Now().Unix()
		s.Outcome = &end
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		b, err := s.encode()
		if err == nil {
			err = l.store().Set(ctx, l.recordKey("state", name), b, endedLife)
		}
		if err != nil {
			slog.WarnContext(ctx, "save outcome of login: a repeated request will fail", "error", err)
		}
	}
	return end
}

// resolveLogin exchanges code for its user, and passes the user to BackendURL or stores it under loginCode.
func (l *Login) resolveLogin(ctx context.Context, s state, code, loginCode string) (outcome, error) {
	if code == "" {
		return outcome{}, errDeclined
	}
	u, err := l.fetchUser(ctx, code, s)
	switch {
	case err != nil:
		return outcome{}, err
	case s.ForSession && !l.allowsUser(u):
		return outcome{}, errMember
	case s.Path != "":
		end := outcome{User: u}
		u.To, u.Nonce = s.siteOrigin(), s.Nonce
		return end, storeLoginCode(ctx, l.store(), l.ownerName(), loginCode, u)
	case s.ForSession, l.OnLogin != nil:
		return outcome{User: u}, nil
	case l.BackendURL != "":
		if err := l.notifyBackend(ctx, s, loginCode, u); err != nil {
			return outcome{}, fmt.Errorf("%w: %w", errBackend, err)
		}
		return outcome{}, nil
	}
	u.To, u.Nonce = s.siteOrigin(), s.Nonce
	return outcome{}, storeLoginCode(ctx, l.store(), l.ownerName(), loginCode, u)
}

// pollInterval is the time between two looks of a repeated request for the outcome.
const pollInterval = 100 * time.Millisecond

// waitForOutcome returns the outcome of the login called name, which another request of the same browser finishes.
func (l *Login) waitForOutcome(ctx context.Context, name string, s state) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout+saveTimeout)
	defer cancel()
	for s.Outcome == nil {
		timer := time.NewTimer(pollInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return outcome{}, fmt.Errorf("oauth: wait for outcome: %w", ctx.Err())
		case <-timer.C:
		}
		var err error
		if s, _, err = l.readState(ctx, name); err == nil && !s.CookieShown {
			err = errUsed // by another browser
		}
		if err != nil {
			return outcome{}, err
		}
	}
	return *s.Outcome, nil
}

// answerOutcome answers the browser with the outcome of its login.
func (l *Login) answerOutcome(w http.ResponseWriter, r *http.Request, s state, end outcome, loginCode string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	switch {
	case end.Fault != "":
		l.answerFault(w, r, s, end.Fault, end.Code)
	case s.ForSession:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), saveTimeout)
		defer cancel()
		if err := l.beginSession(ctx, w, end.User); err != nil {
			l.answerError(w, r, s, err)
			return
		}
		http.Redirect(w, r, withQuery(s.To), http.StatusFound)
	case l.OnLogin != nil:
		done := r.Clone(r.Context())
		done.Form, done.URL.RawQuery = nil, url.Values{"to": {s.To}, "nonce": {s.Nonce}}.Encode()
		done.RequestURI = done.URL.RequestURI()
		l.OnLogin(w, done, end.User)
	default:
		http.Redirect(w, r, withQuery(s.To, "login_code", loginCode, "nonce", s.Nonce), http.StatusFound)
	}
}

// answerError answers a login that ended with err, and logs err if the visitor cannot fix it.
func (l *Login) answerError(w http.ResponseWriter, r *http.Request, s state, err error) {
	f := faultOf(err)
	if noticeFor(f).status >= http.StatusInternalServerError {
		slog.ErrorContext(r.Context(), "login failed", "error", err)
	}
	l.answerFault(w, r, s, f, 0)
}

// answerFault sends the browser back to its site with login_error, or writes a page if the login has no such site.
func (l *Login) answerFault(w http.ResponseWriter, r *http.Request, s state, f fault, code int) {
	if word := f.loginError(); word != "" && s.To != "" && s.Path == "" && !s.ForSession {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.Redirect(w, r, withQuery(s.To, "login_error", word, "nonce", s.Nonce), http.StatusFound)
		return
	}
	p := page{notice: noticeFor(f)}
	if s.Path != "" && (f == faultUnknown || f == faultExpired) {
		if !readsHTML(r) {
			writeTimeout(w)
			return
		}
		p.reason = textTimeout
	}
	if f != faultRisk && f != faultTooMany { // another login would not help
		p.linkURL = l.restartURL(s)
	}
	var cause error
	if code != 0 {
		p.reason = fmt.Sprintf("errcode %d", code)
		cause = &wechat.Error{Code: wechat.Code(code)}
	}
	if u := answer.Of(cause); u.Status == p.status {
		u.SetRetryAfter(w.Header())
	}
	l.writePage(w, r, p)
}

// loginCodeFor returns the login_code of the login called name. It derives the code from the cookie, so that a repeated
// request gets the same one without a store. Without a cookie the code is random.
func loginCodeFor(name, cookie string) string {
	if cookie == "" {
		return rand.Text()
	}
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte("login_code " + name))
	return base32.StdEncoding.EncodeToString(mac.Sum(nil))[:26]
}
