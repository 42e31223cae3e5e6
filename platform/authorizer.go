package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

// Authorizer is the authorization that an account gave to a Platform.
type Authorizer struct {
	platform *Platform
	appID    string
}

// Authorizer returns the authorization of the account with an appid. It may not exist.
func (p *Platform) Authorizer(appID string) *Authorizer { return &Authorizer{p, appID} }

// authorization is the record of an authorization.
type authorization struct {
	RefreshToken string `json:"refresh_token"`
	At           int64  `json:"at"` // Unix seconds at which the account authorized the platform
}

const (
	maxRefresh = 1024 // bytes of a refresh token
	maxAppID   = 64
	saveTries  = 4 // to write a refresh token that has just been issued
	firstPause = 20 * time.Millisecond
)

func (p *Platform) authorizerKey(appID string) string { return p.key("authorizer/" + appID) }

// readAuthorizer returns an authorization, or nil, and its record. An invalid one counts as none, and is replaced.
func (p *Platform) readAuthorizer(ctx context.Context, appID string) (a *authorization, raw []byte, err error) {
	if appID == "" || len(appID) > maxAppID {
		return nil, nil, errors.New("invalid appid of an account")
	}
	raw, ok, err := p.get(ctx, p.authorizerKey(appID))
	if err != nil || !ok {
		return nil, nil, err
	}
	a = new(authorization)
	if len(raw) > maxRecord || json.Unmarshal(raw, a) != nil || a.RefreshToken == "" || len(a.RefreshToken) > maxRefresh {
		return nil, raw, nil
	}
	return a, raw, nil
}

// Fetch gets an access token of the account by its refresh token, for token.Manager. WeChat's 61003 reports that the account has
// not authorized the platform, or has revoked that.
func (a *Authorizer) Fetch(ctx context.Context) (wechat.Credential, error) {
	c, err := a.platform.fetchAuthorizer(ctx, a.appID)
	if err != nil {
		return c, fmt.Errorf("platform: %s: %s: %w", a.platform.AppID, a.appID, err)
	}
	return c, nil
}

func (p *Platform) fetchAuthorizer(ctx context.Context, appID string) (c wechat.Credential, err error) {
	if err := p.saveUnsaved(ctx, appID); err != nil {
		return c, err
	}
	kept, _, err := p.readAuthorizer(ctx, appID)
	if err != nil {
		return c, err
	}
	if kept == nil {
		return c, &wechat.Error{Op: "api_authorizer_token", Code: wechat.ErrNotAuthorized, Msg: "the platform has no refresh token of this account"}
	}
	c, err = p.refresh(ctx, appID, kept.RefreshToken)
	if !errors.Is(err, errInvalidRefresh) {
		return c, err
	}
	latest, failed := p.latestRefreshToken(ctx, appID, kept.RefreshToken)
	if failed != nil {
		return c, fmt.Errorf("%w; read the refresh token from WeChat: %w", err, failed)
	}
	return p.refresh(ctx, appID, latest)
}

// refresh gets an access token, and keeps the refresh token that comes with it before it returns.
func (p *Platform) refresh(ctx context.Context, appID, refreshToken string) (c wechat.Credential, err error) {
	var answer struct {
		Token        string       `json:"authorizer_access_token"`
		ExpiresIn    wirejson.Int `json:"expires_in"`
		RefreshToken string       `json:"authorizer_refresh_token"`
	}
	start := time.Now()
	if err := p.call(ctx, "api_authorizer_token", map[string]any{"authorizer_appid": appID, "authorizer_refresh_token": refreshToken}, &answer); err != nil {
		return c, err
	}
	if answer.RefreshToken != "" && answer.RefreshToken != refreshToken {
		if err := p.save(ctx, appID, answer.RefreshToken, time.Time{}); err != nil {
			return c, err
		}
	}
	return credential(answer.Token, answer.ExpiresIn, start)
}

// latestRefreshToken returns another refresh token than refused: one that another process has written, or the one that WeChat knows.
func (p *Platform) latestRefreshToken(ctx context.Context, appID, refused string) (string, error) {
	kept, _, err := p.readAuthorizer(ctx, appID)
	if err != nil {
		return "", err
	}
	if kept != nil && kept.RefreshToken != refused {
		return kept.RefreshToken, nil
	}
	latest, err := p.askRefreshToken(ctx, appID)
	if err != nil {
		return "", err
	}
	if latest == "" || latest == refused {
		return "", errors.New("WeChat does not tell another one: have the account's administrator authorize the platform again")
	}
	return latest, p.recovered(ctx, appID, latest)
}

