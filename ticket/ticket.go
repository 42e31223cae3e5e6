// Package ticket keeps the tickets that sign pages: jsapi (wx.config), wx_card (cards) and WeCom's agent_config
// (wx.agentConfig).
//
//	tickets := &ticket.Manager{AppID: id, Tokens: tokens, Store: s}
//	t, err := tickets.Ticket(ctx, ticket.JSAPI)
//
// A [Manager] fetches and keeps them, a [Handler] serves them to other programs, and a [Remote] gets them there.
package ticket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Type is WeChat's name of a type of ticket. It is an alias of string, so that a [Manager] and a [Remote] implement
// jssdk.Source.
type Type = string

// The types of tickets.
const (
	JSAPI       Type = "jsapi"        // signs wx.config, of official accounts and of WeCom
	WxCard      Type = "wx_card"      // signs cards (卡券), of official accounts
	AgentConfig Type = "agent_config" // signs wx.agentConfig, of one WeCom application
)

// ErrType is the error of a type of ticket that this kind of app does not have.
var ErrType = errors.New("no such ticket for this kind of app")

// Manager keeps the tickets of one app. Each is fetched once for a whole cluster, and renewed and shared like the token
// of a token.Manager. Its methods are safe for concurrent use. Do not change its fields after the first call.
//
// See https://developers.weixin.qq.com/doc/service/guide/h5/jssdk.html (appendix 1) and
// https://developer.work.weixin.qq.com/document/path/90506 (WeCom).
type Manager struct {
	AppID  string             // WeCom: the corp id
	Tokens wechat.TokenSource // the app's access tokens

	// Kind is an official account (公众号) or WeCom (企业微信): other kinds have no tickets. Default: wechat.Official.
	Kind wechat.Kind

	// AgentID is the WeCom application. It is required for agent_config tickets.
	AgentID int

	// Store is shared by all processes that use the app. Default: a store of this Manager alone.
	Store store.Store

	// Client has the BaseURL and HTTP client for WeChat's API. Default: WeChat's own address.
	Client *wechat.Client

	// OnError is called on each failed fetch or renewal; a repeated failure at most once a minute. Default:
	// slog.Default.
	OnError func(context.Context, error)

	copies copies
}

// Ticket returns a valid ticket. An error wraps ErrType, the *wechat.Error with which WeChat refused, or the reason why
// WeChat could not be reached.
func (m *Manager) Ticket(ctx context.Context, typ Type) (wechat.Credential, error) {
	c, err := m.openCopy(typ)
	if err != nil {
		return wechat.Credential{}, err
	}
	return wrapError(typ)(c.Get(ctx))
}

// Renew returns a ticket other than refused. WeChat returns the same ticket until 5 minutes before its end. Renew
// therefore mostly finds a ticket that another process has fetched, and otherwise fails.
func (m *Manager) Renew(ctx context.Context, typ Type, refused string) (wechat.Credential, error) {
	c, err := m.openCopy(typ)
	if err != nil {
		return wechat.Credential{}, err
	}
	return wrapError(typ)(c.Renew(ctx, refused))
}

// Refresh renews a ticket if it is due, waits for the result, and returns when it is due next.
func (m *Manager) Refresh(ctx context.Context, typ Type) (due time.Time, err error) {
	c, err := m.openCopy(typ)
	if err != nil {
		return due, err
	}
	if due, err = c.Refresh(ctx); err != nil {
		err = fmt.Errorf("ticket: %s: %w", typ, err)
	}
	return due, err
}

// Retry forgets why WeChat refused tickets, fetches the tickets that this process has used at once, and returns the
// first failure. A ticket that is not due is not fetched again.
func (m *Manager) Retry(ctx context.Context) (err error) {
	m.copies.byType.Range(func(typ, c any) bool {
		if e := c.(*renew.Copy).Retry(ctx); e != nil && err == nil {
			err = fmt.Errorf("ticket: %s: %w", typ, e)
		}
		return ctx.Err() == nil
	})
	return err
}

// Forget removes all tickets of the app from Store, such as for an app that is no longer used. A Manager that holds a ticket still
// serves it.
func (m *Manager) Forget(ctx context.Context) error {
	if m.Store == nil {
		return nil
	}
	for _, typ := range []Type{JSAPI, WxCard, AgentConfig} {
		if err := m.Store.Delete(ctx, m.storeKey(typ)); err != nil {
			return fmt.Errorf("ticket: %s: forget: %w", typ, err)
		}
	}
	return nil
}

