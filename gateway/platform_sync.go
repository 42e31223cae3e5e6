package gateway

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/wechat"
)

// ErrNoPlatform reports that no app of kind platform has a name.
var ErrNoPlatform = errors.New("gateway: no such platform: want the name of an app of kind platform")

// PlatformChange is a difference between the accounts that WeChat lists for a platform and those that the records have.
type PlatformChange struct {
	Action string // register, open, close, recover (the refresh token) or none
	AppID  string
	App    string // its name here, or "" before it is registered
	Reason string
	Err    error // the reason why the change was not made, or cannot be made
}

// StartPush has WeChat push component_verify_ticket to a platform (启动推送服务): api_start_push_ticket.
func (g *Gateway) StartPush(ctx context.Context, name string) error {
	a := g.platformNamed(name)
	if a == nil {
		return ErrNoPlatform
	}
	return a.managers().platform.StartPush(ctx)
}

// SyncPlatform compares the accounts of a platform with those that WeChat lists: it reads api_get_authorizer_list and, where the
// records lack a refresh token that the list has not either, or have an account that it lacks, api_get_authorizer_info. With apply it makes the changes that it yields. A
// refresh token that differs stays: the next renewal finds out which one is good.
func (g *Gateway) SyncPlatform(ctx context.Context, name string, apply bool) iter.Seq2[PlatformChange, error] {
	return func(yield func(PlatformChange, error) bool) {
		a := g.platformNamed(name)
		if a == nil {
			yield(PlatformChange{}, ErrNoPlatform)
			return
		}
		p := a.part()
		began := time.Now()
		listed := make(map[string]bool)
		for account, err := range p.platform.Accounts(ctx) {
			if err != nil {
				yield(PlatformChange{}, err)
				return
			}
			listed[account.AppID] = true
			changes, err := p.compare(ctx, account)
			if err != nil {
				yield(PlatformChange{}, err)
				return
			}
			for _, c := range changes {
				if apply {
					p.apply(ctx, &c, account)
				}
				if !yield(c, nil) {
					return
				}
			}
		}
		for r, err := range g.Apps().All(ctx) {
			if err != nil {
				yield(PlatformChange{}, err)
				return
			}
			c := r.App
			if c.Kind != wechat.Authorized || c.Platform != name || listed[c.AppID] || !c.RevokedAt.IsZero() || c.AuthorizedAt.IsZero() || c.AuthorizedAt.After(began) {
				continue
			}
			// The pages of the list shift while accounts come and go, so WeChat is asked about this one.
			if _, err := p.platform.Account(ctx, c.AppID); err == nil {
				continue
			} else if !errors.Is(err, wechat.ErrNotAuthorized) {
				yield(PlatformChange{}, err)
				return
			}
			change := PlatformChange{Action: "close", AppID: c.AppID, App: r.Name, Reason: "the account has not authorized the platform"}
			if apply {
				change.Err = p.close(ctx, c.AppID, time.Now())
			}
			if !yield(change, nil) {
				return
			}
		}
	}
}

// compare returns how an account that WeChat lists differs from what the records have.
func (p *platformPart) compare(ctx context.Context, account platform.Account) (changes []PlatformChange, err error) {
	g := p.app.gateway
	list, err := g.registered.ByTerm(ctx, appKind, g.authorizedTerm(p.app.name, account.AppID), 1)
	if err != nil {
		return nil, err
	}
	name := ""
	if len(list) > 0 {
		name = list[0].Name
	}
	kept, err := p.platform.Compare(ctx, account)
	if err != nil {
		return nil, err
	}
	add := func(action, reason string) {
		changes = append(changes, PlatformChange{Action: action, AppID: account.AppID, App: name, Reason: reason})
	}
	switch kept {
	case platform.KeptMissing:
		add("recover", "the records have no refresh token of it")
	case platform.KeptOther:
		add("none", "the refresh token is another one than WeChat lists: the next renewal finds out which one is good")
	}
	if len(list) == 0 {
		add("register", "no app is registered for it")
		return changes, nil
	}
	r, err := readRegisteredApp(list[0])
	if err != nil {
		return nil, err
	}
	if !r.App.RevokedAt.IsZero() || r.App.AuthorizedAt.IsZero() {
		add("open", "its app is closed, although WeChat lists the account")
	}
	return changes, nil
}

// apply makes a change, or sets the reason why it was not made.
func (p *platformPart) apply(ctx context.Context, c *PlatformChange, account platform.Account) {
	switch c.Action {
	case "recover":
		c.Err = p.platform.Adopt(ctx, account)
	case "register", "open":
		ok, err := p.platform.Has(ctx, account.AppID)
		if err == nil && !ok {
			err = errors.New("gateway: the refresh token is missing: have the account's administrator authorize the platform again")
		}
		if err == nil {
			c.App, err = p.open(ctx, account.AppID, "", time.Now().Add(-time.Minute))
		}
		c.Err = err
	}
}
