package compat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// proxyCredential is a route that answers a token or a ticket.
type proxyCredential struct {
	path  string
	scope string
	field string // of the value
	plain bool   // the answer has no errcode, as WeChat's for the token of an account

	byToken bool // the app's token, in access_token, admits too
	get     func(s *proxy, r *http.Request, a gateway.ServedApp, by *gateway.Caller) (wechat.Credential, error)
}

// proxyCredentials are the routes below an app, and without one.
var proxyCredentials = []proxyCredential{
	{path: "/api", scope: "token", field: "access_token", plain: true, get: readToken(false)},
	{path: "/api/new", scope: "renew", field: "access_token", plain: true, get: newToken(false)},
	{path: "/qyapi", scope: "token", field: "access_token", get: readToken(true)},
	{path: "/qyapi/new", scope: "renew", field: "access_token", get: newToken(true)},
	{path: "/jsapi", scope: "ticket", field: "ticket", byToken: true, get: readTicket(ticket.JSAPI)},
	{path: "/js/card", scope: "ticket", field: "ticket", byToken: true, get: readTicket(ticket.WxCard)},
}

// addTokens adds the routes for tokens and tickets.
func (s *proxy) addTokens(m *http.ServeMux) {
	for _, c := range proxyCredentials {
		for _, method := range []string{"GET", "POST"} {
			if method == "POST" && c.path == "/js/card" { // the gateway's, below an app
				handleSlash(m, method, c.path, s.serveCredential(c))
				continue
			}
			handleSlash(m, method, "/app/{app}"+c.path, s.serveCredential(c))
			handleSlash(m, method, c.path, s.serveCredential(c))
		}
	}
}

// serveCredential returns the handler of a route. The app is that of the path, or else the one in appid.
func (s *proxy) serveCredential(c proxyCredential) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := readParams(w, r)
		if err != nil {
			writeProxyError(w, http.StatusBadRequest, codeProxy, err.Error())
			return
		}
		u := use{appID: r.PathValue("app"), route: c.path, scope: c.scope, secret: p.text("secret")}
		if u.appID == "" {
			u.appID = p.text("appid")
		}
		a, caller, err := s.admitToken(r, p, u, c.byToken)
		if err != nil {
			writeAdmission(w, err)
			return
		}
		got, err := c.get(s, r, a, caller)
		if err == nil && got.Value == "" {
			err = errNothing
		}
		if err != nil {
			writeUpstream(w, err)
			return
		}
		head := `{"errcode":0,"errmsg":"ok",`
		if c.plain {
			head = "{"
		}
		rest := max(int64(time.Until(got.Expires)/time.Second), 0)
		answer.JSON(w, http.StatusOK, fmt.Appendf(make([]byte, 0, 256), `%s"%s":%s,"expires_in":%d}`, head, c.field, quote(got.Value), rest))
	}
}

// admitToken is admit. If byToken is set, the app's current token in access_token admits too, and names the app where nothing else does.
func (s *proxy) admitToken(r *http.Request, p params, u use, byToken bool) (gateway.ServedApp, *gateway.Caller, error) {
	given := p.text("access_token")
	if !byToken || given == "" {
		return s.admit(r, p, u)
	}
	a, ok, err := s.gateway.AppWithToken(r.Context(), u.appID, given, u.route)
	if err != nil || ok {
		return a, nil, err
	}
	if u.appID != "" {
		return s.admit(r, p, u)
	}
	return a, nil, errOldToken
}

var errOldToken = &refusal{http.StatusUnauthorized, "access_token is not the current token of an app that was answered here: get it from /api"}

// writeUpstream answers a failure: WeChat's refusal as WeChat answers it, with status 200, and any other one with 503.
func writeUpstream(w http.ResponseWriter, err error) {
	var refused *wechat.Error
	if errors.As(err, &refused) {
		writeProxyError(w, http.StatusOK, int(refused.Code), refused.Msg)
		return
	}
	w.Header().Set("Retry-After", "2")
	writeProxyError(w, http.StatusServiceUnavailable, codeProxy, err.Error())
}

// errInvalidAppID is WeChat's code for an appid that it does not know.
const errInvalidAppID wechat.Code = 40013

// errOtherKind is what WeChat says of an appid at the address of another kind of app.
func errOtherKind(text string) error { return &wechat.Error{Code: errInvalidAppID, Msg: text} }

// tokensOf returns the tokens of an app, of WeCom if work is set, and of no other kind.
func tokensOf(a gateway.ServedApp, work bool) (*token.Manager, error) {
	tokens := a.Tokens()
	switch {
	case tokens == nil:
		return nil, errOtherKind("invalid appid: a website has no token")
	case work && a.Kind() != wechat.Work:
		return nil, errOtherKind("invalid corpid: this app is not of WeCom: its token is at api")
	case !work && a.Kind() == wechat.Work:
		return nil, errOtherKind("invalid appid: this app is of WeCom: its token is at qyapi")
	}
	return tokens, nil
}

func readToken(work bool) func(*proxy, *http.Request, gateway.ServedApp, *gateway.Caller) (wechat.Credential, error) {
	return func(s *proxy, r *http.Request, a gateway.ServedApp, _ *gateway.Caller) (wechat.Credential, error) {
		tokens, err := tokensOf(a, work)
		if err != nil {
			return wechat.Credential{}, err
		}
		c, err := tokens.Token(r.Context())
		return s.remember(r.Context(), a, c, err)
	}
}

// newToken renews the token. Where the ration of the caller is used up, it is the current one.
func newToken(work bool) func(*proxy, *http.Request, gateway.ServedApp, *gateway.Caller) (wechat.Credential, error) {
	return func(s *proxy, r *http.Request, a gateway.ServedApp, by *gateway.Caller) (wechat.Credential, error) {
		ctx := r.Context()
		tokens, err := tokensOf(a, work)
		if err != nil {
			return wechat.Credential{}, err
		}
		c, err := tokens.Token(ctx)
		if err != nil {
			return c, err
		}
		next, err := a.Renew(token.WithCaller(ctx, callerName(by, a, r.URL.Query().Get("secret"))), c.Value)
		switch {
		case errors.Is(err, token.ErrRationed), errors.Is(err, token.ErrStillRefused):
			next, err = c, nil
		case err == nil:
			s.gateway.Audit(r, by, "renew", a.Name())
		}
		return s.remember(ctx, a, next, err)
	}
}

// remember lets a token that was answered name its app at /jsapi and /js/card.
func (s *proxy) remember(ctx context.Context, a gateway.ServedApp, c wechat.Credential, err error) (wechat.Credential, error) {
	if err == nil {
		s.gateway.RememberToken(ctx, a, c)
	}
	return c, err
}

var errNoTicket = errOtherKind("invalid appid: this kind of app has no such ticket")

func readTicket(typ ticket.Type) func(*proxy, *http.Request, gateway.ServedApp, *gateway.Caller) (wechat.Credential, error) {
	return func(_ *proxy, r *http.Request, a gateway.ServedApp, _ *gateway.Caller) (wechat.Credential, error) {
		tickets := a.Tickets()
		if tickets == nil {
			return wechat.Credential{}, errNoTicket
		}
		c, err := tickets.Ticket(r.Context(), typ)
		if errors.Is(err, ticket.ErrType) {
			err = errNoTicket
		}
		return c, err
	}
}
