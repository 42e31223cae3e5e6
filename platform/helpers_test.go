package platform_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/message/event"
	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const (
	id     = "wxplatform00000001"
	secret = "platform secret"
	aesKey = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
)

// world is a simulated WeChat, and a platform whose event URL it knows.
type world struct {
	wx        *wechattest.Server
	store     store.Store
	records   store.Store
	p         *platform.Platform
	recovered atomic.Int64
	event     http.Handler
}

func newWorld(t testing.TB, change func(*wechattest.Platform)) *world {
	w := &world{wx: new(wechattest.Server), store: new(store.Memory), records: new(store.Memory)}
	w.wx.AddApp("wx1", "s1")
	w.wx.Add(wechattest.App{ID: "wxmini", Secret: "s2", Kind: wechattest.Mini})
	settings := wechattest.Platform{
		ID: id, Secret: secret, Token: "token", EncodingAESKey: aesKey,
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.event.ServeHTTP(rw, r) }),
	}
	if change != nil {
		change(&settings)
	}
	w.wx.AddPlatform(settings)
	w.restart(t)
	return w
}

// restart replaces the process of the platform by another one.
func (w *world) restart(t testing.TB) {
	w.p = w.newProcess()
	in, err := message.New(message.Config{AppID: id, Token: "token", EncodingAESKey: aesKey, Store: w.store})
	require.NoError(t, err)
	p := w.p
	in.Handle(func(m *message.Message) bool { return m.InfoType != "" }, func(ctx context.Context, m *message.Message) (message.Reply, error) {
		return nil, handle(ctx, p, m)
	})
	w.event = in
}

func (w *world) newProcess() *platform.Platform {
	return &platform.Platform{
		AppID: id, Secret: secret, Store: w.store, Records: w.records, Client: &wechat.Client{HTTP: w.wx.Client()},
		OnError: func(context.Context, error) {}, OnRecover: func(context.Context, string) { w.recovered.Add(1) },
	}
}

// handle does what a program does with a notice.
func handle(ctx context.Context, p *platform.Platform, m *message.Message) error {
	switch m.InfoType {
	case "component_verify_ticket":
		var e event.ComponentVerifyTicket
		if err := m.Decode(&e); err != nil {
			return err
		}
		return p.SaveTicket(ctx, e.ComponentVerifyTicket, m.CreateTime)
	case "authorized", "updateauthorized":
		var e event.Authorized
		if err := m.Decode(&e); err != nil {
			return err
		}
		_, err := p.Authorize(ctx, e.AuthorizationCode, m.CreateTime)
		return err
	case "unauthorized":
		var e event.Authorized
		if err := m.Decode(&e); err != nil {
			return err
		}
		_, err := p.Revoke(ctx, e.AuthorizerAppID, m.CreateTime)
		return err
	}
	return nil
}

// pushTicket has WeChat push a ticket.
func (w *world) pushTicket(t testing.TB) {
	t.Helper()
	result, err := w.wx.PushTicket(t.Context(), id)
	require.NoError(t, err)
	require.Empty(t, result.Fault)
}

func (w *world) authorize(t testing.TB, appID string) {
	t.Helper()
	_, err := w.wx.Authorize(t.Context(), id, appID)
	require.NoError(t, err)
	notices := w.wx.Notices(id)
	require.Empty(t, notices[len(notices)-1].Fault)
}

// tokens returns the token of an account as one process keeps it.
func (w *world) tokens(p *platform.Platform, appID string) *token.Manager {
	return &token.Manager{
		AppID: appID, Kind: wechat.Authorized, PlatformID: id, Fetch: p.Authorizer(appID).Fetch, Store: w.store,
		OnError: func(context.Context, error) {},
	}
}

// calls returns the number of calls of a component API.
func (w *world) calls(api string) int { return w.wx.Calls("/cgi-bin/component/" + api) }

// refusingStore refuses writes of some keys.
type refusingStore struct {
	store.Store
	refuse atomic.Bool
}

func (s *refusingStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if s.refuse.Load() {
		return false, context.DeadlineExceeded
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}
