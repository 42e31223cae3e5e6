package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// ErrSession says that no session_key of the user is kept, or not the one the user's phone has: the mini program has to
// call wx.login again.
var ErrSession = errors.New("the user's session is not known here or has ended")

// Mini logs users of a mini program in (小程序登录). The session_key of each stays in Store: no answer, error or log has
// it. Its methods are safe for concurrent use, and its fields are not to be changed after the first.
//
// As a part it answers the mini program, which passes the login_code on to its own server:
//
//	POST /session {"code":"…"}   {"login_code":"…","expires_in":300}
//
// code is from wx.login. An error is {"errcode":…,"errmsg":"…"}: 400 with WeChat's errcode for a code that is no good, 429
// for an address that asks too often, 502 and 503 where WeChat refuses the app or is not reached.
type Mini struct {
	AppID  string
	Secret string
	Store  store.Store // shared by all processes that use the app; default one of this Mini alone

	// Name tells this Mini from others of the same AppID and Store: login codes of one are unknown to the others. Default
	// AppID.
	Name string

	Tokens wechat.TokenSource // the app's access tokens, for Phone and CheckSession
	Client *wechat.Client     // the way to WeChat: its BaseURL and HTTP; default WeChat's own

	// Limit is how often one address may ask POST /session in a minute, in each process; default 20 000. It does not
	// apply where RemoteAddr is private, as that may be a proxy's; behind one with a public address, RemoteAddr must have
	// been made the client's.
	Limit int

	own     store.Memory
	limiter limiter
}

// Session turns a code of wx.login into its user, openid and unionid, and keeps the session_key. A code works once,
// within 5 minutes.
//
// See https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html (小程序登录凭证校验).
func (m *Mini) Session(ctx context.Context, code string) (User, error) {
	if err := m.checkFields(); err != nil {
		return User{}, fmt.Errorf("oauth: mini-program session: %w", err)
	}
	var a struct {
		OpenID     string `json:"openid"`
		UnionID    string `json:"unionid"`
		SessionKey string `json:"session_key"`
	}
	query := url.Values{"appid": {m.AppID}, "secret": {m.Secret}, "js_code": {code}, "grant_type": {"authorization_code"}}
	if err := through(&wechat.Client{}, m.Client).Get(ctx, "/sns/jscode2session", query, &a); err != nil {
		return User{}, fmt.Errorf("oauth: mini-program session: %w", err)
	}
	if a.OpenID == "" || len(a.OpenID) > maxOpenID || a.SessionKey == "" {
		return User{}, errors.New("oauth: mini-program session: WeChat's answer holds no openid and session_key")
	}
	if err := m.store().Set(ctx, m.sessionKey(a.OpenID), []byte(a.SessionKey), sessionKeyLife); err != nil {
		return User{}, fmt.Errorf("oauth: keep mini-program session: %w", err)
	}
	return User{OpenID: a.OpenID, UnionID: a.UnionID}, nil
}

func (m *Mini) store() store.Store {
	if m.Store != nil {
		return m.Store
	}
	return &m.own
}

// sessionKeyLife is generous: WeChat ends a session_key when the user has been away, and tells nobody.
const sessionKeyLife = 30 * 24 * time.Hour

func (m *Mini) sessionKey(openID string) string { return "oauth/" + m.AppID + "/session_key/" + openID }

// Redeem returns the user behind a login_code, once.
func (m *Mini) Redeem(ctx context.Context, loginCode string) (User, error) {
	return redeem(ctx, m.store(), named(m.AppID, m.Name), loginCode)
}

// CheckSession returns nil while the kept session_key is the one the user's phone has, else an error that wraps
// ErrSession (检验登录态).
func (m *Mini) CheckSession(ctx context.Context, openID string) error {
	key, err := m.key(ctx, openID)
	if err != nil {
		return fmt.Errorf("oauth: check session: %w", err)
	}
	query := url.Values{"openid": {openID}, "signature": {seal(key, "")}, "sig_method": {"hmac_sha256"}}
	err = m.api().Get(ctx, "/wxa/checksession", query, nil)
	if errors.Is(err, errKeyMissing) || errors.Is(err, errKeyWrong) {
		err = fmt.Errorf("%w: %w", ErrSession, err)
	}
	if err != nil {
		return fmt.Errorf("oauth: check session: %w", err)
	}
	return nil
}

const (
	errKeyMissing wechat.Code = 87007
	errKeyWrong   wechat.Code = 87009
)

// api calls with the app's token.
func (m *Mini) api() *wechat.Client { return through(&wechat.Client{Tokens: m.Tokens}, m.Client) }

// Routes makes Mini a part that wetoken.Bind mounts.
func (m *Mini) Routes() map[string]http.Handler {
	return map[string]http.Handler{"POST /session": http.HandlerFunc(m.session)}
}

func (m *Mini) session(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Code string `json:"code"`
	}
	if !m.limiter.allow(r, "session", m.limit(), 1) {
		w.Header().Set("Retry-After", "60")
		answer.Refuse(w, http.StatusTooManyRequests, "oauth: too many logins from this address: try again in a minute")
		return
	}
	const want = `{"code":"…"} with the code of wx.login`
	if !answer.Body(w, r, maxBody, want, &ask) {
		return
	}
	if ask.Code == "" || len(ask.Code) > maxCode {
		answer.Refuse(w, http.StatusBadRequest, "the body must be "+want)
		return
	}
	u, err := m.Session(r.Context(), ask.Code)
	code := rand.Text()
	if err == nil {
		err = issue(r.Context(), m.store(), named(m.AppID, m.Name), code, u)
	}
	var refusal *wechat.Error
	switch {
	case err == nil:
		reply(w, map[string]any{"login_code": code, "expires_in": int(codeLife / time.Second)})
	case errors.As(err, &refusal) && needsNewCode(refusal.Code):
		answer.Error(w, http.StatusBadRequest, int(refusal.Code), "oauth: WeChat refused the code: call wx.login again")
	default:
		answer.Public(w, r, "oauth: not logged in", err)
	}
}

const (
	maxBody = 4 << 10 // bytes of a request
	maxCode = 512     // bytes of a code of WeChat's
)

// needsNewCode reports whether WeChat refused a code that another one of the same user would replace.
func needsNewCode(c wechat.Code) bool {
	return c == wechat.ErrInvalidCode || c == wechat.ErrCodeUsed || c == wechat.ErrCodeExpired
}
