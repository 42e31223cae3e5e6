package platform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"time"

	"github.com/wetoken/wetoken/internal/redact"
	"github.com/wetoken/wetoken/internal/wirejson"
)

// Account is an account that has authorized the platform. It prints as (redacted).
type Account struct {
	AppID        string
	RefreshToken string // empty where WeChat does not tell it
	Mini         bool   // a mini program; only [Platform.Account] finds out
	Name         string // 昵称
	UserName     string // gh_…
	Principal    string // 主体
	Permissions  []int  // 权限集, by WeChat's numbers

	redacted
}

// redacted keeps the secrets of a struct out of printed text.
type redacted = redact.Struct

const (
	codeLife  = time.Hour
	codeWait  = 3 * time.Second // for another process that exchanges the same code
	codePause = 100 * time.Millisecond
	maxCode   = 1024
	pageSize  = 500
)

// funcInfo are the permissions in an answer of WeChat's.
type funcInfo []struct {
	Category struct {
		ID int `json:"id"`
	} `json:"funcscope_category"`
}

func (f funcInfo) ids() (list []int) {
	for _, one := range f {
		list = append(list, one.Category.ID)
	}
	return list
}

type authorizationInfo struct {
	AppID        string   `json:"authorizer_appid"`
	RefreshToken string   `json:"authorizer_refresh_token"`
	Functions    funcInfo `json:"func_info"`
}

func (i authorizationInfo) account() Account {
	return Account{AppID: i.AppID, RefreshToken: i.RefreshToken, Permissions: i.Functions.ids()}
}

// Authorize exchanges an authorization code (授权码), keeps the refresh token of its account, and returns the account. The code comes
// with the browser that returns from the page, and with the notices authorized and updateauthorized: both may be handed in, one
// after the other or at once, also to different processes. at is the CreateTime of the notice, or zero for a browser.
func (p *Platform) Authorize(ctx context.Context, code string, at time.Time) (Account, error) {
	a, err := p.authorize(ctx, code, at)
	return a, p.wrapError(err)
}

func (p *Platform) authorize(ctx context.Context, code string, at time.Time) (a Account, err error) {
	if code == "" || len(code) > maxCode {
		return a, errors.New("authorize: the code is missing or too long")
	}
	if a, ok, err := p.exchanged(ctx, code); ok || err != nil {
		return a, err
	}
	var answer struct {
		Info authorizationInfo `json:"authorization_info"`
	}
	err = p.call(ctx, "api_query_auth", map[string]any{"authorization_code": code}, &answer)
	if errors.Is(err, errInvalidCode) {
		return p.waitForExchange(ctx, code, err)
	}
	if err != nil {
		return a, err
	}
	a = answer.Info.account()
	if a.AppID == "" || len(a.AppID) > maxAppID || a.RefreshToken == "" {
		return a, errors.New("authorize: WeChat's answer has no account, or no refresh token")
	}
	if at.IsZero() {
		at = recently()
	}
	if err := p.save(ctx, a.AppID, issued{refreshToken: a.RefreshToken, at: at}); err != nil {
		return a, err
	}
	if err := p.store().Set(ctx, p.codeKey(code), []byte(a.AppID), codeLife); err != nil && p.OnError != nil {
		p.OnError(ctx, p.wrapError(err)) // WeChat then decides about the same code
	}
	return a, nil
}

func (p *Platform) codeKey(code string) string {
	sum := sha256.Sum256([]byte(code))
	return p.key("code/" + hex.EncodeToString(sum[:16]))
}

// exchanged returns the account of a code that was exchanged before.
func (p *Platform) exchanged(ctx context.Context, code string) (a Account, ok bool, err error) {
	appID, ok, err := p.store().Get(ctx, p.codeKey(code))
	if err != nil || !ok || len(appID) > maxAppID {
		return a, false, nil // WeChat decides
	}
	ok, err = p.Has(ctx, string(appID))
	return Account{AppID: string(appID)}, ok, err
}

// waitForExchange returns the account of a code that another request has just exchanged, or cause.
func (p *Platform) waitForExchange(ctx context.Context, code string, cause error) (Account, error) {
	for until := time.Now().Add(codeWait); ; {
		if a, ok, err := p.exchanged(ctx, code); ok || err != nil {
			return a, err
		}
		select {
		case <-ctx.Done():
			return Account{}, cause
		case <-time.After(codePause):
		}
		if time.Now().After(until) {
			return Account{}, cause
		}
	}
}

// Account returns what WeChat knows about an account (获取授权账号详情). 61003 reports one that has not authorized the platform.
func (p *Platform) Account(ctx context.Context, appID string) (a Account, err error) {
	var answer struct {
		Account struct {
			Name      wirejson.Text  `json:"nick_name"`
			UserName  string         `json:"user_name"`
			Principal wirejson.Text  `json:"principal_name"`
			Mini      map[string]any `json:"MiniProgramInfo"`
		} `json:"authorizer_info"`
		Info authorizationInfo `json:"authorization_info"`
	}
	if err := p.call(ctx, "api_get_authorizer_info", map[string]any{"authorizer_appid": appID}, &answer); err != nil {
		return a, p.wrapError(err)
	}
	a = answer.Info.account()
	a.AppID = appID
	a.Mini, a.Name, a.UserName, a.Principal = answer.Account.Mini != nil, string(answer.Account.Name), answer.Account.UserName, string(answer.Account.Principal)
	return a, nil
}

// Accounts yields the accounts that have authorized the platform (拉取所有已授权的账号信息), 500 at a call. Of an Account it has AppID and,
// if WeChat tells it, RefreshToken.
func (p *Platform) Accounts(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for offset := 0; ; {
			var answer struct {
				Total wirejson.Int `json:"total_count"`
				List  []struct {
					AppID        string `json:"authorizer_appid"`
					RefreshToken string `json:"refresh_token"`
				} `json:"list"`
			}
			if err := p.call(ctx, "api_get_authorizer_list", map[string]any{"offset": offset, "count": pageSize}, &answer); err != nil {
				yield(Account{}, p.wrapError(err))
				return
			}
			for _, one := range answer.List {
				if !yield(Account{AppID: one.AppID, RefreshToken: one.RefreshToken}, nil) {
					return
				}
			}
			if offset += len(answer.List); len(answer.List) == 0 || offset >= int(answer.Total) {
				return
			}
		}
	}
}
