package compat

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// registerParams are the parameters of /register. Each but call is given once.
var registerParams = []string{"key", "appid", "secret", "token", "aes", "mch_id", "mch_key", "server_ip", "expires"}

var errKeyExists = errors.New("key exists")

// paramError reports a parameter that cannot be registered.
type paramError struct{ name, reason string }

func (e *paramError) Error() string { return e.name + ": " + e.reason }

// register registers an app, or changes what is given of one that the key and the appid name.
func (s *proxy) register(w http.ResponseWriter, r *http.Request) {
	p, err := readParams(w, r)
	if err != nil {
		writeProxyError(w, http.StatusBadRequest, codeProxy, err.Error())
		return
	}
	caller, err := s.findAdmin(r, p)
	if err != nil {
		writeAdmission(w, err)
		return
	}
	ctx := withActor(r.Context(), caller)
	for range 3 { // another request may register the key meanwhile
		if err = s.putApp(ctx, p); !errors.Is(err, gateway.ErrStale) {
			break
		}
	}
	if err != nil {
		writeRegisterError(w, err)
		return
	}
	answer.JSON(w, http.StatusOK, []byte(`{"success":true}`))
}

// writeRegisterError answers why nothing was registered: what the old system said with status 200, and all else with its own.
func writeRegisterError(w http.ResponseWriter, err error) {
	var (
		refused *wechat.Error
		param   *paramError
		setting *gateway.SettingError
	)
	switch {
	case errors.Is(err, errKeyExists), errors.Is(err, gateway.ErrTaken):
		writeProxyError(w, http.StatusOK, codeProxy, errKeyExists.Error())
	case errors.As(err, &refused):
		writeProxyError(w, http.StatusOK, int(refused.Code), refused.Msg)
	case errors.As(err, &param):
		writeProxyError(w, http.StatusBadRequest, codeProxy, err.Error())
	case errors.As(err, &setting):
		writeProxyError(w, http.StatusBadRequest, codeProxy, strings.TrimPrefix(setting.Error(), "gateway: "))
	case errors.Is(err, gateway.ErrInFile), errors.Is(err, gateway.ErrStale), errors.As(err, new(*gateway.UnfinishedError)):
		writeProxyError(w, http.StatusConflict, codeProxy, strings.TrimPrefix(err.Error(), "gateway: "))
	default:
		writeProxyError(w, http.StatusServiceUnavailable, codeProxy, err.Error())
	}
}

// putApp registers an app with the parameters of a request.
func (s *proxy) putApp(ctx context.Context, p params) error {
	for _, name := range registerParams {
		if p.conflicts(name) {
			return &paramError{name, "has different values"}
		}
	}
	key, appID := p.text("key"), p.text("appid")
	if key == "" || appID == "" {
		return &paramError{"key, appid", "must be given"}
	}
	apps, revision := s.gateway.Apps(), gateway.NoRevision
	old, err := apps.Get(ctx, key)
	switch {
	case errors.Is(err, gateway.ErrNotRegistered):
		if p.text("secret") == "" {
			return &paramError{"secret", "must be given"}
		}
	case err != nil:
		return err
	case old.App.AppID != appID:
		return errKeyExists
	case old.InFile:
		return s.compareApp(ctx, old.App, p)
	default:
		revision = old.Revision
	}
	if old.Name == "" {
		if old.App, err = s.newAppOf(ctx, appID); err != nil {
			return err
		}
	}
	app, err := mergeApp(old.App, p, time.Now())
	if err != nil {
		return err
	}
	if old.App.Secret != app.Secret { // a new app has another secret than none
		if err := s.verify(ctx, app); err != nil {
			return err
		}
	}
	if err := apps.Check(ctx, key, app, nil); err != nil { // before the merchant is changed
		return err
	}
	merchant, err := s.putMerchant(ctx, p, app)
	if err != nil {
		return err
	}
	if merchant != "" && (app.Pay == nil || app.Pay.Merchant != merchant) {
		changed := gateway.Pay{}
		if app.Pay != nil {
			changed = *app.Pay // with its notify_to
		}
		changed.Merchant, changed.Own = merchant, nil
		app.Pay = &changed
	}
	_, err = apps.Put(ctx, key, app, revision)
	return err
}

