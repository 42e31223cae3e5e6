package compat

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/ticket"
)

// createApp registers an app, and fetches its token and ticket for the first readers.
func (s *wetoken) createApp(w http.ResponseWriter, r *http.Request) {
	p, err := readParams(w, r)
	if err != nil {
		writeResult(w, http.StatusBadRequest, err.Error())
		return
	}
	caller, err := s.findAdmin(r, p)
	if err != nil {
		status, text := s.explain(err, "")
		writeResult(w, status, text)
		return
	}
	appID := p.text("appid")
	if err := s.addApp(withActor(r.Context(), caller), appID, p); err != nil {
		writeResult(w, http.StatusOK, err.Error())
		return
	}
	s.prefetch(r.Context(), appID)
	writeResult(w, http.StatusOK, "")
}

// withActor has registrations audited as those of a caller, which may be nil.
func withActor(ctx context.Context, c *gateway.Caller) context.Context {
	if c == nil {
		return gateway.WithActor(ctx, "(no key)")
	}
	return gateway.WithActor(ctx, c.Name())
}

// writeResult answers in the old form. An empty text is success.
func writeResult(w http.ResponseWriter, status int, text string) {
	if text == "" {
		answer.JSON(w, status, []byte(`{"errcode":0,"errmsg":"success"}`))
		return
	}
	answer.Error(w, status, 400, text)
}

// appName returns the name of an app that old clients know by its appid alone.
func appName(appID string) string { return "app-" + strings.TrimPrefix(appID, "wx") }

const textInvalid = "输入参数有误 "

// addApp registers an app with the parameters of a request, unless one has its appid.
func (s *wetoken) addApp(ctx context.Context, appID string, p params) error {
	for _, name := range []string{"appid", "secret", "token"} {
		if p.text(name) == "" {
			return errors.New(textInvalid + name + ": non zero value required")
		}
	}
	for _, name := range []string{"appid", "secret", "token", "aesKey", "mchid", "payKey", "subAppid", "subMchid"} {
		if p.conflicts(name) {
			return errors.New(textInvalid + name + ": the query and the body have different values")
		}
	}
	apps := s.gateway.Apps()
	taken, err := apps.WithAppID(ctx, appID)
	if err != nil {
		return err
	}
	if len(taken) > 0 {
		return fmt.Errorf("%.100s已经存在", appID)
	}
	app := gateway.App{
		AppID: appID, Secret: p.text("secret"), Keep: true, Tickets: []string{ticket.JSAPI}, Message: &gateway.Message{Token: p.text("token"), AESKey: p.text("aesKey")},
	}
	if err := apps.Check(ctx, appName(appID), app, nil); err != nil {
		return explainInvalid(err)
	}
	if err := s.addMerchant(ctx, p); err != nil {
		return explainInvalid(err)
	}
	_, err = apps.Add(ctx, appName(appID), app)
	if errors.Is(err, gateway.ErrTaken) || errors.Is(err, gateway.ErrInFile) {
		return fmt.Errorf("%.100s已经存在", appID)
	}
	return explainInvalid(err)
}

// explainInvalid returns the error for a setting in the old form.
func explainInvalid(err error) error {
	var invalid *gateway.SettingError
	if errors.As(err, &invalid) {
		return errors.New(textInvalid + strings.TrimPrefix(invalid.Error(), "gateway: "))
	}
	return err
}

// addMerchant registers the merchant in the parameters of a request, unless it is there with the same key. The old system took no
// payments, so the app takes none before its setting pay names the merchant.
func (s *wetoken) addMerchant(ctx context.Context, p params) error {
	m := gateway.Merchant{MchID: p.text("mchid"), SubMchID: p.text("subMchid"), V2: &gateway.APIv2{APIKey: p.text("payKey"), SignType: "MD5"}}
	if m.MchID == "" && m.SubMchID == "" && m.V2.APIKey == "" && p.text("subAppid") == "" {
		return nil
	}
	if m.MchID == "" || m.V2.APIKey == "" {
		return errors.New(textInvalid + "mchid, payKey: want both or neither")
	}
	if m.SubAppID = p.text("subAppid"); m.SubAppID != "" && m.SubMchID == "" {
		return errors.New(textInvalid + "subAppid: needs subMchid")
	}
	name := m.MchID
	if m.SubMchID != "" {
		name += "-" + m.SubMchID
	}
	merchants := s.gateway.Merchants()
	_, err := merchants.Put(ctx, name, m, gateway.NoRevision)
	if !errors.Is(err, gateway.ErrStale) && !errors.Is(err, gateway.ErrInFile) && !errors.Is(err, gateway.ErrTaken) {
		return err
	}
	there, e := merchants.Get(ctx, name)
	if e != nil {
		return err
	}
	if v2 := there.Merchant.V2; v2 == nil || subtle.ConstantTimeCompare([]byte(v2.APIKey), []byte(m.V2.APIKey)) != 1 {
		return errors.New(textInvalid + "payKey: the merchant is registered with another key")
	}
	if there.Merchant.SubAppID != m.SubAppID {
		return errors.New(textInvalid + "subAppid: the merchant is registered with another one")
	}
	return nil
}

// prefetch fetches the token and the ticket of a new app. Failures are in the log; the first reader gets them too.
func (s *wetoken) prefetch(ctx context.Context, appID string) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	a, err := s.gateway.ServedApp(ctx, appID, "/token")
	if err != nil {
		return
	}
	if _, err = a.Tokens().Token(ctx); err == nil {
		_, _ = a.Tickets().Ticket(ctx, ticket.JSAPI)
	}
}
