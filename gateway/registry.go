package gateway

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/wechat"
)

// Errors of the registries, besides [SettingError] and those of the records.
var (
	ErrNotRegistered = errors.New("gateway: not registered")
	ErrInFile        = errors.New("gateway: it is part of the configuration that the server was started with, and can be changed only there")
	ErrTaken         = errors.New("gateway: the name or id belongs to another registration, or did in the last 30 days")
	ErrStale         = errors.New("gateway: the registration has changed since that revision")
	ErrUnsealed      = errors.New("gateway: nothing can be registered, because records would keep secrets without encryption: set WETOKEN_MASTER_KEYS, or Options.Records to a store.Sealed")
)

// Revisions of [Apps.Put] and others that stand for more than one registration.
const (
	AnyRevision = "*" // there must be one
	NoRevision  = "-" // there must be none
)

// SettingError reports a setting that cannot be registered. Key is its key, such as message.token.
type SettingError struct{ Key, Reason string }

func (e *SettingError) Error() string {
	if e.Key == "" {
		return "gateway: " + e.Reason
	}
	return "gateway: " + e.Key + ": " + e.Reason
}

const (
	appKind registry.Kind = "app"

	// A record is removed that long after the end of its registration.
	expiredLife = 24 * time.Hour

	maxRegisterBody = 1 << 20 // bytes
)

// Apps registers apps while a gateway runs. Every gateway with the same records serves them, within 2 seconds. Apps of the
// configuration are listed too, and cannot be changed. Its methods are safe for concurrent use.
//
// An app takes payments with a merchant of the configuration, or one that is registered: see [Merchants]. While it has orders, refunds,
// transfers or reports that are not finished, it cannot be deleted, and an end of its registration only hides it: they are finished first.
type Apps struct{ gateway *Gateway }

// RegisteredApp is an app as it is registered. It prints without its secrets.
type RegisteredApp struct {
	Name     string
	App      App
	Revision string // changes with each change; empty for an app of the configuration
	InFile   bool   // it is part of the configuration
}

// Apps returns the registry of apps.
func (g *Gateway) Apps() *Apps { return &Apps{g} }

// Get returns the app with a name, or ErrNotRegistered.
func (a *Apps) Get(ctx context.Context, name string) (RegisteredApp, error) {
	if c, ok := a.gateway.fileApps[name]; ok {
		return RegisteredApp{Name: name, App: c, InFile: true}, nil
	}
	if a.gateway.registered == nil {
		return RegisteredApp{}, ErrNotRegistered
	}
	e, ok, err := a.gateway.registered.ByName(ctx, appKind, name)
	if err != nil {
		return RegisteredApp{}, err
	}
	if !ok || e.Name != name {
		return RegisteredApp{}, ErrNotRegistered
	}
	return readRegisteredApp(e)
}

// All yields all apps: those of the configuration, and those that are registered, in no order.
func (a *Apps) All(ctx context.Context) iter.Seq2[RegisteredApp, error] {
	return func(yield func(RegisteredApp, error) bool) {
		for name, c := range a.gateway.fileApps {
			if !yield(RegisteredApp{Name: name, App: c, InFile: true}, nil) {
				return
			}
		}
		if a.gateway.registered == nil {
			return
		}
		for e, err := range a.gateway.registered.All(ctx, appKind) {
			var r RegisteredApp
			if err == nil {
				r, err = readRegisteredApp(e)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Page returns at most limit registered apps, in the order of their ids, after the one with the id after. next is the id for the
// next page, or "". It does not return apps of the configuration. A record that cannot be read is reported in the log, and left out.
func (a *Apps) Page(ctx context.Context, after string, limit int) (list []RegisteredApp, next string, err error) {
	if a.gateway.registered == nil {
		return nil, "", nil
	}
	ids, more, err := a.gateway.registered.Page(ctx, appKind, after, limit)
	if err != nil {
		return nil, "", err
	}
	for _, id := range ids {
		e, ok, err := a.gateway.registered.ByID(ctx, appKind, id)
		var r RegisteredApp
		if ok && err == nil {
			r, err = readRegisteredApp(e)
		}
		switch {
		case isUnreadable(err):
			a.gateway.reportUnreadable(ctx, appKind, err)
		case err != nil:
			return nil, "", err
		case ok:
			list = append(list, r)
		}
	}
	if more {
		next = ids[len(ids)-1]
	}
	return list, next, nil
}

// Put registers an app under a name, or replaces the one that has it. An app keeps its id. A revision that is not empty must be
// that of the app that is replaced; [AnyRevision] is that of every app, and [NoRevision] that of none.
func (a *Apps) Put(ctx context.Context, name string, app App, revision string) (RegisteredApp, error) {
	r, _, err := a.change(ctx, name, revision, func(*App) (App, error) { return app, nil }, noVerify)
	return r, err
}

// PutJSON is Put with the JSON of an app, of up to 1 MiB. A secret that is absent, or is ********, stays as it is. One that is
// null is removed.
func (a *Apps) PutJSON(ctx context.Context, name string, body []byte, revision string) (RegisteredApp, error) {
	r, _, err := a.putJSON(ctx, name, body, revision, noVerify)
	return r, err
}

func noVerify(App) error { return nil }

// putJSON is PutJSON. It calls verify before it registers the app, and reports whether the name was free.
func (a *Apps) putJSON(ctx context.Context, name string, body []byte, revision string, verify func(App) error) (r RegisteredApp, created bool, err error) {
	return a.change(ctx, name, revision, func(old *App) (App, error) { return mergeSettings(body, old) }, verify)
}

// Rename gives an app another name. Its id, and so what the stores keep of it, stays. WeChat may use the URLs with the old name
// for 30 days: /message, and /msg of wechat-proxy, stay reachable by it.
func (a *Apps) Rename(ctx context.Context, name, to, revision string) (RegisteredApp, error) {
	if err := a.checkName(to); err != nil {
		return RegisteredApp{}, err
	}
	r, err := a.write(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		if err := checkRevision(old, revision); err != nil {
			return nil, err
		}
		if old == nil {
			return nil, ErrNotRegistered
		}
		old.Name, old.ClosingUntil = to, 0
		return old, nil
	})
	a.gateway.auditChange(ctx, registrationEvent, err, "action", "rename", "app", name, "to", to)
	return r, err
}

// remove removes an app. closed is set if no process takes orders for it.
func (a *Apps) remove(ctx context.Context, name, revision string, closed bool) error {
	var gone *app
	_, err := a.write(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		if err := checkRevision(old, revision); err != nil {
			return nil, err
		}
		if old == nil {
			return nil, ErrNotRegistered
		}
		if takesPayments(old) {
			if err := a.gateway.checkUnfinished(ctx, old.ID, name, old.Terms); err != nil {
				return nil, err
			}
			if !closed {
				return nil, errNotClosed
			}
		}
		if r, err := readRegisteredApp(old); err == nil {
			r.App.ID, r.App.Pay = old.ID, nil
			gone = a.gateway.newApp(name, r.App)
		}
		return nil, nil
	})
	if err != nil || gone == nil {
		return err
	}
	if gone.platform != "" { // whose token no other app uses
		return errors.Join(gone.forget(ctx), gone.forgetAuthorization(ctx))
	}
	others, err := a.WithAppID(ctx, gone.appID)
	if isUnreadable(err) {
		return nil // one of them may use the token
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(others, func(r RegisteredApp) bool { return r.App.Kind != wechat.Work || r.HasSecret(gone.secret) }) {
		return nil // they use the token
	}
	return gone.forget(ctx)
}
