// Package token keeps access tokens (接口调用凭证) valid: one for each app, fetched once for a whole cluster, renewed before
// it ends, and replaced when WeChat refuses it.
//
//	tokens := &token.Manager{AppID: id, Secret: secret, Store: s}
//	tok, err := tokens.Token(ctx)
//
// A [Manager] has the secret and keeps the token. A [Handler] serves the token to other programs over HTTP, and a
// [Remote] gets it there. Manager and Remote are a wechat.TokenSource.
//
// # Several processes
//
// Processes with the same Store share one token: one of them fetches it, and the others find it in Store within
// seconds. Without a shared Store, processes should use a Remote, since with Classic each fetch ends the token of the
// others. If Store cannot be reached, each process serves the token it holds, and fetches a missing one from
// stable_token.
//
// # Errors
//
// An error of Token or Renew wraps the *wechat.Error with which WeChat refused, or the reason why WeChat could not be
// reached. Compare it by code: errors.Is(err, wechat.ErrInvalidIP). [Manager.Retry] fetches again at once after the
// cause was fixed.
//
// # Rotating secrets
//
// WeChat ends the old AppSecret when it is reset in the console. Prepare the reset by setting NextSecret; without it,
// restart the processes with the new Secret. A process with the old one only serves the token in Store while it is valid, and returns wechat.ErrInvalidSecret when it must fetch. In
// WeCom the key in Store depends on Secret, so that the first process with a new one fetches a token.
package token

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/internal/redact"
	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/internal/secret"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Errors that [Manager.Renew] wraps. [Remote.Renew] wraps ErrRationed, or the error of its server.
var (
	// ErrRationed reports that only a forced refresh would replace the refused token, and that its ration is used up:
	// 20 a day for an app, 10 for one caller, and 31 seconds between two.
	ErrRationed = renew.ErrRationed

	// ErrStillRefused reports that WeChat returns the refused token as the current one. If the code of the refusal is
	// 40001, the token is probably another app's.
	ErrStillRefused = renew.ErrStillRefused
)

// Manager keeps the token of one app: an official account, a mini program or WeCom. It starts no goroutine and needs no
// Close. Its methods are safe for concurrent use. Do not change its fields after the first call. It prints as
// (redacted).
//
// A token is served from memory until it is due, 1 to 5 minutes before its end. The read that finds it due returns the
// old token and starts the renewal, which one process of the cluster does. If WeChat cannot be reached, the old token
// is served until 4 seconds before its end (in WeCom until its end), and the fetch is repeated after 2 seconds,
// doubling to 20. If WeChat refuses for a reason that a person must fix, the fetch is repeated after a minute, doubling
// to ten, and reads without a valid token return the refusal meanwhile.
type Manager struct {
	AppID  string // WeCom: the corp id
	Secret string

	// NextSecret is tried when WeChat refuses Secret as wrong, and is used from then on. Set it before the secret is reset in
	// WeChat's console, so that no fetch fails; set Secret to it afterwards. OnError is called when it comes into use. Default: none.
	NextSecret string

	// Kind is the kind of the app: an official account (公众号), a mini program (小程序) or WeCom (企业微信). Default:
	// wechat.Official. A wechat.Authorized app is one that has authorized a third-party platform (第三方平台): see Fetch. For wechat.Work the token comes from WeCom's gettoken, which returns the same token until it
	// ends: https://developer.work.weixin.qq.com/document/path/91039 (企业微信). For the other kinds see Classic. A
	// wechat.Website has no token.
	Kind wechat.Kind

	// PlatformID and Fetch are for a wechat.Authorized app: the appid of the third-party platform that it has authorized, and the
	// method Fetch of its platform.Authorizer, in place of Secret. Fetch is called under a lease by one process at a time, and each
	// call ends the token before within 5 minutes. Such tokens are renewed in the last 60 to 20 minutes, spread evenly over the apps of
	// a platform.
	PlatformID string
	Fetch      func(context.Context) (wechat.Credential, error)

	// Classic fetches the token from cgi-bin/token. Each call makes a new token and ends the one before within 5
	// minutes, so no other program may call cgi-bin/token for the app. WeCom has no such choice.
	// https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken (接口调用凭据)
	//
	// By default the token comes from stable_token, which returns the same token to all callers until 5 minutes before
	// its end, and does not affect tokens of cgi-bin/token.
	// https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken (稳定版接口调用凭证)
	Classic bool

	// Store is shared by all processes that use the app. Default: a store of this Manager alone.
	Store store.Store

	// Client has the BaseURL and HTTP client for WeChat's API. Default: WeChat's own address.
	Client *wechat.Client

	// OnError is called on each failed fetch or renewal; a repeated failure at most once a minute. Default:
	// slog.Default.
	OnError func(context.Context, error)

	redacted
	copy    atomic.Pointer[renew.Copy]
	secrets secret.Choice
}

// redacted keeps the secret of a struct out of printed text.
type redacted = redact.Struct

var _ wechat.TokenSource = (*Manager)(nil)

// Token returns a valid token. A read from memory takes no lock and does not allocate.
//
// An error wraps the *wechat.Error with which WeChat refused, or the reason why WeChat could not be reached.
func (m *Manager) Token(ctx context.Context) (wechat.Credential, error) {
	kept := m.openCopy()
	if warm := kept.Warm(); warm != nil {
		return *warm, nil
	}
	c, err := kept.Get(ctx)
	if err != nil {
		return c, m.wrapError(err)
	}
	return c, nil
}

