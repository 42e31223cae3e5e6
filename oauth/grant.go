package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

// ErrNoGrant is the error of a user without a valid grant: the user must log in again.
var ErrNoGrant = errors.New("no valid grant of this user: log in again")

// Grant is the access that a user granted to the app, with its tokens. It prints without them.
type Grant struct {
	OpenID       string    `json:"openid"`
	UnionID      string    `json:"unionid,omitempty"`
	Scope        string    `json:"scope"`
	AccessToken  string    `json:"access_token"`  // of this user, not the app's access token
	RefreshToken string    `json:"refresh_token"` // valid for 30 days after the login
	Expires      time.Time `json:"expires"`       // end of AccessToken, after 2 hours

	// Snapshot reports that the user views a snapshot of the page (快照页). WeChat makes up the openid and unionid of such
	// a user, who must not be logged in.
	Snapshot bool `json:"-"`

	UserID         string `json:"-"` // WeCom: a member; WeCom gives no tokens
	ExternalUserID string `json:"-"` // WeCom: a contact of a member
	UserTicket     string `json:"-"` // WeCom, for UserInfo: valid for half an hour
}

// String names the user and the scope, without the tokens.
func (g Grant) String() string {
	if g.UserID != "" {
		return "grant of " + g.UserID
	}
	return "grant of " + g.OpenID + " (" + g.Scope + ") until " + g.Expires.Format(time.RFC3339)
}

// Format keeps every verb of package fmt from printing the tokens.
func (g Grant) Format(s fmt.State, _ rune) { fmt.Fprint(s, g.String()) }

// LogValue keeps the tokens out of structured logs.
func (g Grant) LogValue() slog.Value { return slog.StringValue(g.String()) }

// MarshalText keeps the tokens out of JSON.
func (g Grant) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// storedGrant is a Grant as Records store it, with its tokens.
type storedGrant Grant

// user returns the fields of the user that are in the grant.
func (g Grant) user() User {
	return User{OpenID: g.OpenID, UnionID: g.UnionID, UserID: g.UserID, ExternalUserID: g.ExternalUserID}
}

// Exchange returns the grant for the code that a browser returned with. A code works once, within 5 minutes (website:
// 10). A grant beyond snsapi_base is stored in Records before Exchange returns it; see [Login.Grant].
func (l *Login) Exchange(ctx context.Context, code string) (Grant, error) {
	if err := l.checkFields(); err != nil {
		return Grant{}, fmt.Errorf("oauth: exchange code: %w", err)
	}
	if l.kind() == wechat.Work {
		return l.exchangeWorkCode(ctx, code)
	}
	var g Grant
	if l.PlatformID != "" {
		return l.exchangeByPlatform(ctx, code)
	}
	_, err := l.secrets.Call(l.Secret, l.NextSecret, refusesSecret, func(secret string) (err error) {
		query := url.Values{"appid": {l.AppID}, "secret": {secret}, "code": {code}, "grant_type": {"authorization_code"}}
		g, err = l.requestGrant(ctx, "/sns/oauth2/access_token", query)
		return err
	})
	return l.keepGrant(ctx, g, err)
}

// exchangeByPlatform is Exchange for an account that has authorized a platform.
func (l *Login) exchangeByPlatform(ctx context.Context, code string) (Grant, error) {
	query := url.Values{"appid": {l.AppID}, "code": {code}, "grant_type": {"authorization_code"}}
	g, err := l.requestGrant(ctx, "/sns/oauth2/component/access_token", query)
	return l.keepGrant(ctx, g, err)
}

// keepGrant stores a grant that is of use after the login.
func (l *Login) keepGrant(ctx context.Context, g Grant, err error) (Grant, error) {
	if err == nil && g.isLasting() {
		err = l.saveGrant(ctx, g)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("oauth: exchange code: %w", err)
	}
	return g, nil
}

// refusesSecret reports whether WeChat refused a code because the secret is wrong, which does not use it up.
func refusesSecret(err error) bool { return errors.Is(err, wechat.ErrInvalidSecret) }

