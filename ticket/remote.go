package ticket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/internal/redact"
	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/wechat"
)

// Remote asks another process's [Handler] for tickets, and keeps warm copies of them as token.Remote does. Its methods
// are those of [Manager], safe for concurrent use; its fields are not to be changed after the first.
type Remote struct {
	URL string // of the Handler's /ticket, such as http://wetoken:8081/app/shop/ticket
	Key string // caller key, sent as a Bearer token

	HTTP   *http.Client                 // default one without a timeout of its own; redirects are never followed
	Report func(context.Context, error) // as Manager.Report

	redacted
	copies copies
}

// redacted keeps the secret of a struct out of what is printed.
type redacted = redact.Struct

// Ticket returns a ticket that WeChat takes now.
func (r *Remote) Ticket(ctx context.Context, typ Type) (wechat.Credential, error) {
	c, err := r.kept(typ)
	if err != nil {
		return wechat.Credential{}, err
	}
	return wrap(typ)(c.Get(ctx))
}

// Renew passes refused on to the server and returns the ticket it answers, which is another one.
func (r *Remote) Renew(ctx context.Context, typ Type, refused string) (wechat.Credential, error) {
	c, err := r.kept(typ)
	if err != nil {
		return wechat.Credential{}, err
	}
	return wrap(typ)(c.Renew(ctx, refused))
}

func (r *Remote) kept(typ Type) (*renew.Copy, error) {
	if typ != JSAPI && typ != WxCard && typ != AgentConfig {
		return nil, fmt.Errorf("ticket: %.20q: %w", typ, ErrType)
	}
	if r.URL == "" {
		return nil, errors.New("ticket: Remote.URL must be set")
	}
	return r.copies.get(typ, func() *renew.Copy {
		to := strings.TrimSuffix(r.URL, "/") + "/" + url.PathEscape(typ)
		remote := &renew.Remote{URL: to, Key: r.Key, Field: "ticket", HTTP: r.HTTP, Report: r.Report}
		return remote.Copy()
	}), nil
}
