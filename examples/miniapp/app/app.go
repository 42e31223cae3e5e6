// Package app joins the parts of the program: it reads which are active from the configuration and mounts them.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/examples/miniapp/config"
	"github.com/wetoken/wetoken/examples/miniapp/handlers"
	"github.com/wetoken/wetoken/examples/miniapp/order"
	"github.com/wetoken/wetoken/examples/miniapp/store"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/pay"
	wetokenstore "github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/sqlstore"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// Options are what an App is made of.
type Options struct {
	Config   *config.Config
	DB       *store.DB
	URL      string // public URL of the program
	World    *World // simulated WeChat; nil for the real one
	Hook     order.Hook
	Products []order.Product
	Log      *slog.Logger // default slog.Default()
}

// App is the program without its listener.
type App struct {
	Handler http.Handler
	run     []func(ctx context.Context)
}

// Run does the work that no request does, until ctx ends: it asks WeChat about orders without a notification, and reports shipping.
func (a *App) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, run := range a.run {
		all.Go(func() { run(ctx) })
	}
	all.Wait()
}

// New makes the parts that are active.
func New(ctx context.Context, o Options) (*App, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	sealed, err := openSealed(ctx, o)
	if err != nil {
		return nil, err
	}
	b := &builder{Options: o, sealed: sealed, mux: http.NewServeMux(), app: new(App)}
	w := &o.Config.OpenPlatform.WeChat
	b.handlers = &handlers.Handlers{
		Accounts: &account.Service{Store: o.DB, Log: o.Log}, Used: sealed, URL: o.URL, AdminKey: o.Config.Miniapp.AdminKey, Log: o.Log,
	}
	for _, part := range []struct {
		name  string
		on    bool
		build func() error
	}{
		{"mini-app", w.MiniApp.On(), b.addMini},
		{"official-account", w.OfficialAccount.On(), b.addOfficial},
		{"pay", w.Pay.On(), b.addPay},
	} {
		if !part.on {
			o.Log.Info("not active", "part", part.name)
			continue
		}
		if err := part.build(); err != nil {
			return nil, fmt.Errorf("app: %s: %w", part.name, err)
		}
	}
	if o.World != nil && w.MiniApp.On() {
		b.handlers.Player = &handlers.Player{
			Simulator: o.World.URL, AppID: w.MiniApp.AppKey, TemplateID: o.Config.Miniapp.PaidTemplate.ID,
			People: o.World.People, Official: w.OfficialAccount.On(),
		}
	}
	b.handlers.Mount(b.mux)
	b.app.Handler = b.mux
	return b.app, nil
}

// builder makes an App.
type builder struct {
	Options
	sealed   wetokenstore.Store // encrypted values: session_keys, refresh tokens, access tokens
	mux      *http.ServeMux
	handlers *handlers.Handlers
	api      *wechat.Client // the mini program's
	app      *App
}

// openSealed returns the store of wetoken in the database.
func openSealed(ctx context.Context, o Options) (wetokenstore.Store, error) {
	plain := &sqlstore.Store{DB: o.DB.DB, Dialect: o.DB.Dialect, Table: "miniapp_store"}
	if err := plain.Migrate(ctx); err != nil {
		return nil, err
	}
	ring, err := wetokenstore.ParseKeys(o.Config.Miniapp.SealKeys)
	if err != nil {
		return nil, fmt.Errorf("app: miniapp.seal-keys: %w", err)
	}
	return &wetokenstore.Sealed{Store: plain, KeyRing: ring}, nil
}

// baseURL returns the base URL of WeChat that a configured one gives, or that of the simulation.
func (b *builder) baseURL(configured func() (string, error)) (string, error) {
	if b.World != nil {
		return b.World.URL, nil
	}
	return configured()
}

func (b *builder) addMini() error {
	c := &b.Config.OpenPlatform.WeChat.MiniApp
	base, err := b.baseURL(c.API)
	if err != nil {
		return err
	}
	client := &wechat.Client{BaseURL: base}
	tokens := &token.Manager{AppID: c.AppKey, Secret: c.AppSecret, Kind: wechat.Mini, Store: b.sealed, Client: client}
	b.api = client.With(tokens, wechat.APIURL)
	b.handlers.Mini = &oauth.Mini{AppID: c.AppKey, Secret: c.AppSecret, Store: b.sealed, Tokens: tokens, Client: client}
	return nil
}

func (b *builder) addOfficial() error {
	c := &b.Config.OpenPlatform.WeChat.OfficialAccount
	api, err := b.baseURL(c.API)
	if err != nil {
		return err
	}
	open, err := b.baseURL(c.Open)
	if err != nil {
		return err
	}
	if c.Authorize.State != "" {
		b.Log.Warn("official-account.authorize.state is ignored: each login gets a state of its own, since a constant one lets strangers log people in")
	}
	host, err := url.Parse(b.URL)
	if err != nil {
		return err
	}
	login := &oauth.Login{
		AppID: c.AppID, Secret: c.AppSecret, Store: b.sealed, URL: b.URL + handlers.OfficialPath, Hosts: []string{host.Host},
		Scope: c.Authorize.Scope, OnLogin: b.handlers.OnLogin, Client: &wechat.Client{BaseURL: api}, OpenURL: open,
	}
	b.handlers.Login = login
	wetoken.Bind(b.mux, handlers.OfficialPath, login)
	if c.ConfigToken == "" {
		return nil
	}
	in, err := message.New(message.Config{AppID: c.AppID, Token: c.ConfigToken, EncodingAESKey: c.ConfigAESKey, Store: b.sealed, Log: b.Log})
	if err != nil {
		return err
	}
	if c.Welcome != "" {
		in.Handle(message.OnEvent("subscribe"), func(context.Context, *message.Message) (message.Reply, error) {
			return message.Text(c.Welcome), nil
		})
	}
	wetoken.Bind(b.mux, handlers.OfficialPath, in)
	return nil
}

func (b *builder) addPay() error {
	merchant, err := b.merchant()
	if err != nil {
		return err
	}
	c := b.Config.OpenPlatform.WeChat
	template := b.Config.Miniapp.PaidTemplate
	orders := &order.Service{
		Store: b.DB, Products: b.Products, Hook: b.Hook, API: b.api, MchID: c.Pay.MchID, MiniAppID: c.MiniApp.AppKey,
		Message: order.Message{TemplateID: template.ID, Page: template.Page, Data: template.Data}, Log: b.Log,
	}
	cashier := &pay.Cashier{
		Merchants: []pay.Merchant{merchant}, URL: b.URL + "/wechat", Store: b.sealed, Records: b.sealed,
		OnError: func(ctx context.Context, err error) { b.Log.ErrorContext(ctx, err.Error()) },
	}
	if b.Hook != nil {
		cashier.OnPaid = orders.Settle
	} else {
		b.Log.Warn("no business hook is set: payments are logged and listed, and not acknowledged")
	}
	orders.Cashier = cashier
	b.handlers.Orders = orders
	wetoken.Bind(b.mux, "/wechat", cashier)
	b.app.run = append(b.app.run, func(ctx context.Context) { _ = cashier.Run(ctx) }) // the cause of ctx
	if b.api != nil {
		b.app.run = append(b.app.run, orders.Run)
	}
	return nil
}
