package compat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// wetoken serves the routes of micro-plat/wetoken.
type wetoken struct {
	guard
	create bool
}

func newWetoken(g *gateway.Gateway, c gateway.Compat) *wetoken {
	return &wetoken{guard{g, c.IsOpen(gateway.CompatWetoken)}, c.Create}
}

// appRoutes are the routes of an app, below its prefix.
func (s *wetoken) appRoutes() map[string]http.HandlerFunc {
	query := s.serveCredential(credential{"access_token", "/token", "token", false, textNoToken, s.look})
	return map[string]http.HandlerFunc{
		"/token/get":       s.serveCredential(credential{"access_token", "/token", "token", true, textNoSecret, s.token}),
		"/token/get/query": query,
		"/token/query":     query,
		"/ticket/get":      s.serveCredential(credential{"ticket", "/ticket/jsapi", "ticket", false, textNoSecret, s.ticket}),
		"/wxcode/send":     s.sendCode,
	}
}

// appFirst serves the routes of the first two generations, such as /wx…/wechat/token/get.
func (s *wetoken) appFirst() http.Handler {
	m := http.NewServeMux()
	for path, h := range s.appRoutes() {
		handle(m, "/{appid}/wechat"+path, h)
	}
	if s.create {
		handle(m, "/wechat/app/create", s.createApp)
	}
	return paths{m, func(path string) bool { return strings.Contains(path, "/wechat/") }}
}

// wxFirst serves the routes of the third generation, such as /wx/wx…/token/get. A mux of its own has them, since a path may fit both
// patterns.
func (s *wetoken) wxFirst() http.Handler {
	m := http.NewServeMux()
	for path, h := range s.appRoutes() {
		handle(m, "/wx/{appid}"+path, h)
	}
	return paths{m, func(path string) bool { return strings.HasPrefix(path, "/wx/") }}
}

// handle registers a handler for the methods that the old system served.
func handle(m *http.ServeMux, path string, h http.HandlerFunc) {
	m.HandleFunc("GET "+path, h)
	m.HandleFunc("POST "+path, h)
	m.HandleFunc("OPTIONS "+path, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Allow", "GET, HEAD, OPTIONS, POST") })
}

// The old error texts for an app that is unknown.
const (
	textNoSecret = "从数据库中获取secret失败:[%.100s] app配置出错(0)"
	textNoToken  = "从数据库中获取token失败:%.100s app信息未配置"
)

// credential is a route that answers a token or a ticket.
type credential struct {
	field        string
	route, scope string
	renews       bool   // with the parameter refused
	unknown      string // format of the text for an unknown app
	get          func(ctx context.Context, a gateway.ServedApp, refused string) (wechat.Credential, error)
}

// noDate is the time in an error.
const noDate = "00010101000000"

// Old clients refuse a life outside these bounds, in seconds.
const (
	minLife = 61
	maxLife = 31556952
)

// serveCredential returns the handler of a route.
func (s *wetoken) serveCredential(c credential) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := readParams(w, r)
		if err != nil {
			c.write(w, http.StatusBadRequest, err.Error(), "", 0, noDate)
			return
		}
		u := use{appID: r.PathValue("appid"), route: c.route, scope: c.scope, secret: p.text("secret")}
		refused := ""
		if c.renews {
			if refused = p.text("refused"); refused != "" {
				u.scope = "renew"
			}
		}
		a, caller, err := s.admit(r, p, u)
		if err != nil {
			status, text := s.explain(err, fmt.Sprintf(c.unknown, u.appID))
			c.write(w, status, text, "", 0, noDate)
			return
		}
		ctx := r.Context()
		if refused != "" {
			ctx = token.WithCaller(ctx, callerName(caller, a, u.secret))
		}
		got, err := c.get(ctx, a, refused)
		if err == nil && got.Value == "" {
			err = errNothing
		}
		if err != nil {
			c.write(w, http.StatusOK, oldText(err), "", 0, noDate)
			return
		}
		if refused != "" {
			s.gateway.Audit(r, caller, "renew", a.Name())
		}
		now := time.Now()
		left := min(max(int64(got.Expires.Sub(now)/time.Second), minLife), maxLife)
		expires := got.Expires
		if least := now.Add(minLife * time.Second); expires.Before(least) {
			expires = least
		}
		c.write(w, http.StatusOK, "", got.Value, left, expires.Local().Format("20060102150405"))
	}
}

// callerName returns the name of a caller for its ration of renewals. One without a key has shown the app's secret, or needs none.
func callerName(c *gateway.Caller, a gateway.ServedApp, secret string) string {
	switch {
	case c != nil:
		return c.Name()
	case a.HasSecret(secret):
		return "secret of the app"
	}
	return "(no key)"
}

var errNothing = errors.New("wetoken: no value")

// write answers in the old form. An empty text is success.
func (c credential) write(w http.ResponseWriter, status int, text, value string, left int64, date string) {
	code := 0
	if text == "" {
		text = "success"
	} else {
		code = 400
	}
	answer.JSON(w, status, fmt.Appendf(make([]byte, 0, 256), `{"errcode":%d,"errmsg":%s,"%s":%s,"expires_in":%d,"expires_date":"%s"}`, code, quote(text), c.field, quote(value), left, date))
}

// quote returns a text as JSON.
func quote(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		return []byte(`""`)
	}
	return b
}

// explain returns the status and the text for an error of admit.
func (s *wetoken) explain(err error, unknown string) (status int, text string) {
	refused := (*refusal)(nil)
	switch {
	case errors.As(err, &refused):
		return refused.status, refused.text
	case errors.Is(err, gateway.ErrNoApp):
		return http.StatusOK, unknown
	}
	return http.StatusOK, err.Error()
}

// oldText returns the text of a failure as the old system wrote WeChat's refusals.
func oldText(err error) string {
	var refused *wechat.Error
	if errors.As(err, &refused) {
		return fmt.Sprintf("err:%d %s", int(refused.Code), refused.Msg)
	}
	return err.Error()
}

func (s *wetoken) token(ctx context.Context, a gateway.ServedApp, refused string) (wechat.Credential, error) {
	tokens := a.Tokens()
	switch {
	case tokens == nil:
		return wechat.Credential{}, errWebsite
	case refused != "":
		return a.Renew(ctx, refused)
	}
	return tokens.Token(ctx)
}

var errWebsite = errors.New("wetoken: a website has no token and no ticket")

// look returns the token that is stored. The old system answered an expired one too.
func (s *wetoken) look(ctx context.Context, a gateway.ServedApp, _ string) (wechat.Credential, error) {
	tokens := a.Tokens()
	if tokens == nil {
		return wechat.Credential{}, errWebsite
	}
	c, ok, err := tokens.Look(ctx)
	if err == nil && !ok {
		err = fmt.Errorf(textNoToken, a.AppID())
	}
	return c, err
}

func (s *wetoken) ticket(ctx context.Context, a gateway.ServedApp, _ string) (wechat.Credential, error) {
	tickets := a.Tickets()
	if tickets == nil {
		return wechat.Credential{}, errWebsite
	}
	return tickets.Ticket(ctx, ticket.JSAPI)
}
