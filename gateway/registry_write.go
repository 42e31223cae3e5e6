package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechat"
)

// change replaces an app, after the checks that all changes pass and verify. created reports whether the name was free.
func (a *Apps) change(ctx context.Context, name, revision string, change func(old *App) (App, error), verify func(App) error) (r RegisteredApp, created bool, err error) {
	if err := a.checkName(name); err != nil {
		return RegisteredApp{}, false, err
	}
	put := func(ctx context.Context, revision string, closed bool) error {
		r, err = a.write(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
			if err := checkRevision(old, revision); err != nil {
				return nil, err
			}
			var before *App
			if old != nil {
				r, err := readRegisteredApp(old)
				if err != nil {
					return nil, err
				}
				before = &r.App
			}
			created = old == nil
			next, err := change(before)
			if err == nil {
				err = a.keepAuthorization(&next, before)
			}
			if err != nil {
				return nil, err
			}
			e, err := a.newEntry(ctx, name, old, next)
			if err == nil {
				err = verify(next)
			}
			if err == nil && !closed && endsPayments(old, e.Terms) {
				err = errNotClosed
			}
			return e, err
		})
		return err
	}
	if err = put(ctx, revision, false); errors.Is(err, errNotClosed) {
		err = a.whileClosed(ctx, name, revision, func(ctx context.Context, closed string) error { return put(ctx, closed, true) })
	}
	a.gateway.auditChange(ctx, registrationEvent, err, "action", "put", "app", name)
	if err == nil {
		err = a.checkMerchantStays(ctx, r.App)
	}
	return r, created, err
}

// newEntry returns the entry of an app, after the checks that the configuration passes.
func (a *Apps) newEntry(ctx context.Context, name string, old *registry.Entry, c App) (*registry.Entry, error) {
	g, id := a.gateway, c.id(name)
	switch {
	case old == nil:
		if err := checkID(c.ID); err != nil {
			return nil, &SettingError{Reason: err.Error()}
		}
	case c.ID != "" && c.ID != old.ID:
		return nil, &SettingError{"id", "an app keeps its id"}
	default:
		id = old.ID
	}
	if g.served.Load().apps[id] != nil {
		return nil, fmt.Errorf("%w: an app there has the id %q", ErrInFile, id)
	}
	c.ID = "" // the entry has it
	if err := a.checkApp(name, c); err != nil {
		return nil, err
	}
	settings, err := encodePlain(c)
	if err != nil {
		return nil, fmt.Errorf("gateway: register an app: %w", err)
	}
	terms, err := a.checkPay(ctx, name, id, old, c)
	if err != nil {
		return nil, err
	}
	e := &registry.Entry{ID: id, Name: name, Settings: settings, Terms: append(terms, "appid/"+c.AppID)}
	if c.Kind == wechat.Authorized {
		e.Terms = append(e.Terms, g.authorizedTerm(c.Platform, c.AppID))
	}
	for file := range c.VerifyFiles {
		e.Terms = append(e.Terms, "file/"+file)
	}
	if c.Keep {
		e.Terms = append(e.Terms, keptTerm(id))
	}
	if !c.ExpiresAt.IsZero() {
		at := c.ExpiresAt.Add(expiredLife)
		if !at.After(time.Now()) {
			return nil, &SettingError{"expires_at", "is more than 24 hours ago: delete the app instead"}
		}
		if c.Pay == nil {
			e.DeleteAt = at.UnixMilli()
		} else { // sweepEnded removes it once nothing is left to do
			e.Terms = append(e.Terms, endTerm(id, at))
		}
	}
	return e, a.checkFiles(ctx, id, c)
}

// checkApp checks an app as Config.Check does.
func (a *Apps) checkApp(name string, c App) error {
	err := Config{PublicURL: a.gateway.publicURL, Apps: map[string]App{name: c}}.checkApps()
	if err == nil {
		err = addVerifyFiles(make(oauth.VerifyFiles), name, c.VerifyFiles)
	}
	if err != nil {
		return &SettingError{Reason: trimConfig(err)}
	}
	return nil
}

// checkFiles returns an error for a verification file that another app has with other content.
func (a *Apps) checkFiles(ctx context.Context, id string, c App) error {
	for file, content := range c.VerifyFiles {
		other, taken := a.gateway.fileContent(file)
		list, err := a.gateway.registered.ByTerm(ctx, appKind, "file/"+file, 2)
		if err != nil {
			return err
		}
		for _, e := range list {
			if r, err := readRegisteredApp(e); err == nil && e.ID != id && !taken {
				other, taken = r.App.VerifyFiles[file], true
			}
		}
		if taken && other != content {
			return &SettingError{joinPath("verify_files", file), "another app has this file with other content"}
		}
	}
	return nil
}

// write changes an entry, and has this process see the change at once.
func (a *Apps) write(ctx context.Context, name string, change func(*registry.Entry) (*registry.Entry, error)) (RegisteredApp, error) {
	if _, ok := a.gateway.fileApps[name]; ok {
		return RegisteredApp{}, ErrInFile
	}
	e, err := a.gateway.writeEntry(ctx, appKind, name, change)
	if err != nil || e == nil {
		return RegisteredApp{}, err
	}
	return readRegisteredApp(e)
}

// writeEntry changes an entry, and has this process see the change at once.
func (g *Gateway) writeEntry(ctx context.Context, kind registry.Kind, name string, change func(*registry.Entry) (*registry.Entry, error)) (*registry.Entry, error) {
	if g.registered == nil {
		return nil, ErrUnsealed
	}
	var ids []string
	e, err := g.registered.Change(ctx, kind, name, idOfName(kind, name), func(old *registry.Entry) (*registry.Entry, error) {
		if old != nil {
			ids = append(ids, old.ID)
		}
		next, err := change(old)
		if next != nil {
			ids = append(ids, next.ID)
		}
		return next, err
	})
	for _, id := range slices.Compact(ids) {
		g.registered.applyChanges(registry.Ref{Kind: kind, ID: id})
	}
	switch {
	case errors.Is(err, registry.ErrNameTaken):
		return nil, fmt.Errorf("%w (%w)", ErrTaken, err)
	case errors.Is(err, registry.ErrIDTaken): // such as the name that another one had before
		return nil, fmt.Errorf("%w (%w: set another id)", ErrTaken, err)
	case errors.Is(err, registry.ErrTooLarge):
		return nil, &SettingError{Reason: strings.TrimPrefix(err.Error(), "registry: ")}
	}
	return e, err
}

// checkName returns an error for a name that cannot be registered.
func (a *Apps) checkName(name string) error {
	if _, ok := a.gateway.fileApps[name]; ok {
		return ErrInFile
	}
	if err := checkAppName(name); err != nil {
		return &SettingError{Reason: err.Error()}
	}
	return nil
}

func checkRevision(old *registry.Entry, revision string) error {
	switch {
	case revision == "", revision == AnyRevision && old != nil, revision == NoRevision && old == nil:
		return nil
	case old != nil && old.Revision == revision:
		return nil
	}
	return ErrStale
}

// readRegisteredApp returns the app of an entry.
func readRegisteredApp(e *registry.Entry) (r RegisteredApp, err error) {
	r = RegisteredApp{Name: e.Name, Revision: e.Revision}
	if err := decodeExactly(e.Settings, &r.App); err != nil {
		return RegisteredApp{}, &unreadableError{fmt.Errorf("gateway: the registration of app %q cannot be read by this release: %w", e.Name, err)}
	}
	if e.ID != e.Name {
		r.App.ID = e.ID
	}
	return r, nil
}