// Renew returns a token other than refused, to which WeChat has just answered 40001, 40014 or 42001. Concurrent calls
// cause one renewal. If refused is not the current token, Renew returns the current one without a renewal.
// wechat.Client calls it.
func (m *Manager) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	c, err := m.openCopy().Renew(ctx, refused)
	if err != nil {
		return c, m.wrapError(err)
	}
	return c, nil
}

// Run renews the token before its end, until ctx ends, and returns the cause. It does background work; it does not
// listen. Without Run, the token is renewed when it is read.
func (m *Manager) Run(ctx context.Context) error { return m.openCopy().Run(ctx) }

// Refresh renews the token if it is due, waits for the result, and returns when it is due next. It is for programs that
// keep the tokens of many apps with a few goroutines.
func (m *Manager) Refresh(ctx context.Context) (due time.Time, err error) {
	if due, err = m.openCopy().Refresh(ctx); err != nil {
		err = m.wrapError(err)
	}
	return due, err
}

// Retry forgets why WeChat refused the token, which is remembered for up to ten minutes, and fetches again at once.
// Call it when the cause was fixed in WeChat's console. A token that is not due is not fetched again. Other processes
// find the new token in Store.
func (m *Manager) Retry(ctx context.Context) error {
	if err := m.openCopy().Retry(ctx); err != nil {
		return m.wrapError(err)
	}
	return nil
}

// Forget removes the token from Store, such as for an app that is no longer used. WeChat accepts the token until its end. A Manager
// that holds the token still serves it.
func (m *Manager) Forget(ctx context.Context) error {
	if m.Store == nil {
		return nil
	}
	if err := m.Store.Delete(ctx, m.storeKey()); err != nil {
		return m.wrapError(fmt.Errorf("forget: %w", err))
	}
	return nil
}

// Look returns the token in Store without a call to WeChat, such as for a page that shows the stored tokens. ok is false if Store
// has no token, or one that has ended.
func (m *Manager) Look(ctx context.Context) (c wechat.Credential, ok bool, err error) {
	if m.Store == nil {
		return c, false, nil
	}
	if c, ok, err = m.newKeeper().Look(ctx); err != nil {
		err = m.wrapError(err)
	}
	return c, ok, err
}

// WithCaller returns a context for a [Handler] or for [Manager.Renew] with the name of the caller that causes a
// renewal. Each caller has its own ration of forced refreshes, so that one cannot use up all of them: see
// [ErrRationed]. A Guard calls WithCaller with the caller's name, of up to 200 bytes. The name becomes a part of a key
// in Store.
func WithCaller(ctx context.Context, name string) context.Context { return renew.WithCaller(ctx, name) }

func (m *Manager) wrapError(err error) error { return fmt.Errorf("token: %s: %w", m.AppID, err) }

func (m *Manager) openCopy() *renew.Copy {
	if c := m.copy.Load(); c != nil {
		return c
	}
	m.copy.CompareAndSwap(nil, m.newKeeper().Copy())
	return m.copy.Load()
}

func (m *Manager) newKeeper() *renew.Keeper {
	k := &renew.Keeper{Store: m.Store, Key: m.storeKey(), OnError: m.OnError}
	if k.Store == nil {
		k.Store = new(store.Memory)
	}
	err := m.checkKind()
	switch {
	case err != nil: // Store may have the token of another kind of app with this AppID
		k.Store = new(store.Memory)
		k.Fetch = func(context.Context) (wechat.Credential, error) { return wechat.Credential{}, err }
	case m.Kind == wechat.Work:
		k.Fetch = m.fetchWork
	case m.Kind == wechat.Authorized:
		k.Fetch, k.Overlaps, k.Supersedes, k.Early = m.Fetch, true, true, true
	case m.Classic:
		k.Fetch, k.Alone, k.Overlaps, k.Supersedes = m.fetchClassic, m.fetchStable, true, true
	default:
		k.Fetch, k.Force, k.Overlaps = m.fetchStable, m.forceStable, true
	}
	return k
}

// storeKey returns the key of the token in the store. A corp has a token for each secret, and some secrets belong to no
// application, so the key has a hash of the secret.
func (m *Manager) storeKey() string {
	what := "stable"
	switch {
	case m.Kind == wechat.Work:
		sum := sha256.Sum256([]byte(m.AppID + "\n" + m.Secret))
		what = hex.EncodeToString(sum[:8])
	case m.Kind == wechat.Authorized:
		what = "by/" + m.PlatformID
	case m.Classic:
		what = "classic"
	}
	return "token/" + m.AppID + "/" + what
}

// checkKind returns an error if apps of this Kind have no token, or no choice of Classic.
func (m *Manager) checkKind() error {
	if err := field.CheckOneOf(cmp.Or(m.Kind, wechat.Official), wechat.Official, wechat.Mini, wechat.Work, wechat.Authorized); err != nil {
		return fmt.Errorf("Manager.Kind %w", err)
	}
	if m.Kind == wechat.Authorized && (m.AppID == "" || m.PlatformID == "" || m.Fetch == nil) {
		return errors.New("Manager.AppID, PlatformID and Fetch must be set for kind authorized")
	}
	if m.Kind == wechat.Authorized && m.Classic {
		return errors.New("Manager.Classic is true: an authorized app has one kind of token only: leave it out")
	}
	if m.Kind == wechat.Work && m.Classic {
		return errors.New("Manager.Classic is true: WeCom has one kind of token only: leave it out")
	}
	return nil
}
