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

// Remote gets tickets from the [Handler] of another process, and keeps warm copies of them like token.Remote. Its
// methods are those of [Manager], and safe for concurrent use. Do not change its fields after the first call.
type Remote struct {
	URL string // of the Handler's /ticket, such as http://wetoken:8081/app/shop/ticket
	Key string // caller key, sent as a Bearer token

	// HTTP sends the requests. Redirects are not followed. Default: a client without a timeout.
	HTTP *http.Client

	OnError func(context.Context, error) // see Manager.OnError

	redacted
	copies copies
}

// redacted keeps the secret of a struct out of printed text.
type redacted = redact.Struct

// Ticket returns a valid ticket.
func (r *Remote) Ticket(ctx context.Context, typ Type) (wechat.Credential, error) {
	c, err := r.openCopy(typ)
	if err != nil {
		return wechat.Credential{}, err
	}
	return wrapError(typ)(c.Get(ctx))
}

// Renew passes refused on to the server and returns its answer, another ticket.
func (r *Remote) Renew(ctx context.Context, typ Type, refused string) (wechat.Credential, error) {
	c, err := r.openCopy(typ)
	if err != nil {
		return wechat.Credential{}, err
	}
	return wrapError(typ)(c.Renew(ctx, refused))
}

func (r *Remote) openCopy(typ Type) (*renew.Copy, error) {
	if typ != JSAPI && typ != WxCard && typ != AgentConfig {
		return nil, fmt.Errorf("ticket: %.20q: %w", typ, ErrType)
	}
	if r.URL == "" {
		return nil, errors.New("ticket: Remote.URL must be set")
	}
	return r.copies.get(typ, func() *renew.Copy {
		to := strings.TrimSuffix(r.URL, "/") + "/" + url.PathEscape(typ)
		remote := &renew.Remote{URL: to, Key: r.Key, Field: "ticket", HTTP: r.HTTP, OnError: r.OnError}
		return remote.Copy()
	}), nil
}