// recovered keeps a refresh token that was read from WeChat.
func (p *Platform) recovered(ctx context.Context, appID, refreshToken string) error {
	if err := p.save(ctx, appID, refreshToken, time.Time{}); err != nil {
		return err
	}
	if p.OnRecover != nil {
		p.OnRecover(ctx, appID)
	}
	return nil
}

// Recover keeps the refresh token of an account as WeChat knows it, such as after an exchange whose reply was lost.
func (p *Platform) Recover(ctx context.Context, appID string) error {
	latest, err := p.askRefreshToken(ctx, appID)
	if err == nil && latest == "" {
		err = errNotTold
	}
	if err == nil {
		err = p.recovered(ctx, appID, latest)
	}
	return p.wrapError(err)
}

// askRefreshToken returns the refresh token of an account as WeChat knows it, or "". WeChat tells it in the information about the
// account, in the list of accounts, or in neither.
func (p *Platform) askRefreshToken(ctx context.Context, appID string) (string, error) {
	info, err := p.Account(ctx, appID)
	if err != nil || info.RefreshToken != "" {
		return info.RefreshToken, err
	}
	for one, err := range p.Accounts(ctx) {
		if err != nil {
			return "", err
		}
		if one.AppID == appID {
			return one.RefreshToken, nil
		}
	}
	return "", nil
}

// save keeps a refresh token that WeChat has issued. If Records fail, this process keeps it until they take it. at is zero if the
// authorization is the same as before.
func (p *Platform) save(ctx context.Context, appID, refreshToken string, at time.Time) error {
	if len(refreshToken) > maxRefresh {
		return errors.New("WeChat's refresh token is too long")
	}
	var err error
	for try, pause := 0, firstPause; try < saveTries; try, pause = try+1, 4*pause {
		var done bool
		if done, err = p.trySave(ctx, appID, refreshToken, at); done {
			return nil
		}
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	if err == nil {
		err = errors.New("others keep changing the record")
	}
	p.unsaved.Store(appID, unsaved{refreshToken: refreshToken, at: at})
	return renew.Transient(fmt.Errorf("save the refresh token: %w", err))
}

// unsaved is a refresh token that Records did not take.
type unsaved struct {
	refreshToken string
	at           time.Time

	redacted
}

func (p *Platform) trySave(ctx context.Context, appID, refreshToken string, at time.Time) (done bool, err error) {
	kept, raw, err := p.readAuthorizer(ctx, appID)
	if err != nil {
		return false, err
	}
	next := authorization{RefreshToken: refreshToken, At: at.Unix()}
	if at.IsZero() {
		if next.At = 0; kept != nil {
			next.At = kept.At
		}
	}
	return p.swap(ctx, p.authorizerKey(appID), raw, next)
}

// saveUnsaved writes the refresh token that Records did not take before.
func (p *Platform) saveUnsaved(ctx context.Context, appID string) error {
	v, ok := p.unsaved.Load(appID)
	if !ok {
		return nil
	}
	u := v.(unsaved)
	done, err := p.trySave(ctx, appID, u.refreshToken, u.at)
	if done {
		p.unsaved.CompareAndDelete(appID, v)
	}
	if err != nil {
		return renew.Transient(fmt.Errorf("save the refresh token: %w", err))
	}
	return nil
}

// Revoke forgets an account that has revoked its authorization at an instant, the CreateTime of the notice. It reports false if the
// account has authorized the platform again since.
func (p *Platform) Revoke(ctx context.Context, appID string, at time.Time) (revoked bool, err error) {
	for range swapTries {
		kept, raw, err := p.readAuthorizer(ctx, appID)
		if err != nil {
			return false, p.wrapError(err)
		}
		if kept != nil && !at.IsZero() && at.Unix() < kept.At {
			return false, nil
		}
		p.unsaved.Delete(appID)
		if raw == nil {
			return true, nil
		}
		if done, err := p.swap(ctx, p.authorizerKey(appID), raw, nil); done || err != nil {
			return done, p.wrapError(err)
		}
	}
	return false, p.wrapError(errors.New("revoke: others keep changing the record"))
}

// Has reports whether Records have a refresh token of an account.
func (p *Platform) Has(ctx context.Context, appID string) (bool, error) {
	kept, _, err := p.readAuthorizer(ctx, appID)
	return kept != nil, p.wrapError(err)
}