func (m *Manager) openCopy(typ Type) (*renew.Copy, error) {
	path, err := m.endpoint(typ)
	if err != nil {
		return nil, err
	}
	return m.copies.get(typ, func() *renew.Copy {
		k := &renew.Keeper{Store: m.Store, Key: m.storeKey(typ), Overlaps: true, OnError: m.OnError}
		if k.Store == nil {
			k.Store = new(store.Memory)
		}
		k.Fetch = func(ctx context.Context) (wechat.Credential, error) { return m.fetch(ctx, typ, path) }
		return k.Copy()
	}), nil
}

// endpoint returns WeChat's path for a type of ticket.
func (m *Manager) endpoint(typ Type) (string, error) {
	kind := cmp.Or(m.Kind, wechat.Official)
	err := field.CheckOneOf(kind, wechat.Official, wechat.Work)
	switch {
	case kind == wechat.Mini || kind == wechat.Website:
		return "", fmt.Errorf("ticket: Manager.Kind %w: %w", err, ErrType)
	case err != nil:
		return "", fmt.Errorf("ticket: Manager.Kind %w", err)
	case kind == wechat.Official && (typ == JSAPI || typ == WxCard):
		return "/cgi-bin/ticket/getticket", nil
	case kind == wechat.Work && typ == JSAPI:
		return "/cgi-bin/get_jsapi_ticket", nil
	case kind == wechat.Work && typ == AgentConfig && m.AgentID != 0:
		return "/cgi-bin/ticket/get", nil
	case kind == wechat.Work && typ == AgentConfig:
		return "", fmt.Errorf("ticket: %s: AgentID must be set: %w", typ, ErrType)
	}
	return "", fmt.Errorf("ticket: %.20q: %w", typ, ErrType)
}

// storeKey returns the key of a ticket in the store. Only agent_config differs between the applications of a corp.
func (m *Manager) storeKey(typ Type) string {
	if typ == AgentConfig {
		return "ticket/" + m.AppID + "/" + strconv.Itoa(m.AgentID) + "/" + typ
	}
	return "ticket/" + m.AppID + "/" + typ
}

func (m *Manager) fetch(ctx context.Context, typ Type, path string) (wechat.Credential, error) {
	if m.Tokens == nil {
		return wechat.Credential{}, errors.New("the field Tokens must be set")
	}
	tokens := &tokenWatch{TokenSource: m.Tokens}
	base := wechat.APIURL
	if m.Kind == wechat.Work {
		base = wechat.WorkURL
	}
	var query url.Values
	if m.Kind != wechat.Work || typ == AgentConfig {
		query = url.Values{"type": {typ}}
	}
	var answer struct {
		Ticket    string       `json:"ticket"`
		ExpiresIn wirejson.Int `json:"expires_in"`
	}
	start := time.Now()
	err := m.Client.With(tokens, base).Get(ctx, path, query, &answer)
	if err != nil && tokens.failed {
		return wechat.Credential{}, renew.Transient(err)
	}
	if err != nil {
		return wechat.Credential{}, err
	}
	if answer.Ticket == "" || answer.ExpiresIn <= 0 || answer.ExpiresIn > wirejson.Int(renew.MaxLife/time.Second) {
		return wechat.Credential{}, fmt.Errorf("WeChat's answer has no valid ticket: expires_in is %d", answer.ExpiresIn)
	}
	return wechat.Credential{Value: answer.Ticket, Expires: start.Add(time.Duration(answer.ExpiresIn) * time.Second)}, nil
}

// tokenWatch records that a fetch failed for lack of a token. The keeper of the token remembers that failure, so that
// the ticket's keeper does not.
type tokenWatch struct {
	wechat.TokenSource
	failed bool
}

func (b *tokenWatch) Token(ctx context.Context) (wechat.Credential, error) {
	c, err := b.TokenSource.Token(ctx)
	b.failed = err != nil
	return c, err
}

func (b *tokenWatch) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	c, err := b.TokenSource.Renew(ctx, refused)
	b.failed = err != nil
	return c, err
}

// copies are the warm copies of an app's tickets. Each is made when it is first used.
type copies struct{ byType sync.Map }

func (c *copies) get(typ Type, make func() *renew.Copy) *renew.Copy {
	if v, ok := c.byType.Load(typ); ok {
		return v.(*renew.Copy)
	}
	v, _ := c.byType.LoadOrStore(typ, make())
	return v.(*renew.Copy)
}

func wrapError(typ Type) func(wechat.Credential, error) (wechat.Credential, error) {
	return func(c wechat.Credential, err error) (wechat.Credential, error) {
		if err != nil {
			return c, fmt.Errorf("ticket: %s: %w", typ, err)
		}
		return c, nil
	}
}
