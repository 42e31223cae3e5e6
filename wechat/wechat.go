// Package wechat calls WeChat's API: a [Client] calls any endpoint, a [Credential] is a token or a ticket, and an
// [Error] is WeChat's refusal.
//
//	api := &wechat.Client{Tokens: tokens}
//	err := api.Post(ctx, "/cgi-bin/menu/create", nil, menu, nil)
//	if errors.Is(err, wechat.ErrInvalidIP) { … }
//
// The client gets the app's token from a [TokenSource], such as token.Manager, which keeps the token in this process,
// or token.Remote, which gets it from another process. A [Transport] does the same for any http.Client, such as that of
// another SDK.
package wechat

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// WeChat's base URLs, for [Client.BaseURL].
const (
	APIURL  = "https://api.weixin.qq.com"        // official accounts, mini programs, open platform
	WorkURL = "https://qyapi.weixin.qq.com"      // WeCom (企业微信)
	OpenURL = "https://open.weixin.qq.com"       // pages that a browser visits to log in
	MPURL   = "https://mp.weixin.qq.com"         // pages that authorize a third-party platform
	SSOURL  = "https://login.work.weixin.qq.com" // WeCom's QR login page
)

// Credential is a token or a ticket, and the time at which it expires. It prints without its value.
type Credential struct {
	Value   string
	Expires time.Time
}

// TokenSource returns access tokens (接口调用凭证). Its methods are safe for concurrent use.
type TokenSource interface {
	// Token returns a valid token.
	Token(ctx context.Context) (Credential, error)

	// Renew returns a token other than refused, to which WeChat has just answered 40001, 40014 or 42001. Concurrent
	// calls cause one renewal. If refused is no longer the current token, Renew returns the current one without a
	// renewal.
	Renew(ctx context.Context, refused string) (Credential, error)
}

// String returns the expiry of the credential, without its value.
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

// MarshalText keeps the value out of JSON. A program that sends or stores a token must encode Value and Expires itself.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
