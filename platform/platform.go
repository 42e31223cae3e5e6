// Package platform runs a third-party platform (开放平台第三方平台): its component_access_token, and the authorizations of the
// accounts that let it act for them.
//
//	p := &platform.Platform{AppID: id, Secret: secret, Store: s, Records: db}
//	err := p.SaveTicket(ctx, ticket, at)                                        // of each component_verify_ticket
//	page, err := p.AuthorizeURL(ctx, platform.Page{RedirectURI: back})          // send the administrator of an account there
//	a, err := p.Authorize(ctx, code, time.Time{})                               // with the auth_code that comes back
//	tokens := &token.Manager{AppID: a.AppID, Kind: wechat.Authorized, PlatformID: id, Fetch: p.Authorizer(a.AppID).Fetch, Store: s}
//
// WeChat posts the tickets and the changes of authorizations to the platform's event URL; message.Receiver verifies and decrypts
// them, and event.ComponentVerifyTicket and event.Authorized have their fields.
//
// # What is kept where
//
// Records keep the tickets and the refresh token of each account, and nothing else can replace them: they must be durable, and
// sealed. Store keeps tokens and may be emptied at any time.
//
// A refresh token is written before an access token that came with it is used. WeChat may issue another one in a reply that is lost:
// the next refresh is then refused with 61023, and the refresh token is read from WeChat again; see OnRecover.
package platform

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/internal/secret"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// MPURL is the base of the pages on which accounts authorize a platform.
const MPURL = "https://mp.weixin.qq.com"

// ErrNoTicket is the error of a platform to which WeChat has sent no component_verify_ticket that is still good.
var ErrNoTicket = errors.New("no good component_verify_ticket: WeChat posts one to the platform's event URL every 10 minutes; " +
	"if none comes, check that URL, its token and key, or start the pushes by api_start_push_ticket (server platform start-push NAME)")

// Platform is a third-party platform. It is a wechat.TokenSource of its component_access_token. It starts no goroutine and needs no
// Close. Its methods are safe for concurrent use. Do not change its fields after the first call. It prints as (redacted).
type Platform struct {
	AppID  string // component_appid
	Secret string // component_appsecret

	// NextSecret is tried when WeChat refuses Secret as wrong, and is used from then on: see token.Manager. Default: none.
	NextSecret string

	Records store.Store // durable: tickets and refresh tokens. Default: Store
	Store   store.Store // shared and disposable: tokens. Default: a store of this Platform alone

	// Client has the BaseURL and HTTP client for WeChat's API. Default: WeChat's own address.
	Client *wechat.Client
	MPURL  string // base of the authorization pages; default MPURL of this package

	// OnError is called on each failed renewal; a repeated failure at most once a minute. Default: slog.Default.
	OnError func(context.Context, error)

	// OnRecover is called each time that a refresh token was read from WeChat again, because the one in Records was not the latest.
	OnRecover func(ctx context.Context, appID string)

	redacted
	once     sync.Once
	token    *renew.Copy
	preAuth  *renew.Copy
	ownStore store.Memory
	secrets  secret.Choice
	failed   atomic.Bool // the last component token was refused, or there was no ticket
	unsaved  sync.Map    // appid to the refresh token that Records did not take
}

var _ wechat.TokenSource = (*Platform)(nil)

func (p *Platform) init() {
	p.once.Do(func() {
		p.token = (&renew.Keeper{
			Store: p.store(), Key: "token/" + p.AppID + "/component", OnError: p.OnError,
			Fetch: p.fetchToken, Overlaps: true, Supersedes: true,
		}).Copy()
		p.preAuth = (&renew.Keeper{
			Store: p.store(), Key: p.key("preauth"), OnError: p.OnError, Fetch: p.fetchPreAuthCode, Overlaps: true,
		}).Copy()
	})
}

func (p *Platform) store() store.Store {
	if p.Store != nil {
		return p.Store
	}
	return &p.ownStore
}

func (p *Platform) records() store.Store {
	if p.Records != nil {
		return p.Records
	}
	return p.store()
}

// key returns a key of the platform in a store.
func (p *Platform) key(what string) string { return "platform/" + p.AppID + "/" + what }

func (p *Platform) wrapError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("platform: %s: %w", p.AppID, err)
}

// Token returns a valid component_access_token (令牌). An error wraps ErrNoTicket, the *wechat.Error with which WeChat refused, or
// the reason why WeChat could not be reached.
func (p *Platform) Token(ctx context.Context) (wechat.Credential, error) {
	p.init()
	c, err := p.token.Get(ctx)
	return c, p.wrapError(err)
}

// Renew returns a component_access_token other than refused. See token.Manager.Renew.
func (p *Platform) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	p.init()
	c, err := p.token.Renew(ctx, refused)
	return c, p.wrapError(err)
}

// Refresh renews the component_access_token if it is due, and returns when it is due next. See token.Manager.Refresh.
func (p *Platform) Refresh(ctx context.Context) (due time.Time, err error) {
	p.init()
	due, err = p.token.Refresh(ctx)
	return due, p.wrapError(err)
}

// Retry forgets why WeChat refused the component_access_token, and fetches one again at once. See token.Manager.Retry.
func (p *Platform) Retry(ctx context.Context) error {
	p.init()
	return p.wrapError(p.token.Retry(ctx))
}
