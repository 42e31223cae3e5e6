package platform

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

// Codes of WeChat that package wechat does not export.
const (
	errInvalidToken   wechat.Code = 40014
	errTokenOld       wechat.Code = 42006 // component_access_token expired
	errTicketExpired  wechat.Code = 61005
	errTicketInvalid  wechat.Code = 61006
	errInvalidCode    wechat.Code = 61009
	errInvalidRefresh wechat.Code = 61023
)

// Call posts body, an object, to a path below /cgi-bin/component/ with the component_access_token, and decodes the answer into out. It adds
// component_appid to a nil body. A refused token is renewed, and the call repeated once.
func (p *Platform) Call(ctx context.Context, path string, body map[string]any, out any) error {
	if err := p.call(ctx, path, body, out); err != nil {
		return p.wrapError(err)
	}
	return nil
}

func (p *Platform) call(ctx context.Context, path string, body map[string]any, out any) error {
	whole := map[string]any{"component_appid": p.AppID}
	for name, v := range body {
		whole[name] = v
	}
	c, err := p.Token(ctx)
	if err != nil {
		return renew.Transient(err) // the keeper of the token remembers it
	}
	err = p.post(ctx, path, url.Values{"component_access_token": {c.Value}}, whole, out)
	if !refusesToken(err) {
		return err
	}
	if c, err = p.Renew(ctx, c.Value); err != nil {
		return renew.Transient(err)
	}
	return p.post(ctx, path, url.Values{"component_access_token": {c.Value}}, whole, out)
}

func (p *Platform) post(ctx context.Context, path string, query url.Values, body, out any) error {
	return p.Client.With(nil, wechat.APIURL).Post(ctx, "/cgi-bin/component/"+path, query, body, out)
}

// refusesToken reports whether a call failed because of its component_access_token.
func refusesToken(err error) bool {
	for _, code := range []wechat.Code{wechat.ErrInvalidCredential, errInvalidToken, wechat.ErrTokenExpired, errTokenOld} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// fetchToken gets a component_access_token with the newest ticket or, if WeChat refuses that, with the one before.
func (p *Platform) fetchToken(ctx context.Context) (c wechat.Credential, err error) {
	p.failed.Store(true)
	if p.AppID == "" || p.Secret == "" {
		return c, errors.New("AppID and Secret must be set")
	}
	tickets, _, err := p.readTickets(ctx)
	if err != nil {
		return c, err
	}
	err = ErrNoTicket
	for _, t := range tickets.good(time.Now()) {
		c, err = p.fetchTokenWith(ctx, t.Ticket)
		if !errors.Is(err, errTicketExpired) && !errors.Is(err, errTicketInvalid) {
			break
		}
		err = fmt.Errorf("%w: %w", ErrNoTicket, err)
	}
	if err == nil {
		p.failed.Store(false)
	}
	return c, err
}

func (p *Platform) fetchTokenWith(ctx context.Context, ticket string) (c wechat.Credential, err error) {
	var answer struct {
		Token     string       `json:"component_access_token"`
		ExpiresIn wirejson.Int `json:"expires_in"`
	}
	var start time.Time
	_, err = p.secrets.Call(p.Secret, p.NextSecret, func(err error) bool { return errors.Is(err, wechat.ErrInvalidSecret) }, func(secret string) error {
		start = time.Now()
		body := map[string]any{"component_appid": p.AppID, "component_appsecret": secret, "component_verify_ticket": ticket}
		return p.post(ctx, "api_component_token", nil, body, &answer)
	})
	if err != nil {
		return c, err
	}
	return credential(answer.Token, answer.ExpiresIn, start)
}

// credential returns a value of an answer of WeChat's to a call that began at start.
func credential(value string, expiresIn wirejson.Int, start time.Time) (wechat.Credential, error) {
	if value == "" || expiresIn <= 0 || expiresIn > wirejson.Int(renew.MaxLife/time.Second) {
		return wechat.Credential{}, fmt.Errorf("WeChat's answer has no valid value: expires_in is %d", expiresIn)
	}
	return wechat.Credential{Value: value, Expires: start.Add(time.Duration(expiresIn) * time.Second)}, nil
}

// StartPush has WeChat push component_verify_ticket again (启动推送服务).
func (p *Platform) StartPush(ctx context.Context) error {
	_, err := p.secrets.Call(p.Secret, p.NextSecret, func(err error) bool { return errors.Is(err, wechat.ErrInvalidSecret) }, func(secret string) error {
		return p.post(ctx, "api_start_push_ticket", nil, map[string]any{"component_appid": p.AppID, "component_secret": secret}, nil)
	})
	return p.wrapError(err)
}
