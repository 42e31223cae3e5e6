package platform

import (
	"cmp"
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
	Other        string `json:"other,omitempty"` // one that was written or issued at the same time: either may be the latest
	At           int64  `json:"at"`              // Unix seconds at which the account authorized the platform
}

const (
	maxRefresh = 1024 // bytes of a refresh token
	maxAppID   = 64
	fetchTries = 3 // while others change the authorization
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
	if len(raw) > maxRecord || json.Unmarshal(raw, a) != nil || a.RefreshToken == "" || max(len(a.RefreshToken), len(a.Other)) > maxRefresh {
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
	for range fetchTries {
		if c, err = p.tryFetchAuthorizer(ctx, appID); !errors.Is(err, errChanged) {
			break
		}
	}
	return c, err
}

func (p *Platform) tryFetchAuthorizer(ctx context.Context, appID string) (c wechat.Credential, err error) {
	if err := p.saveUnsaved(ctx, appID); err != nil {
		return c, err
	}
	kept, _, err := p.readAuthorizer(ctx, appID)
	if err != nil {
		return c, err
	}
	if kept == nil {
		return c, errNoRefreshToken
	}
	c, err = p.refresh(ctx, appID, kept.RefreshToken)
	if errors.Is(err, errInvalidRefresh) && kept.Other != "" {
		c, err = p.refresh(ctx, appID, kept.Other)
	}
	if !errors.Is(err, errInvalidRefresh) {
		return c, err
	}
	latest, failed := p.latestRefreshToken(ctx, appID, *kept)
	if failed != nil {
		return c, fmt.Errorf("%w; read the refresh token from WeChat: %w", err, failed)
	}
	return p.refresh(ctx, appID, latest)
}

var errNoRefreshToken = &wechat.Error{Op: "api_authorizer_token", Code: wechat.ErrNotAuthorized, Msg: "the platform has no refresh token of this account"}

// refresh gets an access token, and keeps the refresh token that comes with it before it returns. An access token of an authorization
// that has changed meanwhile is not returned.
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
	if err := p.save(ctx, appID, issued{refreshToken: cmp.Or(answer.RefreshToken, refreshToken), by: refreshToken}); err != nil {
		return wechat.Credential{}, err
	}
	return credential(answer.Token, answer.ExpiresIn, start)
}

// latestRefreshToken returns another refresh token than those refused: one that another process has written, or the one that WeChat knows.
func (p *Platform) latestRefreshToken(ctx context.Context, appID string, refused authorization) (string, error) {
	isRefused := func(refreshToken string) bool {
		return refreshToken == refused.RefreshToken || refreshToken == refused.Other
	}
	kept, _, err := p.readAuthorizer(ctx, appID)
	if err != nil {
		return "", err
	}
	if kept == nil {
		return "", errChanged
	}
	if !isRefused(kept.RefreshToken) {
		return kept.RefreshToken, nil
	}
	latest, err := p.askRefreshToken(ctx, appID)
	if err != nil {
		return "", err
	}
	if latest == "" || isRefused(latest) {
		return "", errors.New("WeChat does not tell another one: have the account's administrator authorize the platform again")
	}
	return latest, p.recovered(ctx, appID, issued{refreshToken: latest, by: kept.RefreshToken})
}

// recovered keeps a refresh token that was read from WeChat.
func (p *Platform) recovered(ctx context.Context, appID string, t issued) error {
	if err := p.save(ctx, appID, t); err != nil {
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
		err = p.recovered(ctx, appID, issued{refreshToken: latest, at: recently()})
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

// issued is a refresh token that WeChat has issued, and Records may not have taken.
type issued struct {
	refreshToken string
	by           string    // the refresh token that it follows; empty for that of an authorization
	at           time.Time // of the authorization; zero with by

	redacted
}

// recently returns the instant of an authorization that WeChat reports without one. WeChat's clock may be behind.
func recently() time.Time { return time.Now().Add(-time.Minute) }

// save keeps a refresh token that WeChat has issued. If Records fail, this process keeps it until they take it.
func (p *Platform) save(ctx context.Context, appID string, t issued) error {
	if len(t.refreshToken) > maxRefresh {
		return errors.New("WeChat's refresh token is too long")
	}
	var err error
	for try, pause := 0, firstPause; try < saveTries; try, pause = try+1, 4*pause {
		var done bool
		if done, err = p.trySave(ctx, appID, t); done {
			return err
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
	p.unsaved.Store(appID, t)
	return renew.Transient(fmt.Errorf("save the refresh token: %w", err))
}

var errChanged = errors.New("the authorization has changed while the token was refreshed")

// trySave writes a refresh token. done without an error reports that Records have it; with one, that it must not be used: the account has
// revoked its authorization since, or Records have another refresh token, which may be later or not, so that both are kept.
func (p *Platform) trySave(ctx context.Context, appID string, t issued) (done bool, err error) {
	kept, raw, err := p.readAuthorizer(ctx, appID)
	if err != nil {
		return false, err
	}
	if t.by != "" && kept == nil {
		return true, errNoRefreshToken
	}
	if kept == nil {
		kept = new(authorization)
	}
	next := authorization{RefreshToken: t.refreshToken, At: kept.At}
	switch {
	case t.by == "":
		next.At = max(kept.At, t.at.Unix())
		if kept.RefreshToken != t.refreshToken {
			next.Other = kept.RefreshToken
		}
	case kept.RefreshToken == t.refreshToken:
		return true, nil
	case kept.RefreshToken != t.by && kept.Other != t.by:
		next.RefreshToken, next.Other = kept.RefreshToken, t.refreshToken
		err = renew.Transient(errChanged)
	}
	done, failed := p.swap(ctx, p.authorizerKey(appID), raw, next)
	if failed != nil || !done {
		return false, failed
	}
	return true, err
}

// saveUnsaved writes the refresh token that Records did not take before.
func (p *Platform) saveUnsaved(ctx context.Context, appID string) error {
	v, ok := p.unsaved.Load(appID)
	if !ok {
		return nil
	}
	done, err := p.trySave(ctx, appID, v.(issued))
	if done {
		p.unsaved.CompareAndDelete(appID, v)
		return nil // what Records have is refreshed
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
