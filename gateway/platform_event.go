package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/message/event"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// handleNotice does what a notice of the open platform demands. WeChat sends a notice again whose handling fails.
func (p *platformPart) handleNotice(ctx context.Context, m *message.Message) (message.Reply, error) {
	switch m.InfoType {
	case "component_verify_ticket":
		var e event.ComponentVerifyTicket
		if err := m.Decode(&e); err != nil {
			return nil, err
		}
		return nil, p.platform.SaveTicket(ctx, e.ComponentVerifyTicket, m.CreateTime)
	case "authorized", "updateauthorized", "unauthorized":
		var e event.Authorized
		if err := m.Decode(&e); err != nil {
			return nil, err
		}
		if e.AuthorizerAppID == "" || len(e.AuthorizerAppID) > maxTermAppID || strings.ContainsAny(e.AuthorizerAppID, "/ ") {
			return nil, fmt.Errorf("gateway: the notice %s has no appid of an account", m.InfoType)
		}
		if m.InfoType == "unauthorized" {
			return nil, p.close(ctx, e.AuthorizerAppID, m.CreateTime)
		}
		return nil, p.authorized(ctx, e, m.CreateTime, m.InfoType == "authorized")
	}
	p.app.gateway.log.InfoContext(ctx, "a notice of the open platform is not handled", "app", p.app.name, "notice", m.InfoType)
	return nil, nil
}

// Codes of WeChat for authorization codes.
const (
	errAuthCodeInvalid wechat.Code = 61009
	errAuthCodeExpired wechat.Code = 61010
)

// authorized opens the app of an account that has authorized the platform, anew or otherwise than before.
func (p *platformPart) authorized(ctx context.Context, e event.Authorized, at time.Time, anew bool) error {
	_, err := p.platform.Authorize(ctx, e.AuthorizationCode, at)
	if errors.Is(err, errAuthCodeInvalid) || errors.Is(err, errAuthCodeExpired) { // its exchange was lost, such as by a process that was killed
		err = p.platform.Recover(ctx, e.AuthorizerAppID)
	}
	if errors.Is(err, wechat.ErrNotAuthorized) {
		return nil // it was revoked since, of which there is a notice, too
	}
	if err != nil {
		return err
	}
	if anew {
		g := p.app.gateway
		list, err := g.registered.ByTerm(ctx, appKind, g.authorizedTerm(p.app.name, e.AuthorizerAppID), 1)
		if err == nil && len(list) > 0 {
			err = p.forgetEnded(ctx, list[0], at)
		}
		if err != nil {
			return err
		}
	}
	if _, err = p.open(ctx, e.AuthorizerAppID, "", at); errors.Is(err, wechat.ErrNotAuthorized) {
		return nil
	}
	return err
}

const (
	registerLease = 10 * time.Second
	registerPoll  = 50 * time.Millisecond
	registerTries = 5 // names
)

// open registers the app of an account that has authorized the platform, or opens it again, and returns its name. An app that has the
// name that it would have without wanted gets the name wanted.
func (p *platformPart) open(ctx context.Context, appID, wanted string, at time.Time) (name string, err error) {
	release, err := p.lockAccount(ctx, appID)
	if err != nil {
		return "", err
	}
	defer release()
	g := p.app.gateway
	list, err := g.registered.ByTerm(ctx, appKind, g.authorizedTerm(p.app.name, appID), 1)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		name, err = p.register(ctx, appID, wanted, at)
		return name, p.dropRevoked(ctx, appID, at, err)
	}
	name = list[0].Name
	if err := p.checkReopening(ctx, list[0]); err != nil {
		return "", p.dropRevoked(ctx, appID, at, err)
	}
	opened := false
	_, err = g.Apps().write(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		return p.changeState(ctx, old, func(c *App) bool {
			opened = !c.RevokedAt.IsZero() || c.AuthorizedAt.IsZero()
			c.RevokedAt, c.AuthorizedAt = time.Time{}, latest(c.AuthorizedAt, at.UTC().Truncate(time.Second))
			return true
		})
	})
	if err != nil {
		return "", err
	}
	if opened {
		p.auditState(ctx, "open", name, appID)
	}
	if wanted != "" && wanted != name && name == defaultName(appID) {
		if r, err := g.Apps().Rename(ctx, name, wanted, AnyRevision); err == nil {
			name = r.Name
		}
	}
	return name, nil
}

