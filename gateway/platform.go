package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// A third-party platform (第三方平台) is an app of the configuration, of kind platform. The accounts that authorize it become registered
// apps of kind authorized, which name it. The rooms of such an app are those of its account's kind; only its token, its logins and its
// messages come by the platform.

// accountKind returns the kind of the account of an app, which decides which routes it has.
func (a App) accountKind() wechat.Kind {
	switch a.Kind {
	case wechat.Authorized:
		return cmp.Or(a.Account, wechat.Official)
	case wechat.Platform, "":
		return wechat.Official
	}
	return a.Kind
}

// checkPlatform returns an error for settings that a platform or an authorized app cannot have, and that no other app can.
func (a App) checkPlatform() error {
	if a.Kind == wechat.Authorized {
		return a.checkAuthorized()
	}
	switch {
	case a.Platform != "" || a.Account != "" || !a.AuthorizedAt.IsZero() || !a.RevokedAt.IsZero():
		return errors.New("platform, account, authorized_at, revoked_at: must be unset: want kind authorized")
	case a.ReleaseCheck && a.Kind != wechat.Platform:
		return errors.New("release_check: must be unset: want kind platform")
	case a.Kind != wechat.Platform:
		return nil
	case a.Message == nil:
		return errors.New("message: must be set for a platform: the Token and the Key of its page in the open platform")
	case a.TokenMode != "" || len(a.Tickets) > 0:
		return errors.New("token_mode, tickets: must be unset for a platform")
	case a.Pay != nil || a.OpenPay != (OpenPay{}) || a.Cards || a.WCodeTemplateID != "" || len(a.ReceiveIDs) > 0:
		return errors.New("pay, open_pay, cards, wcode_template_id, receive_ids: must be unset for a platform")
	case !a.ExpiresAt.IsZero():
		return errors.New("expires_at: must be unset for a platform")
	}
	return nil
}

func (a App) checkAuthorized() error {
	switch {
	case a.Platform == "" || checkAppName(a.Platform) != nil:
		return errors.New("platform: must name the platform that the account has authorized")
	case a.Account != "" && a.Account != wechat.Official && a.Account != wechat.Mini:
		return errors.New("account: want official or mini")
	case a.Secret != "" || a.NextSecret != "" || a.PreviousSecret != "":
		return errors.New("secret, next_secret, previous_secret: must be unset for kind authorized: the platform has the secret")
	case a.TokenMode != "" || a.AgentID != 0 || a.ReleaseCheck || len(a.ReceiveIDs) > 0:
		return errors.New("token_mode, agent_id, release_check, receive_ids: must be unset for kind authorized")
	case len(a.AppID) > maxTermAppID || strings.ContainsAny(a.AppID, "/ "):
		return errors.New("app_id: want the appid of an account")
	}
	return nil
}

// maxTermAppID is the greatest length of the appid of an account.
const maxTermAppID = 64

// checkAuthorized returns an error for callbacks that an authorized app cannot have.
func (m *Message) checkAuthorized(a App) error {
	if m.Token != "" || m.AESKey != "" || m.Mode != "" || m.PreviousToken != "" || m.PreviousAESKey != "" {
		return errors.New("message: want forward and allow_private alone for kind authorized: its messages have the token and key of the platform")
	}
	probe := Message{Token: "checked", Forward: m.Forward, AllowPrivate: m.AllowPrivate}
	a.Kind = a.accountKind()
	return probe.check(a)
}

// checkPlatforms returns an error if the configuration has a platform whose accounts cannot be registered.
func (g *Gateway) checkPlatforms(c Config) error {
	for name, a := range c.Apps {
		switch {
		case a.Kind != wechat.Platform:
		case g.registered == nil:
			return fmt.Errorf("gateway: config: apps.%s.kind: a platform needs records that are sealed, since its accounts are registered there: set WETOKEN_MASTER_KEYS, or Options.Records to a store.Sealed", name)
		case cmp.Or(a.PublicURL, c.PublicURL) == "":
			return fmt.Errorf("gateway: config: public_url: must be set for the platform apps.%s", name)
		}
	}
	return nil
}

