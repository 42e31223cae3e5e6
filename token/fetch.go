package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

// maxLife is what no token of WeChat's lives longer than; an answer beyond it is garbage.
const maxLife = 31 * 24 * time.Hour

func (m *Manager) stable(ctx context.Context) (wechat.Credential, error) {
	return m.postStable(ctx, false)
}

func (m *Manager) forced(ctx context.Context) (wechat.Credential, error) {
	return m.postStable(ctx, true)
}

func (m *Manager) postStable(ctx context.Context, force bool) (wechat.Credential, error) {
	body := struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh,omitempty"`
	}{"client_credential", m.AppID, m.Secret, force}
	return m.fetch(func(out any) error {
		return m.Client.With(nil, wechat.APIURL).Post(ctx, "/cgi-bin/stable_token", nil, body, out)
	})
}

func (m *Manager) classic(ctx context.Context) (wechat.Credential, error) {
	query := url.Values{"grant_type": {"client_credential"}, "appid": {m.AppID}, "secret": {m.Secret}}
	wire := m.Client.With(nil, wechat.APIURL)
	wire.HTTP = unrepeated(wire.HTTP)
	return m.fetch(func(out any) error {
		return wire.Get(ctx, "/cgi-bin/token", query, out)
	})
}

func (m *Manager) work(ctx context.Context) (wechat.Credential, error) {
	query := url.Values{"corpid": {m.AppID}, "corpsecret": {m.Secret}}
	return m.fetch(func(out any) error {
		return m.Client.With(nil, wechat.WorkURL).Get(ctx, "/cgi-bin/gettoken", query, out)
	})
}

// fetch makes a call and takes the token from its answer. Its life is counted from before the call.
func (m *Manager) fetch(call func(out any) error) (wechat.Credential, error) {
	if m.AppID == "" || m.Secret == "" {
		return wechat.Credential{}, errors.New("AppID and Secret must be set")
	}
	for _, f := range [][2]string{{"AppID", m.AppID}, {"Secret", m.Secret}} {
		if err := field.CheckBlanks(f[1]); err != nil {
			return wechat.Credential{}, fmt.Errorf("%s %w", "Manager."+f[0], err)
		}
	}
	var answer struct {
		Token     string       `json:"access_token"`
		ExpiresIn wirejson.Int `json:"expires_in"`
	}
	start := time.Now()
	if err := call(&answer); err != nil {
		return wechat.Credential{}, err
	}
	life := time.Duration(answer.ExpiresIn) * time.Second
	if answer.Token == "" || answer.ExpiresIn <= 0 || answer.ExpiresIn > wirejson.Int(maxLife/time.Second) {
		return wechat.Credential{}, fmt.Errorf("WeChat's answer holds no token with a life: expires_in is %d", answer.ExpiresIn)
	}
	return wechat.Credential{Value: answer.Token, Expires: start.Add(life)}, nil
}

// unrepeated is a client that sends each request once. net/http by itself repeats a GET whose connection breaks, and
// of cgi-bin/token that would end both the token it made and the one before.
func unrepeated(hc *http.Client) *http.Client {
	if hc == nil {
		hc = &http.Client{Timeout: time.Minute}
	}
	once := *hc
	if once.Transport == nil {
		once.Transport = http.DefaultTransport
	}
	once.Transport = bodied{once.Transport}
	return &once
}

// bodied gives requests a body of no bytes that cannot be read again, which is what net/http never repeats.
type bodied struct{ http.RoundTripper }

func (b bodied) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Body, r.GetBody = io.NopCloser(strings.NewReader("")), nil
	return b.RoundTripper.RoundTrip(r)
}