// checkReopening returns an error for a closed app whose account has no authorization: it may have been revoked after its code was exchanged,
// and before the refresh token was written. It forgets the token of before.
func (p *platformPart) checkReopening(ctx context.Context, e *registry.Entry) error {
	r, err := readRegisteredApp(e)
	if err != nil || r.App.RevokedAt.IsZero() && !r.App.AuthorizedAt.IsZero() {
		return err
	}
	if _, err := p.platform.Account(ctx, r.App.AppID); err != nil {
		return err
	}
	return p.forgetEnded(ctx, e, time.Time{})
}

// dropRevoked removes the refresh token of an account if err is that it has no authorization, and returns err.
func (p *platformPart) dropRevoked(ctx context.Context, appID string, at time.Time, err error) error {
	if errors.Is(err, wechat.ErrNotAuthorized) {
		_, failed := p.platform.Revoke(ctx, appID, at)
		err = errors.Join(err, failed)
	}
	return err
}

// earlierBy is how much older than a notice an authorization is that is another one: a browser may come before its notice.
const earlierBy = 10 * time.Minute

// forgetEnded forgets the token of an app if its authorization has ended: it was revoked, or is older than one that began at an instant.
func (p *platformPart) forgetEnded(ctx context.Context, e *registry.Entry, began time.Time) error {
	r, err := readRegisteredApp(e)
	if err != nil || r.App.RevokedAt.IsZero() && !r.App.AuthorizedAt.Before(began.Add(-earlierBy)) {
		return err
	}
	a, err := p.appOf(ctx, r.App.AppID)
	if err != nil || a == nil {
		return err
	}
	return a.forget(ctx)
}

// register registers the app of an account under the name wanted or, if that is taken, under another one: nothing of an authorization may
// be lost for a name.
func (p *platformPart) register(ctx context.Context, appID, wanted string, at time.Time) (name string, err error) {
	account, err := p.platform.Account(ctx, appID)
	if err != nil {
		return "", err
	}
	c := App{Kind: wechat.Authorized, AppID: appID, Platform: p.app.name, Name: shortenName(account.Name)}
	if account.Mini {
		c.Account = wechat.Mini
	}
	names := []string{wanted, defaultName(appID)}
	for range registerTries {
		names = append(names, defaultName(appID)+"-"+strings.ToLower(rand.Text()[:6]))
	}
	for _, name = range names {
		if name == "" || checkAppName(name) != nil {
			continue
		}
		if _, err = p.app.gateway.Apps().addAuthorized(ctx, name, c, at); err == nil {
			p.auditState(ctx, "open", name, appID)
			return name, nil
		}
		if !errors.Is(err, ErrTaken) && !errors.Is(err, ErrInFile) {
			break
		}
		p.app.gateway.log.WarnContext(ctx, "an account that has authorized a platform gets another name than asked for", "app", p.app.name, "name", name, "appid", appID)
	}
	return "", err
}

// maxShownName is the greatest length of the name of an account that is kept for people.
const maxShownName = 64

func shortenName(name string) string {
	name = strings.TrimSpace(strings.ToValidUTF8(name, ""))
	for len(name) > maxShownName {
		runes := []rune(name)
		name = string(runes[:len(runes)-1])
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, name)
}

