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

// Remote is a wechat.TokenSource over another process's [Handler]: the program that uses it holds no secret of
// WeChat's. It keeps a warm copy of the token, compared with the server's every 2.5 seconds while it is read, and
// served to its end when the server cannot be reached. Its methods are safe for concurrent use, and its fields are not
// to be changed after the first.
type Remote struct {
	URL string // of the Handler's /token, such as http://wetoken:8081/app/shop/token
	Key string // caller key, sent as a Bearer token

	HTTP   *http.Client                 // default one without a timeout of its own; redirects are never followed
	Report func(context.Context, error) // as Manager.Report

	redacted
	copy atomic.Pointer[renew.Copy]
}

var _ wechat.TokenSource = (*Remote)(nil)

var errNoURL = errors.New("token: Remote.URL must be set")

// Token returns a token that WeChat takes now. A refusal by WeChat comes through as the *wechat.Error it is.
func (r *Remote) Token(ctx context.Context) (wechat.Credential, error) {
	if r.URL == "" {
		return wechat.Credential{}, errNoURL
	}
	c, err := r.kept().Get(ctx)
	if err != nil {
		return c, fmt.Errorf("token: %w", err)
	}
	return c, nil
}

// Renew passes refused on to the server and returns the token it answers, which is another one.
func (r *Remote) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	if r.URL == "" {
		return wechat.Credential{}, errNoURL
	}
	c, err := r.kept().Renew(ctx, refused)
	if err != nil {
		return c, fmt.Errorf("token: %w", err)
	}
	return c, nil
}

func (r *Remote) kept() *renew.Copy {
	if c := r.copy.Load(); c != nil {
		return c
	}
	remote := &renew.Remote{URL: r.URL, Key: r.Key, Field: "access_token", HTTP: r.HTTP, Report: r.Report}
	r.copy.CompareAndSwap(nil, remote.Copy())
	return r.copy.Load()
}
