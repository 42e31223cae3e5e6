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
	"github.com/wetoken/wetoken/internal/secret"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// ErrSession is the error of a user whose session_key is unknown or outdated: the mini program must call wx.login
// again.
var ErrSession = errors.New("the user's session is unknown or has ended")

// Mini logs users of a mini program in (小程序登录). The session_key of each user stays in Store: no answer, error or log
// contains it. Its methods are safe for concurrent use. Do not change its fields after the first call.
//
// Its route serves the mini program, which passes the login_code on to its own server:
//
//	POST /session {"code":"…"}   {"login_code":"…","expires_in":300}
//
// code is from wx.login. An error is {"errcode":…,"errmsg":"…"}: 400 with WeChat's errcode for an invalid code, 429 for
// too many requests from one address, 502 if WeChat refuses the app, and 503 if WeChat cannot be reached.
type Mini struct {
	AppID  string
	Secret string

	// NextSecret is tried when WeChat refuses Secret as wrong, and is used from then on: see token.Manager. Default: none.
	NextSecret string

	// PlatformID and PlatformTokens are for an account that has authorized a third-party platform (第三方平台): the appid of the platform
	// and its component_access_token, such as a platform.Platform, in place of Secret.
	PlatformID     string
	PlatformTokens wechat.TokenSource

	// Store is shared by all processes that use the app. Default: a store of this Mini alone.
	Store store.Store

	// Name distinguishes this Mini from others with the same AppID and Store: each redeems its own login codes only.
	// Default: AppID.
	Name string

	Tokens wechat.TokenSource // the app's access tokens, for Phone and CheckSession

	// Client has the BaseURL and HTTP client for WeChat's API. Default: WeChat's own address.
	Client *wechat.Client

	// Limit is the number of requests to POST /session that one address may make in a minute, in each process. Default:
	// 20 000. It does not apply to a private RemoteAddr, which may be that of a proxy. Behind a proxy with a public
	// address, set RemoteAddr to the client's address first.
	Limit int

	redacted
	secrets  secret.Choice
	ownStore store.Memory
	limiter  limiter
}

// Session returns the user of a code of wx.login, openid and unionid, and stores the session_key. A code works once,
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
	api := m.Client.With(nil, wechat.APIURL)
	var err error
	if m.PlatformID != "" {
		query := url.Values{"appid": {m.AppID}, "js_code": {code}, "grant_type": {"authorization_code"}}
		err = getByPlatform(ctx, api, m.PlatformID, m.PlatformTokens, "/sns/component/jscode2session", query, &a)
	} else {
		_, err = m.secrets.Call(m.Secret, m.NextSecret, refusesSecret, func(secret string) error {
			query := url.Values{"appid": {m.AppID}, "secret": {secret}, "js_code": {code}, "grant_type": {"authorization_code"}}
			return api.Get(ctx, "/sns/jscode2session", query, &a)
		})
	}
	if err != nil {
		return User{}, fmt.Errorf("oauth: mini-program session: %w", err)
	}
	if a.OpenID == "" || len(a.OpenID) > maxOpenID || a.SessionKey == "" {
		return User{}, errors.New("oauth: mini-program session: WeChat's answer has no openid or no session_key")
	}
	if err := m.store().Set(ctx, m.sessionRecordKey(a.OpenID), []byte(a.SessionKey), sessionKeyLife); err != nil {
		return User{}, fmt.Errorf("oauth: store mini-program session: %w", err)
	}
	return User{OpenID: a.OpenID, UnionID: a.UnionID}, nil
}

func (m *Mini) store() store.Store {
	if m.Store != nil {
		return m.Store
	}
	return &m.ownStore
}

// sessionKeyLife is long, because WeChat does not say when it ends a session_key.
const sessionKeyLife = 30 * 24 * time.Hour

func (m *Mini) sessionRecordKey(openID string) string {
	return "oauth/" + m.AppID + "/session_key/" + openID
}

// Redeem returns the user of a login_code, once.
func (m *Mini) Redeem(ctx context.Context, loginCode string) (User, error) {
	return redeemLoginCode(ctx, m.store(), qualifiedName(m.AppID, m.Name), loginCode)
}

// CheckSession returns nil if the stored session_key is the one on the user's phone, else an error that wraps
// ErrSession (检验登录态).
func (m *Mini) CheckSession(ctx context.Context, openID string) error {
	key, err := m.readSessionKey(ctx, openID)
	if err != nil {
		return fmt.Errorf("oauth: check session: %w", err)
	}
	query := url.Values{"openid": {openID}, "signature": {userSignature(key, "")}, "sig_method": {"hmac_sha256"}}
	err = m.api().Get(ctx, "/wxa/checksession", query, nil)
	if errors.Is(err, errKeyMissing) || errors.Is(err, errKeyWrong) {
		err = fmt.Errorf("%w: %w", ErrSession, err)
	}
	if err != nil {
		return fmt.Errorf("oauth: check session: %w", err)
	}
	return nil
}

// api returns a client that sends the app's token.
func (m *Mini) api() *wechat.Client { return m.Client.With(m.Tokens, wechat.APIURL) }

// Routes returns the routes for wetoken.Bind.
func (m *Mini) Routes() map[string]http.Handler {
	return map[string]http.Handler{"POST /session": http.HandlerFunc(m.serveSession)}
}

func (m *Mini) serveSession(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Code string `json:"code"`
	}
	if !m.limiter.allowAddress(r, "session", m.limit(), 1) {
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
		err = storeLoginCode(r.Context(), m.store(), qualifiedName(m.AppID, m.Name), code, u)
	}
	var refusal *wechat.Error
	switch {
	case err == nil:
		writeJSON(w, map[string]any{"login_code": code, "expires_in": int(codeLife / time.Second)})
	case errors.As(err, &refusal) && needsNewCode(refusal.Code):
		answer.Error(w, http.StatusBadRequest, int(refusal.Code), "oauth: WeChat refused the code: call wx.login again")
	default:
		answer.Public(w, r, "oauth: not logged in", err)
	}
}

const (
	maxBody = 4 << 10 // bytes of a request body
	maxCode = 512     // bytes of a code from WeChat
)

// needsNewCode reports whether WeChat refused a code, so that the user must get a new one.
func needsNewCode(c wechat.Code) bool {
	return c == wechat.ErrInvalidCode || c == wechat.ErrCodeUsed || c == errCodeExpired
}