// newAppOf returns an app to register for an appid. Several keys may have one appid: they share its token, so the new one has the kind and
// the token_mode of the others, if these agree.
func (s *proxy) newAppOf(ctx context.Context, appID string) (app gateway.App, err error) {
	others, err := s.gateway.Apps().WithAppID(ctx, appID)
	for i, other := range others {
		kind, mode := other.App.Kind, other.App.TokenMode
		if i > 0 && (kind != app.Kind || mode != app.TokenMode) {
			return gateway.App{}, err
		}
		app.Kind, app.TokenMode = kind, mode
	}
	return app, err
}

// compareApp returns nil if an app of the configuration has all parameters that are given. Old clients register at each of their starts.
func (s *proxy) compareApp(ctx context.Context, app gateway.App, p params) error {
	same, err := mergeApp(app, p, time.Now())
	if err != nil {
		return err
	}
	mchID, mchKey, serverIP := p.text("mch_id"), p.text("mch_key"), p.text("server_ip")
	if !reflect.DeepEqual(same, app) || app.Pay == nil && mchID+mchKey+serverIP != "" {
		return gateway.ErrInFile
	}
	if app.Pay == nil {
		return nil
	}
	m, err := s.merchantOf(ctx, *app.Pay)
	if err != nil {
		return err
	}
	if _, _, changed := mergeMerchant(m, mchKey, serverIP); changed || mchID != "" && mchID != m.MchID {
		return gateway.ErrInFile
	}
	return nil
}

// verify asks WeChat whether it knows the app with its secret. A refusal of this server's address says nothing about that.
func (s *proxy) verify(ctx context.Context, app gateway.App) error {
	err := s.gateway.Apps().Verify(ctx, app)
	if errors.Is(err, wechat.ErrInvalidIP) || errors.Is(err, errWorkIP) {
		return nil
	}
	return err
}

// errWorkIP is WeCom's refusal of an address.
const errWorkIP wechat.Code = 60020

// mergeApp returns an app, which is empty for a new one, with the parameters that are given.
func mergeApp(app gateway.App, p params, now time.Time) (gateway.App, error) {
	app.AppID = p.text("appid")
	if strings.HasPrefix(app.AppID, "ww") && app.Kind == "" {
		app.Kind = wechat.Work
	}
	if secret := p.text("secret"); secret != "" && secret != app.Secret {
		app.Secret, app.NextSecret, app.PreviousSecret = secret, "", app.Secret
	}
	if token, aes := p.text("token"), p.text("aes"); token != "" || aes != "" {
		m := gateway.Message{}
		if app.Message != nil {
			m = *app.Message
		} else {
			app.ForwardSignature = true // wechat-proxy handed WeChat's signature on
		}
		if token != "" {
			m.Token = token
		}
		if aes != "" {
			m.AESKey = aes
		}
		app.Message = &m
	}
	var allow []string
	for _, call := range append(slices.Clone(p.query["call"]), p.body["call"]...) {
		if call = strings.TrimSpace(call); call != "" {
			allow = append(allow, "/"+strings.TrimPrefix(call, "/"))
		}
	}
	if allow != nil {
		app.Allow = allow
	}
	return app, setEnd(&app, p.text("expires"), now)
}

// maxExpires is the longest life of a registration that has an end, in seconds: 100 years.
const maxExpires = 100 * 365 * 24 * 3600

// setEnd sets the end of a registration, in seconds from now; 0 is never. One that has ended, and is registered again, begins anew.
func setEnd(app *gateway.App, expires string, now time.Time) error {
	if expires == "" {
		if hasEnded(*app) {
			app.ExpiresAt = time.Time{}
		}
		return nil
	}
	seconds, err := strconv.ParseInt(expires, 10, 64)
	switch {
	case err != nil, seconds < 0, seconds > maxExpires:
		return &paramError{"expires", "want seconds from now, or 0 for no end"}
	case seconds == 0:
		app.ExpiresAt = time.Time{}
	default:
		app.ExpiresAt = now.Add(time.Duration(seconds) * time.Second).UTC().Truncate(time.Second)
	}
	return nil
}
