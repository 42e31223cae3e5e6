package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

func (m *Manager) fetchStable(ctx context.Context) (wechat.Credential, error) {
	return m.postStable(ctx, false)
}

func (m *Manager) forceStable(ctx context.Context) (wechat.Credential, error) {
	return m.postStable(ctx, true)
}

func (m *Manager) postStable(ctx context.Context, force bool) (wechat.Credential, error) {
	return m.readToken(ctx, func(secret string, out any) error {
		body := struct {
			GrantType    string `json:"grant_type"`
			AppID        string `json:"appid"`
			Secret       string `json:"secret"`
			ForceRefresh bool   `json:"force_refresh,omitempty"`
		}{"client_credential", m.AppID, secret, force}
		return m.Client.With(nil, wechat.APIURL).Post(ctx, "/cgi-bin/stable_token", nil, body, out)
	})
}

func (m *Manager) fetchClassic(ctx context.Context) (wechat.Credential, error) {
	wire := m.Client.With(nil, wechat.APIURL)
	wire.HTTP = withoutRepeats(wire.HTTP)
	return m.readToken(ctx, func(secret string, out any) error {
		query := url.Values{"grant_type": {"client_credential"}, "appid": {m.AppID}, "secret": {secret}}
		return wire.Get(ctx, "/cgi-bin/token", query, out)
	})
}

func (m *Manager) fetchWork(ctx context.Context) (wechat.Credential, error) {
	return m.readToken(ctx, func(secret string, out any) error {
		query := url.Values{"corpid": {m.AppID}, "corpsecret": {secret}}
		return m.Client.With(nil, wechat.WorkURL).Get(ctx, "/cgi-bin/gettoken", query, out)
	})
}

// errIllegalSecret is WeCom's refusal of a secret, such as that of another corp.
const errIllegalSecret wechat.Code = 40091

// refusesSecret reports whether a fetch failed because the secret is wrong.
func refusesSecret(err error) bool {
	return errors.Is(err, wechat.ErrInvalidSecret) || errors.Is(err, wechat.ErrInvalidCredential) || errors.Is(err, errIllegalSecret)
}

// errNextSecret is reported once NextSecret is in use.
var errNextSecret = errors.New("WeChat refuses Secret as wrong, and accepts NextSecret: set Secret to it")

// readToken makes a call and returns the token of its answer. The life of the token is counted from before the call.
func (m *Manager) readToken(ctx context.Context, call func(secret string, out any) error) (wechat.Credential, error) {
	if m.AppID == "" || m.Secret == "" {
		return wechat.Credential{}, errors.New("AppID and Secret must be set")
	}
	for _, f := range [][2]string{{"AppID", m.AppID}, {"Secret", m.Secret}, {"NextSecret", m.NextSecret}} {
		if err := field.CheckBlanks(f[1]); err != nil {
			return wechat.Credential{}, fmt.Errorf("%s %w", "Manager."+f[0], err)
		}
	}
	var answer struct {
		Token     string       `json:"access_token"`
		ExpiresIn wirejson.Int `json:"expires_in"`
	}
	var start time.Time
	switched, err := m.secrets.Call(m.Secret, m.NextSecret, refusesSecret, func(secret string) error {
		start = time.Now()
		return call(secret, &answer)
	})
	if err != nil {
		return wechat.Credential{}, err
	}
	if switched {
		m.report(ctx, m.wrapError(errNextSecret))
	}
	life := time.Duration(answer.ExpiresIn) * time.Second
	if answer.Token == "" || answer.ExpiresIn <= 0 || answer.ExpiresIn > wirejson.Int(renew.MaxLife/time.Second) {
		return wechat.Credential{}, fmt.Errorf("WeChat's answer has no valid token: expires_in is %d", answer.ExpiresIn)
	}
	return wechat.Credential{Value: answer.Token, Expires: start.Add(life)}, nil
}

func (m *Manager) report(ctx context.Context, err error) {
	if m.OnError == nil {
		slog.WarnContext(ctx, "token", "error", err)
		return
	}
	m.OnError(ctx, err)
}

// withoutRepeats returns a client that sends each request once. By default net/http repeats a GET whose connection
// breaks. A second cgi-bin/token would end the token of the first, and the one before.
func withoutRepeats(hc *http.Client) *http.Client {
	if hc == nil {
		hc = &http.Client{Timeout: time.Minute}
	}
	once := *hc
	if once.Transport == nil {
		once.Transport = http.DefaultTransport
	}
	once.Transport = unrepeatedTransport{once.Transport}
	return &once
}

// unrepeatedTransport gives each request an empty body that cannot be read again. net/http does not repeat such
// requests.
type unrepeatedTransport struct{ http.RoundTripper }

func (b unrepeatedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Body, r.GetBody = io.NopCloser(strings.NewReader("")), nil
	return b.RoundTripper.RoundTrip(r)
}
