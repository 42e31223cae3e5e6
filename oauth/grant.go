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

// ErrNoGrant says that no grant of this user is kept, or none that lives: the user has to log in again.
var ErrNoGrant = errors.New("the user has not granted this, or no longer does")

// Grant is what a user has allowed the app, and the tokens for it. It prints without them.
type Grant struct {
	OpenID       string    `json:"openid"`
	UnionID      string    `json:"unionid,omitempty"`
	Scope        string    `json:"scope"`
	AccessToken  string    `json:"access_token"`  // this user's; no kin of the app's own token
	RefreshToken string    `json:"refresh_token"` // lives 30 days from the login on
	Expires      time.Time `json:"expires"`       // end of AccessToken, 2 hours on

	// Snapshot marks a user who only looks at the page's snapshot (快照页): openid and unionid are made up for the visit.
	// Such a user must not be logged in.
	Snapshot bool `json:"-"`

	UserID         string `json:"-"` // of WeCom, which gives no tokens: a member
	ExternalUserID string `json:"-"` // of WeCom: a member's contact
	UserTicket     string `json:"-"` // of WeCom, for UserInfo: lives half an hour
}

// String says whose grant it is, not what opens it.
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

// storedGrant is a Grant as Records hold it, with its tokens.
type storedGrant Grant

// user is what a grant alone says of the user.
func (g Grant) user() User {
	return User{OpenID: g.OpenID, UnionID: g.UnionID, UserID: g.UserID, ExternalUserID: g.ExternalUserID}
}

// Exchange turns the code that a browser came back with into a grant. A code works once, within 5 minutes (website: 10).
// A grant that goes beyond snsapi_base is kept in Records before Exchange returns it; see [Login.Grant].
func (l *Login) Exchange(ctx context.Context, code string) (Grant, error) {
	if err := l.checkFields(); err != nil {
		return Grant{}, fmt.Errorf("oauth: exchange code: %w", err)
	}
	if l.kind() == wechat.Work {
		return l.workExchange(ctx, code)
	}
	query := url.Values{"appid": {l.AppID}, "secret": {l.Secret}, "code": {code}, "grant_type": {"authorization_code"}}
	g, err := l.grant(ctx, "/sns/oauth2/access_token", query)
	if err == nil && g.kept() {
		err = l.keep(ctx, g)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("oauth: exchange code: %w", err)
	}
	return g, nil
}

// Refresh lengthens a grant by 2 hours, with the same access token or another one. WeChat does so for 30 days after the
// login. Where the grant is kept, the new one is kept before Refresh returns it.
func (l *Login) Refresh(ctx context.Context, g Grant) (Grant, error) {
	if g.RefreshToken == "" {
		return Grant{}, fmt.Errorf("oauth: refresh: the grant has no refresh token: %w", ErrNoGrant)
	}
	query := url.Values{"appid": {l.AppID}, "grant_type": {"refresh_token"}, "refresh_token": {g.RefreshToken}}
	fresh, err := l.grant(ctx, "/sns/oauth2/refresh_token", query)
	switch {
	case errors.Is(err, wechat.ErrInvalidRefreshToken), errors.Is(err, wechat.ErrRefreshTokenExpired),
		errors.Is(err, wechat.ErrRevoked):
		err = fmt.Errorf("%w: %w", ErrNoGrant, err)
	case err == nil && fresh.OpenID != g.OpenID:
		err = errors.New("WeChat answered the grant of another user")
	case err == nil:
		fresh.UnionID, fresh.Snapshot = g.UnionID, g.Snapshot // which this call does not give
		if fresh.kept() {
			fresh, err = l.replace(ctx, g, fresh)
		}
	}
	if err != nil {
		return Grant{}, fmt.Errorf("oauth: refresh: %w", err)
	}
	return fresh, nil
}

// UserInfo tells who granted: nickname, picture, unionid (拉取用户信息). It needs a scope beyond snsapi_base. lang, for
// names of places, is zh_CN (the default), zh_TW or en.
func (l *Login) UserInfo(ctx context.Context, g Grant, lang string) (User, error) {
	if l.kind() == wechat.Work {
		return l.workDetail(ctx, g)
	}
	var a userAnswer
	query := url.Values{"access_token": {g.AccessToken}, "openid": {g.OpenID}, "lang": {language(lang)}}
	err := l.api().Get(ctx, "/sns/userinfo", query, &a)
	u := a.user()
	if err == nil && u.OpenID != g.OpenID {
		err = errors.New("WeChat answered another user")
	}
	if err != nil {
		return User{}, fmt.Errorf("oauth: user info: %w", err)
	}
	if u.UnionID == "" {
		u.UnionID = g.UnionID
	}
	return u, nil
}

// Valid returns nil while WeChat takes the grant's access token (检验授权凭证), else its refusal.
func (l *Login) Valid(ctx context.Context, g Grant) error {
	err := l.api().Get(ctx, "/sns/auth", url.Values{"access_token": {g.AccessToken}, "openid": {g.OpenID}}, nil)
	if err != nil {
		return fmt.Errorf("oauth: check grant: %w", err)
	}
	return nil
}

// userAnswer is a User in an answer of WeChat, which writes some numbers as text and some text as numbers.
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

// grant asks WeChat for a grant. Its life is counted from before the call.
func (l *Login) grant(ctx context.Context, path string, query url.Values) (Grant, error) {
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
	if err := l.api().Get(ctx, path, query, &a); err != nil {
		return Grant{}, err
	}
	if a.OpenID == "" || len(a.OpenID) > maxOpenID {
		return Grant{}, errors.New("WeChat's answer holds no openid")
	}
	life := time.Duration(min(max(a.ExpiresIn, 0), 24*60*60)) * time.Second
	return Grant{
		OpenID: a.OpenID, UnionID: a.UnionID, Scope: a.Scope, Snapshot: a.Snapshot != 0,
		AccessToken: a.AccessToken, RefreshToken: a.RefreshToken, Expires: start.Add(life),
	}, nil
}

// maxOpenID is what no openid of WeChat's is longer than; it has 28 characters.
const maxOpenID = 128

// kept tells whether a grant is of use beyond the login itself.
func (g Grant) kept() bool {
	return !g.Snapshot && g.RefreshToken != "" && strings.Trim(strings.ReplaceAll(g.Scope, ScopeBase, ""), ", ") != ""
}

func (l *Login) api() *wechat.Client {
	if l.kind() == wechat.Work {
		return l.Client.With(l.Tokens, wechat.WorkURL)
	}
	return l.Client.With(nil, wechat.APIURL)
}

func language(lang string) string {
	if lang == zhTW || lang == en {
		return lang
	}
	return zhCN
}
