package compat

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/pay"
)

// putMerchant registers the merchant of a request, or changes what is given of it, and returns its name. It is "" if none is given. An app
// that has one already need not name it.
func (s *proxy) putMerchant(ctx context.Context, p params, app gateway.App) (name string, err error) {
	mchID, mchKey, serverIP := p.text("mch_id"), p.text("mch_key"), p.text("server_ip")
	if mchID == "" && mchKey == "" && serverIP == "" {
		return "", nil
	}
	merchants := s.gateway.Merchants()
	if name = mchID; app.Pay != nil {
		used, err := merchants.Get(ctx, app.Pay.Merchant)
		if err != nil && !errors.Is(err, gateway.ErrNotRegistered) {
			return "", err
		}
		if err == nil && (mchID == "" || mchID == used.Merchant.MchID) { // it may have another name
			name = app.Pay.Merchant
		}
	}
	if name == "" {
		return "", &paramError{"mch_id, mch_key", "want both or neither; server_ip needs them"}
	}
	old, err := merchants.Get(ctx, name)
	switch {
	case errors.Is(err, gateway.ErrNotRegistered) && (mchID == "" || mchKey == ""):
		return "", &paramError{"mch_id, mch_key", "want both or neither"}
	case errors.Is(err, gateway.ErrNotRegistered):
		next := gateway.Merchant{MchID: mchID, ServerIP: serverIP, V2: &gateway.APIv2{APIKey: mchKey, SignType: "MD5"}}
		if err = merchants.Check(ctx, name, next); err == nil {
			err = s.verifyMerchant(ctx, next, app.AppID)
		}
		if err == nil {
			_, err = merchants.Put(ctx, name, next, gateway.NoRevision)
		}
		if errors.Is(err, gateway.ErrTaken) {
			err = &paramError{"mch_id", "is registered under another name: name it in pay, with PUT /apps"}
		}
		return name, err
	case err != nil:
		return "", err
	}
	next, newKey, changed := mergeMerchant(old.Merchant, mchKey, serverIP)
	switch {
	case !changed:
		return name, nil
	case old.InFile:
		return "", &paramError{"mch_id", "the configuration of the server has this merchant, with another key or server_ip"}
	}
	if err = merchants.Check(ctx, name, next); err == nil && newKey {
		err = s.verifyMerchant(ctx, next, app.AppID)
	}
	if err == nil {
		_, err = merchants.Put(ctx, name, next, old.Revision)
	}
	return name, err
}

// verifyMerchant asks WeChat Pay whether it takes the key of APIv2 of a merchant. A wrong one would stop the payments of all its apps.
func (s *proxy) verifyMerchant(ctx context.Context, m gateway.Merchant, appID string) error {
	m.V3, m.Version = nil, ""
	err := s.gateway.Merchants().Verify(ctx, m, appID)
	refused := (*pay.Error)(nil)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.Code != "" && !errors.Is(err, pay.ErrUnknown) && !errors.Is(err, pay.ErrBusy):
		return &paramError{"mch_id, mch_key", "WeChat Pay refuses them: " + refused.Code + " " + refused.Message}
	}
	return fmt.Errorf("mch_id, mch_key: nothing is registered, because WeChat Pay cannot be asked about them now: %w", err)
}

// mergeMerchant returns a merchant with the parameters that are given, and whether it has another key, and any change. A key that is
// replaced verifies what was signed with it.
func mergeMerchant(m gateway.Merchant, mchKey, serverIP string) (next gateway.Merchant, newKey, changed bool) {
	v2 := gateway.APIv2{SignType: "MD5"}
	if m.V2 != nil {
		v2 = *m.V2
	}
	if mchKey != "" && subtle.ConstantTimeCompare([]byte(mchKey), []byte(v2.APIKey)) != 1 {
		v2.APIKey, v2.PreviousAPIKey, newKey, changed = mchKey, v2.APIKey, true, true
		m.V2 = &v2
	}
	if serverIP != "" && serverIP != m.ServerIP {
		m.ServerIP, changed = serverIP, true
	}
	return m, newKey, changed
}