// HasPlatform reports whether an app of the configuration is a platform, whose refresh tokens the records must not lose.
func (c Config) HasPlatform() bool {
	for _, a := range c.Apps {
		if a.Kind == wechat.Platform {
			return true
		}
	}
	return false
}

// platformNamed returns the platform with a name, or nil.
func (g *Gateway) platformNamed(name string) *app {
	if a := g.served.Load().named[name]; a != nil && a.name == name && a.kind == wechat.Platform {
		return a
	}
	return nil
}

var errNoPlatform = errors.New("gateway: the platform of this app is not part of the configuration")

// newPlatform returns the platform that a is.
func (a *app) newPlatform() *platform.Platform {
	g := a.gateway
	return &platform.Platform{
		AppID: a.appID, Secret: a.secret, NextSecret: a.nextSecret, Records: g.records, Store: g.store, Client: a.newClient(), MPURL: g.endpoints.MP,
		OnError: a.logRenewalError,
		OnRecover: func(ctx context.Context, appID string) {
			g.audit(ctx, "authorization", "action", "recover", "caller", "WeChat", "app", a.name, "appid", appID)
		},
	}
}

// inheritPlatform gives an authorized app what it has of its platform: the token and key of its messages, the backends and the sign_key
// if it has none of its own, and the public URL.
func (g *Gateway) inheritPlatform(a *app) {
	p := g.platformNamed(a.platform)
	if p == nil {
		a.message = nil // its registration stays, and its calls are refused
		return
	}
	own := a.message
	m := *p.message
	if own != nil {
		m.Forward, m.AllowPrivate = own.Forward, own.AllowPrivate
	}
	a.message, a.receiveIDs = &m, ReceiveIDs{p.appID}
	if a.signKey == "" {
		a.signKey, a.previousSignKey = p.signKey, p.previousSignKey
	}
	if a.publicURL == g.publicURL {
		a.publicURL = p.publicURL
	}
}

// keepByPlatform has the token of an authorized app come by its platform.
func (a *app) keepByPlatform(m *token.Manager) {
	m.Kind, m.Secret, m.NextSecret = wechat.Authorized, "", ""
	m.PlatformID, m.Fetch = a.platform, func(context.Context) (wechat.Credential, error) { return wechat.Credential{}, errNoPlatform }
	if p := a.gateway.platformNamed(a.platform); p != nil {
		m.PlatformID, m.Fetch = p.appID, p.managers().platform.Authorizer(a.appID).Fetch
	}
}

// platformTokens returns the appid of the platform of an authorized app, and the platform as the source of its token.
func (a *app) platformTokens() (string, wechat.TokenSource) {
	if p := a.gateway.platformNamed(a.platform); a.platform != "" && p != nil {
		return p.appID, p.managers().platform
	}
	return "", nil
}

// forgetAuthorization removes the refresh token of an app that is deleted. WeChat tells it again: see [Gateway.SyncPlatform].
func (a *app) forgetAuthorization(ctx context.Context) error {
	if p := a.gateway.platformNamed(a.platform); a.platform != "" && p != nil {
		_, err := p.managers().platform.Revoke(ctx, a.appID, time.Time{})
		return err
	}
	return nil
}

// isRevoked reports whether a, which may be nil, is an app whose account has revoked its authorization.
func (a *app) isRevoked() bool { return a != nil && !a.revokedAt.IsZero() }

// revokedError is the refusal of each call of an app whose account has revoked its authorization.
func (a *app) revokedError() error {
	return &wechat.Error{Op: "app " + a.name, Code: wechat.ErrNotAuthorized, Msg: fmt.Sprintf("the account has revoked its authorization of the platform %q", a.platform)}
}

