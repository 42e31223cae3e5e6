package gateway

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/wetoken/wetoken/internal/registry"
	"github.com/wetoken/wetoken/pay"
)

// Check returns the error that [Apps.Put] would return, and registers nothing. The app may take payments with one of merchants,
// which need not be registered yet.
func (a *Apps) Check(ctx context.Context, name string, app App, merchants map[string]Merchant) error {
	if err := a.checkName(name); err != nil {
		return err
	}
	old, err := a.gateway.checkFree(ctx, appKind, name, app.id(name))
	if err != nil {
		return err
	}
	if app.Pay != nil {
		if c, ok := merchants[app.Pay.Merchant]; ok {
			if err := a.checkAppPay(ctx, name, app, &merchant{name: app.Pay.Merchant, config: c}); err != nil {
				return err
			}
			app.Pay = nil
		}
	}
	_, err = a.newEntry(ctx, name, old, app)
	return err
}

// Check returns the error that [Merchants.Put] would return, and registers nothing.
func (m *Merchants) Check(ctx context.Context, name string, merchant Merchant) error {
	if _, ok := m.gateway.merchants[name]; ok {
		return ErrInFile
	}
	if err := checkAppName(name); err != nil {
		return &SettingError{Reason: err.Error()}
	}
	e, err := m.newEntry(name, nil, merchant)
	if err != nil {
		return err
	}
	old, err := m.gateway.checkFree(ctx, merchantKind, name, e.ID)
	if err != nil {
		return err
	}
	_, err = m.newEntry(name, old, merchant)
	return err
}

// Verify asks WeChat Pay for an order that does not exist, with the keys of c and an appid of its. The error wraps WeChat's refusal.
func (m *Merchants) Verify(ctx context.Context, c Merchant, appID string) error {
	made, err := newMerchant("", c, m.gateway, true)
	if err != nil {
		return err
	}
	var asked pay.Merchant
	if c.V3 != nil && c.Version != "v2" {
		asked, err = made.buildV3(made.keys.Load(), appID, m.gateway)
	} else {
		asked, err = made.buildV2(made.keys.Load(), appID, nil, m.gateway)
	}
	if err != nil {
		return err
	}
	if _, err = asked.Query(ctx, rand.Text()); errors.Is(err, pay.ErrNotFound) {
		return nil
	}
	return err
}

// checkFree returns the entry that has a name, or nil, and an error if another entry has the name or the id.
func (g *Gateway) checkFree(ctx context.Context, kind registry.Kind, name, id string) (old *registry.Entry, err error) {
	if g.registered == nil {
		return nil, ErrUnsealed
	}
	old, ok, err := g.registered.ByName(ctx, kind, name)
	if err != nil || ok && old.Name == name {
		return old, err
	}
	if !ok {
		_, ok, err = g.registered.ByID(ctx, kind, id)
	}
	if ok {
		err = ErrTaken
	}
	return nil, err
}
