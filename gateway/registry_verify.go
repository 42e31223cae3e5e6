package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// VerifyError reports that an app is not registered, because WeChat refuses its appid or secret, or cannot be asked. It wraps the
// refusal.
type VerifyError struct{ Err error }

func (e *VerifyError) Error() string {
	return fmt.Sprintf("gateway: nothing is registered, since the app cannot be verified: %v", e.Err)
}

// Unwrap returns the reason.
func (e *VerifyError) Unwrap() error { return e.Err }

// Verify asks WeChat for a token with the appid and the secret of c, which need not be registered. It does not end the app's
// current token. The error wraps WeChat's refusal. A website has no token: Verify returns a [SettingError].
func (a *Apps) Verify(ctx context.Context, c App) error {
	if c.Kind == wechat.Platform || c.Kind == wechat.Authorized {
		return &SettingError{"verify", "must be unset for kind " + string(c.Kind) + ": it has no token by its secret alone"}
	}
	if c.Kind == wechat.Website {
		return &SettingError{"verify", "must be unset for a website: WeChat checks its secret only when a user logs in"}
	}
	probe := &app{gateway: a.gateway, kind: c.Kind}
	tokens := &token.Manager{
		AppID: c.AppID, Secret: c.Secret, NextSecret: c.NextSecret, Kind: c.Kind,
		Store: new(store.Memory), Client: probe.newClient(), OnError: func(context.Context, error) {},
	}
	_, err := tokens.Token(ctx)
	return err
}

// errWorkIP is WeCom's refusal of this server's address.
const errWorkIP wechat.Code = 60020

// verifier verifies an app that is to be registered. It asks WeChat once for the same credentials, however often the change is tried.
type verifier struct {
	apps  *Apps
	asked [4]string
	code  wechat.Code // 0, or 40164 or WeCom's 60020: WeChat does not take calls from this server's address, which does not judge the secret
	err   error
}

func (v *verifier) verify(ctx context.Context, c App) error {
	if asked := [4]string{string(c.Kind), c.AppID, c.Secret, c.NextSecret}; v.asked != asked {
		v.asked, v.code, v.err = asked, 0, v.apps.Verify(ctx, c)
	}
	switch {
	case v.err == nil:
		return nil
	case errors.Is(v.err, wechat.ErrInvalidIP), errors.Is(v.err, errWorkIP):
		errors.As(v.err, &v.code)
		return nil
	case errors.As(v.err, new(*SettingError)):
		return v.err
	}
	return &VerifyError{v.err}
}
