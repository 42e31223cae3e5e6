package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/wechat"
)

// Remote is a wechat.TokenSource that gets the token from the [Handler] of another process, so that its program holds
// no secret of the app. It keeps a warm copy of the token. While the copy is read, Remote compares it with the server's
// every 2.5 seconds. If the server cannot be reached, the copy is served until it expires. Its methods are safe for
// concurrent use. Do not change its fields after the first call.
type Remote struct {
	URL string // of the Handler's /token, such as http://wetoken:8081/app/shop/token
	Key string // caller key, sent as a Bearer token

	// HTTP sends the requests. Redirects are not followed. Default: a client without a timeout.
	HTTP *http.Client

	OnError func(context.Context, error) // see Manager.OnError

	redacted
	copy atomic.Pointer[renew.Copy]
}

var _ wechat.TokenSource = (*Remote)(nil)

var errNoURL = errors.New("token: Remote.URL must be set")

// Token returns a valid token. If WeChat refused, the error wraps the *wechat.Error.
func (r *Remote) Token(ctx context.Context) (wechat.Credential, error) {
	if r.URL == "" {
		return wechat.Credential{}, errNoURL
	}
	c, err := r.openCopy().Get(ctx)
	if err != nil {
		return c, fmt.Errorf("token: %w", err)
	}
	return c, nil
}

// Renew passes refused on to the server and returns its answer, another token.
func (r *Remote) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	if r.URL == "" {
		return wechat.Credential{}, errNoURL
	}
	c, err := r.openCopy().Renew(ctx, refused)
	if err != nil {
		return c, fmt.Errorf("token: %w", err)
	}
	return c, nil
}

func (r *Remote) openCopy() *renew.Copy {
	if c := r.copy.Load(); c != nil {
		return c
	}
	remote := &renew.Remote{URL: r.URL, Key: r.Key, Field: "access_token", HTTP: r.HTTP, OnError: r.OnError}
	r.copy.CompareAndSwap(nil, remote.Copy())
	return r.copy.Load()
}