// refuseRevoked replies to a request for an app whose account has revoked its authorization: 403 with 61003.
func (g *Gateway) refuseRevoked(w http.ResponseWriter, r *http.Request, a *app, s side) {
	if s.private && (!s.public || hasAuthorization(r)) {
		if _, err := g.findCaller(r); err != nil {
			refuseCaller(w, err)
			return
		}
	}
	answer.Failure(w, a.revokedError())
}

// buildPlatform sets the parts of a platform.
func (a *app) buildPlatform(h *handlers) {
	part := a.part()
	part.events, part.others = part.newReceiver("", part.handleNotice), part.newReceiver("/others", nil)
	if a.releaseCheck {
		part.answerRelease(part.others, true)
	}
	h.messages, h.platformPart = part.events, part
	h.private = append(h.private, &token.Handler{Source: h.platform, Guard: a.guardReadOrRenew("token")}, retryPart{a, h.managers}, part.private())
	h.public = append(h.public, part.public())
}

// platformPart serves a platform:
//
//	POST /event                   the notices of the open platform: tickets, authorizations
//	POST /message/{appid}         messages of the accounts, with $APPID$ in WeChat's console
//	GET  /authorize?to=&type=&app=  the page that leads to WeChat's authorization page
//	GET  /authorize/callback      where WeChat sends the browser back
//	POST /authorizations          scope admin: a link to the first page, for a new name
type platformPart struct {
	app      *app
	platform *platform.Platform
	events   *message.Receiver
	others   *message.Receiver // messages of accounts without an app here
	releases chan struct{}     // has an element for each answer to the release check that is on its way
}

// part returns the part of a platform, without its receivers.
func (a *app) part() *platformPart {
	return &platformPart{app: a, platform: a.managers().platform, releases: make(chan struct{}, maxReleases)}
}

func (p *platformPart) public() routeMap {
	return routeMap{
		"POST /event":             p.events,
		"POST /message/{appid}":   http.HandlerFunc(p.serveMessage),
		"GET /authorize":          http.HandlerFunc(p.serveAuthorize),
		"GET /authorize/callback": http.HandlerFunc(p.serveCallback),
	}
}

func (p *platformPart) private() routeMap {
	return routeMap{"POST /authorizations": p.app.guard("admin")(http.HandlerFunc(p.serveLink))}
}

// newReceiver returns a receiver of what WeChat sends to the platform, whose handler is called for all of it.
func (p *platformPart) newReceiver(name string, handle message.HandlerFunc) *message.Receiver {
	g, m := p.app.gateway, *p.app.message
	m.Forward = nil
	in, err := m.newReceiver(message.Config{
		AppID: p.app.appID, Name: p.app.id + name, Store: g.store, Log: g.log.With("app", p.app.name),
		Forward: message.Forwarding{Records: new(store.Memory)},
	})
	if err != nil { // Config.Check finds this error before
		g.log.Error("the notices of a platform are not served", "app", p.app.name, "error", err)
		return g.unknownApp
	}
	if handle != nil {
		in.Handle(message.All(), handle)
	}
	return in
}

// serveMessage passes a message of an account on to the app of the account.
func (p *platformPart) serveMessage(w http.ResponseWriter, r *http.Request) {
	a, err := p.appOf(r.Context(), r.PathValue("appid"))
	if err != nil {
		answer.Refuse(w, http.StatusServiceUnavailable, errRecordsAway.Error())
		return
	}
	if a == nil || a.isRevoked() || a.expired() || p.isReleaseAccount(a.appID) {
		p.others.ServeHTTP(w, r)
		return
	}
	a.handlers().messages.ServeHTTP(w, r)
}

// appOf returns the app of an account, or nil.
func (p *platformPart) appOf(ctx context.Context, appID string) (*app, error) {
	if appID == "" || len(appID) > maxTermAppID {
		return nil, nil
	}
	return p.app.gateway.registered.byTerm(ctx, p.app.gateway.authorizedTerm(p.app.name, appID), false)
}

// authorizedTerm returns the term of the app of an account that has authorized a platform.
func (g *Gateway) authorizedTerm(platformName, appID string) string {
	return "authorized/" + platformName + "/" + appID
}
