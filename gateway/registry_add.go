package gateway

import (
	"context"
	"errors"
)

// Add registers an app under a name that is free. Otherwise the error wraps [ErrTaken].
func (a *Apps) Add(ctx context.Context, name string, app App) (RegisteredApp, error) {
	r, _, err := a.change(ctx, name, NoRevision, func(*App) (App, error) { return app, nil }, noVerify)
	if errors.Is(err, ErrStale) {
		err = ErrTaken
	}
	return r, err
}

// WithAppID returns the apps with an appid, expired ones too: those of the configuration, and up to two that are registered.
func (a *Apps) WithAppID(ctx context.Context, appID string) (list []RegisteredApp, err error) {
	for name, c := range a.gateway.fileApps {
		if c.AppID == appID {
			list = append(list, RegisteredApp{Name: name, App: c, InFile: true})
		}
	}
	if a.gateway.registered == nil {
		return list, nil
	}
	entries, err := a.gateway.registered.ByTerm(ctx, appKind, "appid/"+appID, 2)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		r, err := readRegisteredApp(e)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// HasSecret reports whether secret is the app's. It compares in constant time.
func (r RegisteredApp) HasSecret(secret string) bool { return equalSecrets(r.App.Secret, secret) }
