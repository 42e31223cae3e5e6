// Package token keeps access tokens (接口调用凭证) alive: one for each app, fetched once for a whole cluster, renewed
// before it ends, and replaced when WeChat refuses it.
//
//	tokens := &token.Manager{AppID: id, Secret: secret, Store: s}
//	tok, err := tokens.Token(ctx)
//
// A [Manager] holds the secret and keeps the token. A [Handler] serves it to other programs over HTTP, and a [Remote]
// there is the Manager's equal: both are a wechat.TokenSource.
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
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Errors that [Manager.Renew] wraps. [Remote.Renew] wraps ErrRationed, and else what its server says.
var (
	// ErrRationed says that only a forced refresh would replace the refused token, and that its ration is used up:
	// 20 a day for an app, 10 for one caller key, and 30 seconds between any two.
	ErrRationed = renew.ErrRationed

	// ErrStillRefused says that WeChat answers the refused token as the current one. Where it comes with a code such
	// as 40001, the token is probably another app's.
	ErrStillRefused = renew.ErrStillRefused
)

// Manager keeps the token of one app of an official account, a mini program or WeCom. It starts no goroutine and needs
// no end; its methods are safe for concurrent use, and its fields are not to be changed after the first. It prints as
// (redacted).
//
// A token is served from memory until it is due: 3 to 5 minutes before its end. The read that finds it due is served
// the old one and has it renewed behind itself, by one process of the cluster. When WeChat cannot be reached the old
// token is served until 4 seconds before its end (WeCom's until its end), and WeChat is asked again after 2 seconds,
// doubling to 20; when it refuses for a reason that a person must mend, after a minute, doubling to ten, and readers
// without a token are told that reason meanwhile. When Store cannot be reached each process serves what it holds, and
// fetches what it lacks from stable_token.
type Manager struct {
	AppID  string // the corp id of WeCom
	Secret string

	// Kind is that of the app: an official account (公众号), a mini program (小程序) or WeCom (企业微信). Default
	// wechat.Official. The token of a wechat.Work is got from WeCom's gettoken, which answers the same one until it ends:
	// https://developer.work.weixin.qq.com/document/path/91039 (企业微信). Those of the others depend on Classic. A
	// wechat.Website has no token.
	Kind wechat.Kind

	// Classic gets the token from cgi-bin/token, each call of which makes a new token and ends the one before within 5
	// minutes. Whoever else fetches that app's token this way must stop. WeCom has no such choice.
	// https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken (接口调用凭据)
	//
	// By default the token comes from stable_token, which answers the same one to all who ask until 5 minutes before its
	// end. It needs no care, and disturbs nobody who uses cgi-bin/token.
	// https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken (稳定版接口调用凭证)
	Classic bool

	Store  store.Store                  // shared by all processes that use the app; default one of this Manager alone
	Client *wechat.Client               // the way to WeChat: its BaseURL and HTTP; default WeChat's own
	Report func(context.Context, error) // told of each failure to get or renew, of one that goes on once a minute; default slog.Default

	redacted
	copy atomic.Pointer[renew.Copy]
}

// redacted keeps the secret of a struct out of what is printed.
type redacted = redact.Struct

var _ wechat.TokenSource = (*Manager)(nil)

// Token returns a token that WeChat takes now. A warm read takes no lock and makes no allocation.
//
// An error wraps the *wechat.Error with which WeChat refused, or what kept it from being reached.
func (m *Manager) Token(ctx context.Context) (wechat.Credential, error) {
	kept := m.kept()
	if warm := kept.Warm(); warm != nil {
		return *warm, nil
	}
	c, err := kept.Get(ctx)
	if err != nil {
		return c, m.wrap(err)
	}
	return c, nil
}

// Renew returns a token other than refused, the one that WeChat has just answered 40001, 40014 or 42001 to. Callers
// refused together cause one renewal; a refused token that is not the current one causes none, and is answered with
// the current one. It is what wechat.Client calls.
func (m *Manager) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	c, err := m.kept().Renew(ctx, refused)
	if err != nil {
		return c, m.wrap(err)
	}
	return c, nil
}

// Keep renews the token ahead of its end, read or not, until ctx ends, and returns the cause of that. Without it a
// token is renewed by being read.
func (m *Manager) Keep(ctx context.Context) error { return m.kept().Keep(ctx) }

// Refresh renews the token if it is due, waits for that, and returns when it is due next. It is for programs that keep the
// tokens of many apps from a few goroutines, which a Keep for each would not do.
func (m *Manager) Refresh(ctx context.Context) (due time.Time, err error) {
	if due, err = m.kept().Refresh(ctx); err != nil {
		err = m.wrap(err)
	}
	return due, err
}

// Retry forgets why WeChat refused the token before, which is remembered for up to ten minutes, and asks again at once. It
// is for when the cause was cured in WeChat's console. A token that is not due is not fetched again. Other processes find
// the new token in the shared store.
func (m *Manager) Retry(ctx context.Context) error {
	if err := m.kept().Retry(ctx); err != nil {
		return m.wrap(err)
	}
	return nil
}

// WithCaller returns a context for a [Handler] or for [Manager.Renew] that names the caller on whose behalf a token is
// renewed. Each caller then has a ration of forced refreshes of its own, so that one cannot use up that of all: see
// [ErrRationed]. A Guard calls it with the name that it knows the caller by, of up to 200 bytes: it becomes a part of
// a key in Store.
func WithCaller(ctx context.Context, name string) context.Context { return renew.WithCaller(ctx, name) }

func (m *Manager) wrap(err error) error { return fmt.Errorf("token: %s: %w", m.AppID, err) }

func (m *Manager) kept() *renew.Copy {
	if c := m.copy.Load(); c != nil {
		return c
	}
	m.copy.CompareAndSwap(nil, m.keeper().Copy())
	return m.copy.Load()
}

func (m *Manager) keeper() *renew.Keeper {
	k := &renew.Keeper{Store: m.Store, Key: m.key(), Report: m.Report}
	if k.Store == nil {
		k.Store = new(store.Memory)
	}
	err := m.checkKind()
	switch {
	case err != nil: // the token of another kind of app with this AppID is not to be served from Store
		k.Store = new(store.Memory)
		k.Fetch = func(context.Context) (wechat.Credential, error) { return wechat.Credential{}, err }
	case m.Kind == wechat.Work:
		k.Fetch = m.work
	case m.Classic:
		k.Fetch, k.Alone, k.Ahead, k.Supersedes = m.classic, m.stable, true, true
	default:
		k.Fetch, k.Force, k.Ahead = m.stable, m.forced, true
	}
	return k
}

// key names the token in the store. A corp has a token for each of its secrets, and some secrets belong to no agent,
// so it is a fingerprint of the secret that tells them apart.
func (m *Manager) key() string {
	what := "stable"
	switch {
	case m.Kind == wechat.Work:
		sum := sha256.Sum256([]byte(m.AppID + "\n" + m.Secret))
		what = hex.EncodeToString(sum[:8])
	case m.Classic:
		what = "classic"
	}
	return "token/" + m.AppID + "/" + what
}

// checkKind returns an error if apps of Manager.Kind have no token, or not the one of Classic.
func (m *Manager) checkKind() error {
	if err := field.CheckOneOf(cmp.Or(m.Kind, wechat.Official), wechat.Official, wechat.Mini, wechat.Work); err != nil {
		return fmt.Errorf("Manager.Kind %w", err)
	}
	if m.Kind == wechat.Work && m.Classic {
		return errors.New("Manager.Classic is true: WeCom has one kind of token only: leave it out")
	}
	return nil
}
