// Package ticket keeps the tickets that pages are signed with: jsapi (wx.config), wx_card (cards) and WeCom's
// agent_config (wx.agentConfig).
//
//	tickets := &ticket.Manager{AppID: id, Tokens: tokens, Store: s}
//	t, err := tickets.Ticket(ctx, ticket.JSAPI)
//
// A [Manager] fetches and keeps them, a [Handler] serves them to other programs, and a [Remote] there asks it.
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

// Type is WeChat's name of a kind of ticket. It is a plain string, so that a [Manager] and a [Remote] are what package
// jssdk signs with.
type Type = string

// The tickets there are.
const (
	JSAPI       Type = "jsapi"        // signs wx.config, of official accounts and of WeCom
	WxCard      Type = "wx_card"      // signs cards (卡券), of official accounts
	AgentConfig Type = "agent_config" // signs wx.agentConfig, of one WeCom application
)

// ErrType is the failure to get a ticket of a type that the app's kind does not have.
var ErrType = errors.New("no such ticket for this kind of app")

// Manager keeps the tickets of one app: each fetched once for a whole cluster, and renewed and shared by the rules of
// token.Manager. Its methods are safe for concurrent use, and its fields are not to be changed after the first.
//
// See https://developers.weixin.qq.com/doc/service/guide/h5/jssdk.html (appendix 1) and
// https://developer.work.weixin.qq.com/document/path/90506 (WeCom).
type Manager struct {
	AppID  string             // the corp id of WeCom
	Tokens wechat.TokenSource // the app's access tokens

	Kind    wechat.Kind                  // an official account (公众号) or WeCom (企业微信): no other kind has tickets. Default wechat.Official
	AgentID int                          // the WeCom application, where agent_config tickets are wanted
	Store   store.Store                  // shared by all processes that use the app; default one of this Manager alone
	Client  *wechat.Client               // the way to WeChat: its BaseURL and HTTP; default WeChat's own
	Report  func(context.Context, error) // told of each failure to get or renew a ticket, of one that goes on once a minute; default slog.Default

	copies copies
}

// Ticket returns a ticket that WeChat takes now. An error wraps ErrType, the *wechat.Error with which WeChat refused,
// or what kept it from being reached.
func (m *Manager) Ticket(ctx context.Context, typ Type) (wechat.Credential, error) {
	c, err := m.kept(typ)
	if err != nil {
		return wechat.Credential{}, err
	}
	return wrap(typ)(c.Get(ctx))
}

// Renew returns a ticket other than refused. WeChat answers the same ticket until 5 minutes before its end, so that
// this mostly brings one that another process has; else it fails.
func (m *Manager) Renew(ctx context.Context, typ Type, refused string) (wechat.Credential, error) {
	c, err := m.kept(typ)
	if err != nil {
		return wechat.Credential{}, err
	}
	return wrap(typ)(c.Renew(ctx, refused))
}

// Refresh renews a ticket if it is due, waits for that, and returns when it is due next.
func (m *Manager) Refresh(ctx context.Context, typ Type) (due time.Time, err error) {
	c, err := m.kept(typ)
	if err != nil {
		return due, err
	}
	if due, err = c.Refresh(ctx); err != nil {
		err = fmt.Errorf("ticket: %s: %w", typ, err)
	}
	return due, err
}

// Retry forgets why WeChat refused tickets before, asks at once for those that were asked for in this process, and returns
// the first failure. A ticket that is not due is not fetched again.
func (m *Manager) Retry(ctx context.Context) (err error) {
	m.copies.byType.Range(func(typ, c any) bool {
		if e := c.(*renew.Copy).Retry(ctx); e != nil && err == nil {
			err = fmt.Errorf("ticket: %s: %w", typ, e)
		}
		return ctx.Err() == nil
	})
	return err
}

func (m *Manager) kept(typ Type) (*renew.Copy, error) {
	path, err := m.path(typ)
	if err != nil {
		return nil, err
	}
	return m.copies.get(typ, func() *renew.Copy {
		k := &renew.Keeper{Store: m.Store, Key: m.key(typ), Ahead: true, Report: m.Report}
		if k.Store == nil {
			k.Store = new(store.Memory)
		}
		k.Fetch = func(ctx context.Context) (wechat.Credential, error) { return m.fetch(ctx, typ, path) }
		return k.Copy()
	}), nil
}

// path is WeChat's endpoint for a type.
func (m *Manager) path(typ Type) (string, error) {
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

// key names the ticket in the store. Only agent_config differs between the applications of a corp.
func (m *Manager) key(typ Type) string {
	if typ == AgentConfig {
		return "ticket/" + m.AppID + "/" + strconv.Itoa(m.AgentID) + "/" + typ
	}
	return "ticket/" + m.AppID + "/" + typ
}

// maxLife is what no ticket of WeChat's lives longer than; an answer beyond it is garbage.
const maxLife = 31 * 24 * 60 * 60

func (m *Manager) fetch(ctx context.Context, typ Type, path string) (wechat.Credential, error) {
	if m.Tokens == nil {
		return wechat.Credential{}, errors.New("the field Tokens must be set")
	}
	tokens := &borrowed{TokenSource: m.Tokens}
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
	if answer.Ticket == "" || answer.ExpiresIn <= 0 || answer.ExpiresIn > maxLife {
		return wechat.Credential{}, fmt.Errorf("WeChat's answer holds no ticket with a life: expires_in is %d", answer.ExpiresIn)
	}
	return wechat.Credential{Value: answer.Ticket, Expires: start.Add(time.Duration(answer.ExpiresIn) * time.Second)}, nil
}

// borrowed notes that a fetch failed for want of a token. That trouble is the token's keeper's to remember, not ours.
type borrowed struct {
	wechat.TokenSource
	failed bool
}

func (b *borrowed) Token(ctx context.Context) (wechat.Credential, error) {
	c, err := b.TokenSource.Token(ctx)
	b.failed = err != nil
	return c, err
}

func (b *borrowed) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	c, err := b.TokenSource.Renew(ctx, refused)
	b.failed = err != nil
	return c, err
}

// copies are the warm copies of an app's tickets, each made when first asked for.
type copies struct{ byType sync.Map }

func (c *copies) get(typ Type, make func() *renew.Copy) *renew.Copy {
	if v, ok := c.byType.Load(typ); ok {
		return v.(*renew.Copy)
	}
	v, _ := c.byType.LoadOrStore(typ, make())
	return v.(*renew.Copy)
}

func wrap(typ Type) func(wechat.Credential, error) (wechat.Credential, error) {
	return func(c wechat.Credential, err error) (wechat.Credential, error) {
		if err != nil {
			return c, fmt.Errorf("ticket: %s: %w", typ, err)
		}
		return c, nil
	}
}
