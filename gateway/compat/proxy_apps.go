package compat

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/redact"
)

// addApps adds the registration of apps, and what is registered.
func (s *proxy) addApps(m *http.ServeMux) {
	for _, method := range []string{"GET", "POST"} {
		handleSlash(m, method, "/register", s.register) // proxy_register.go
	}
	handleSlash(m, "GET", "/app/{app}", s.showApp)
}

// shownApp is an app as /app/{app} shows it. A secret that is set is redact.Mask.
type shownApp struct {
	Key       string
	AppID     string `json:"AppId"`
	Secret    string
	Token     string
	AesKey    string
	MchID     string `json:"MchId"`
	MchKey    string
	IPAddress string `json:"IpAddress"`
	Calls     []string
	Expires   *time.Time
}

// showApp shows an app to a key with scope token or admin, or to its secret.
func (s *proxy) showApp(w http.ResponseWriter, r *http.Request) {
	p := readQuery(r)
	ctx, name := r.Context(), r.PathValue("app")
	u := use{appID: name, route: "/", scope: "token", secret: p.text("secret")}
	if _, err := s.findCaller(r, p); err != nil && u.secret == "" {
		writeAdmission(w, err)
		return
	}
	if a, err := s.gateway.ServedApp(ctx, name, "/"); err == nil { // the name may be an appid
		name = a.Name()
	}
	found, err := s.gateway.Apps().Get(ctx, name)
	if err != nil && !errors.Is(err, gateway.ErrNotRegistered) {
		writeAdmission(w, err)
		return
	}
	if allow := found.App.Allow; len(allow) > 0 {
		u.route = allow[0] // what an app may be used through does not matter here
	}
	_, _, err = s.admit(r, p, u)
	if refused := (*refusal)(nil); errors.As(err, &refused) && refused.status == http.StatusForbidden {
		if _, notAdmin := s.findAdmin(r, p); notAdmin == nil {
			err = nil
		}
	}
	switch {
	case errors.Is(err, gateway.ErrNoApp), err == nil && found.Name == "", err == nil && hasEnded(found.App):
		writeProxyError(w, http.StatusOK, codeProxy, textNotFound)
		return
	case err != nil:
		writeAdmission(w, err)
		return
	}
	body, err := s.describe(ctx, found)
	if err != nil {
		writeAdmission(w, err)
		return
	}
	answer.JSON(w, http.StatusOK, body)
}

func hasEnded(a gateway.App) bool { return !a.ExpiresAt.IsZero() && !time.Now().Before(a.ExpiresAt) }

// describe returns the JSON of an app.
func (s *proxy) describe(ctx context.Context, found gateway.RegisteredApp) ([]byte, error) {
	a := found.App
	v := shownApp{Key: found.Name, AppID: a.AppID, Secret: mask(a.Secret), Calls: append([]string{}, a.Allow...)}
	if a.Message != nil {
		v.Token, v.AesKey = mask(a.Message.Token), mask(a.Message.AESKey)
	}
	if !a.ExpiresAt.IsZero() {
		v.Expires = &a.ExpiresAt
	}
	if a.Pay != nil {
		m, err := s.merchantOf(ctx, *a.Pay)
		if err != nil {
			return nil, err
		}
		v.MchID, v.IPAddress = m.MchID, m.ServerIP
		switch {
		case m.V2 != nil:
			v.MchKey = mask(m.V2.APIKey)
		case m.V3 != nil:
			v.MchKey = mask(m.V3.APIv3Key)
		}
	}
	return json.Marshal(v)
}

func (s *proxy) merchantOf(ctx context.Context, p gateway.Pay) (gateway.Merchant, error) {
	if p.Own != nil {
		return *p.Own, nil
	}
	m, err := s.gateway.Merchants().Get(ctx, p.Merchant)
	if errors.Is(err, gateway.ErrNotRegistered) { // it was removed since
		err = nil
	}
	return m.Merchant, err
}

func mask(secret string) string {
	if secret == "" {
		return ""
	}
	return redact.Mask
}