// defaultName returns the name of the app of an account for which no other one is asked.
func defaultName(appID string) string { return "app-" + strings.TrimPrefix(appID, "wx") }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// close closes the app of an account that has revoked its authorization at an instant.
func (p *platformPart) close(ctx context.Context, appID string, at time.Time) error {
	revoked, err := p.platform.Revoke(ctx, appID, at)
	if err != nil || !revoked {
		return err
	}
	release, err := p.lockAccount(ctx, appID)
	if err != nil {
		return err
	}
	defer release()
	g := p.app.gateway
	list, err := g.registered.ByTerm(ctx, appKind, g.authorizedTerm(p.app.name, appID), 1)
	if err != nil || len(list) == 0 {
		return err
	}
	a, err := p.appOf(ctx, appID)
	if err != nil {
		return err
	}
	name, closed := list[0].Name, false
	_, err = g.Apps().write(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		return p.changeState(ctx, old, func(c *App) bool {
			closed = c.RevokedAt.IsZero() && !at.Before(c.AuthorizedAt)
			if closed {
				c.RevokedAt = at.UTC().Truncate(time.Second)
			}
			return closed
		})
	})
	if err != nil || !closed {
		return err
	}
	p.auditState(ctx, "close", name, appID)
	if a != nil {
		if err := a.forget(ctx); err != nil {
			p.app.logRenewalError(ctx, err) // WeChat refuses the token that stays
		}
	}
	return nil
}

// changeState returns the entry of an authorized app after change, or the same one if change reports false.
func (p *platformPart) changeState(ctx context.Context, old *registry.Entry, change func(*App) bool) (*registry.Entry, error) {
	if old == nil {
		return nil, ErrNotRegistered
	}
	r, err := readRegisteredApp(old)
	if err != nil {
		return nil, err
	}
	if !change(&r.App) {
		return old, nil
	}
	return p.app.gateway.Apps().newEntry(ctx, old.Name, old, r.App)
}

func (p *platformPart) auditState(ctx context.Context, action, name, appID string) {
	by := "WeChat"
	if name, ok := ctx.Value(actorKey{}).(string); ok {
		by = name
	}
	p.app.gateway.audit(ctx, "authorization", "action", action, "caller", by, "app", name, "platform", p.app.name, "appid", appID)
}

// lockAccount has one process at a time change the app of an account: the browser and the notice of an authorization come at once.
func (p *platformPart) lockAccount(ctx context.Context, appID string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, registerLease)
	defer cancel()
	for {
		lease, ok, err := store.TryLease(ctx, p.app.gateway.store, "platform/"+p.app.appID+"/app/"+appID, registerLease)
		if err != nil {
			return nil, err
		}
		if ok {
			return func() { _ = lease.Release(context.WithoutCancel(ctx)) }, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("gateway: wait for another process that registers the account: %w", context.Cause(ctx))
		case <-time.After(registerPoll):
		}
	}
}

// addAuthorized registers the app of an account that has authorized a platform.
func (a *Apps) addAuthorized(ctx context.Context, name string, c App, at time.Time) (RegisteredApp, error) {
	if err := a.checkName(name); err != nil {
		return RegisteredApp{}, err
	}
	c.AuthorizedAt = at.UTC().Truncate(time.Second)
	return a.write(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		if old != nil {
			return nil, ErrTaken
		}
		return a.newEntry(ctx, name, nil, c)
	})
}

// keepAuthorization keeps the state of an authorized app, which no change of its settings decides.
func (a *Apps) keepAuthorization(next, before *App) error {
	if next.Kind == wechat.Platform {
		return &SettingError{"kind", "must not be platform here: a platform is part of the configuration"}
	}
	if before != nil && (before.Kind == wechat.Authorized || next.Kind == wechat.Authorized) && (before.Kind != next.Kind || before.Platform != next.Platform || before.AppID != next.AppID) {
		return &SettingError{"kind", "an app keeps its kind, platform and app_id where it is authorized: delete it first"}
	}
	if next.Kind != wechat.Authorized {
		return nil
	}
	if a.gateway.platformNamed(next.Platform) == nil {
		return &SettingError{"platform", "unknown platform: want the name of an app of kind platform in the configuration"}
	}
	next.AuthorizedAt, next.RevokedAt = time.Time{}, time.Time{}
	if before != nil {
		next.AuthorizedAt, next.RevokedAt = before.AuthorizedAt, before.RevokedAt
	}
	return nil
}