// Refresh extends a grant by 2 hours, with the same access token or a new one. WeChat allows it for 30 days after the
// login. A grant that was stored is stored again before Refresh returns it.
func (l *Login) Refresh(ctx context.Context, g Grant) (Grant, error) {
	if g.RefreshToken == "" {
		return Grant{}, fmt.Errorf("oauth: refresh: the grant has no refresh token: %w", ErrNoGrant)
	}
	query := url.Values{"appid": {l.AppID}, "grant_type": {"refresh_token"}, "refresh_token": {g.RefreshToken}}
	path := "/sns/oauth2/refresh_token"
	if l.PlatformID != "" {
		path = "/sns/oauth2/component/refresh_token"
	}
	fresh, err := l.requestGrant(ctx, path, query)
	switch {
	case errors.Is(err, errInvalidRefreshToken), errors.Is(err, errRefreshTokenExpired),
		errors.Is(err, wechat.ErrRevoked):
		err = fmt.Errorf("%w: %w", ErrNoGrant, err)
	case err == nil && fresh.OpenID != g.OpenID:
		err = errors.New("WeChat's answer is the grant of another user")
	case err == nil:
		fresh.UnionID, fresh.Snapshot = g.UnionID, g.Snapshot // which the answer lacks
		if fresh.isLasting() {
			fresh, err = l.replaceGrant(ctx, g, fresh)
		}
	}
	if err != nil {
		return Grant{}, fmt.Errorf("oauth: refresh: %w", err)
	}
	return fresh, nil
}

// UserInfo returns the user of a grant: nickname, picture, unionid (拉取用户信息). It needs a scope beyond snsapi_base. lang
// is the language of the names of places: zh_CN (the default), zh_TW or en.
func (l *Login) UserInfo(ctx context.Context, g Grant, lang string) (User, error) {
	if l.kind() == wechat.Work {
		return l.fetchWorkUser(ctx, g)
	}
	var a userAnswer
	query := url.Values{"access_token": {g.AccessToken}, "openid": {g.OpenID}, "lang": {knownLanguage(lang)}}
	err := l.api().Get(ctx, "/sns/userinfo", query, &a)
	u := a.user()
	if err == nil && u.OpenID != g.OpenID {
		err = errors.New("WeChat's answer is another user")
	}
	if err != nil {
		return User{}, fmt.Errorf("oauth: user info: %w", err)
	}
	if u.UnionID == "" {
		u.UnionID = g.UnionID
	}
	return u, nil
}

// Valid returns nil if WeChat accepts the grant's access token (检验授权凭证), else its refusal.
func (l *Login) Valid(ctx context.Context, g Grant) error {
	err := l.api().Get(ctx, "/sns/auth", url.Values{"access_token": {g.AccessToken}, "openid": {g.OpenID}}, nil)
	if err != nil {
		return fmt.Errorf("oauth: check grant: %w", err)
	}
	return nil
}

// userAnswer is a User as WeChat sends it: some numbers are text, and some text is a number.
type userAnswer struct {
	User
	Sex    wirejson.Int  `json:"sex"`
	Gender wirejson.Text `json:"gender"`
	Mobile wirejson.Text `json:"mobile"`
}

func (a *userAnswer) user() User {
	u := a.User
	u.Sex, u.Gender, u.Mobile = int(a.Sex), string(a.Gender), string(a.Mobile)
	return u
}

// requestGrant requests a grant from WeChat. The life of the grant is counted from before the call.
func (l *Login) requestGrant(ctx context.Context, path string, query url.Values) (Grant, error) {
	var a struct {
		AccessToken  string       `json:"access_token"`
		ExpiresIn    wirejson.Int `json:"expires_in"`
		RefreshToken string       `json:"refresh_token"`
		OpenID       string       `json:"openid"`
		UnionID      string       `json:"unionid"`
		Scope        string       `json:"scope"`
		Snapshot     wirejson.Int `json:"is_snapshotuser"`
	}
	start := time.Now()
	var err error
	if l.PlatformID != "" {
		err = getByPlatform(ctx, l.api(), l.PlatformID, l.PlatformTokens, path, query, &a)
	} else {
		err = l.api().Get(ctx, path, query, &a)
	}
	if err != nil {
		return Grant{}, err
	}
	if a.OpenID == "" || len(a.OpenID) > maxOpenID {
		return Grant{}, errors.New("WeChat's answer has no openid")
	}
	life := time.Duration(min(max(a.ExpiresIn, 0), 24*60*60)) * time.Second
	return Grant{
		OpenID: a.OpenID, UnionID: a.UnionID, Scope: a.Scope, Snapshot: a.Snapshot != 0,
		AccessToken: a.AccessToken, RefreshToken: a.RefreshToken, Expires: start.Add(life),
	}, nil
}

// maxOpenID is the greatest length of an openid that we accept. WeChat's have 28 characters.
const maxOpenID = 128

// isLasting reports whether a grant is of use after the login.
func (g Grant) isLasting() bool {
	return !g.Snapshot && g.RefreshToken != "" && strings.Trim(strings.ReplaceAll(g.Scope, ScopeBase, ""), ", ") != ""
}

func (l *Login) api() *wechat.Client {
	if l.kind() == wechat.Work {
		return l.Client.With(l.Tokens, wechat.WorkURL)
	}
	return l.Client.With(nil, wechat.APIURL)
}

func knownLanguage(lang string) string {
	if lang == zhTW || lang == en {
		return lang
	}
	return zhCN
}
