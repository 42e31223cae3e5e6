// Package wechat is the wire to WeChat: a [Client] that reaches any of its endpoints, the [Credential] that opens
// them, and the [Error] they answer with.
//
//	api := &wechat.Client{Tokens: tokens}
//	err := api.Post(ctx, "/cgi-bin/menu/create", nil, menu, nil)
//	if errors.Is(err, wechat.ErrInvalidIP) { … }
//
// The client knows no app. It takes the token of one from a [TokenSource], such as token.Manager, which keeps an app's
// token in this process, or token.Remote, which asks another process for it. A [Transport] does the same below any
// http.Client, such as that of another SDK.
package wechat

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// WeChat's own base URLs, for [Client.BaseURL].
const (
	APIURL  = "https://api.weixin.qq.com"        // official accounts, mini programs, open platform
	WorkURL = "https://qyapi.weixin.qq.com"      // WeCom (企业微信)
	OpenURL = "https://open.weixin.qq.com"       // pages that a browser visits to log in
	MPURL   = "https://mp.weixin.qq.com"         // pages that authorize a third-party platform
	SSOURL  = "https://login.work.weixin.qq.com" // WeCom's QR login page
)

// Credential is a token or a ticket and the instant at which WeChat stops taking it. It prints without its value.
type Credential struct {
	Value   string
	Expires time.Time
}

// TokenSource hands out access tokens (接口调用凭证). Its methods are safe for concurrent use.
type TokenSource interface {
	// Token returns a token that WeChat takes now.
	Token(ctx context.Context) (Credential, error)

	// Renew returns a token other than refused, the one that WeChat has just answered 40001, 40014 or 42001 to.
	// Callers refused together cause one renewal, and a refused token that is no longer the current one causes none.
	Renew(ctx context.Context, refused string) (Credential, error)
}

// String says when the credential ends, not what it is.
func (c Credential) String() string {
	if c.Value == "" {
		return "none"
	}
	return "(redacted) until " + c.Expires.Format(time.RFC3339)
}

// Format keeps every verb of package fmt from printing the value.
func (c Credential) Format(s fmt.State, _ rune) { fmt.Fprint(s, c.String()) }

// LogValue keeps the value out of structured logs.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText keeps the value out of JSON. A program that sends or stores a token encodes Value and Expires itself.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
