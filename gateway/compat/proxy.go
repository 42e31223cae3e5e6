package compat

import (
	"fmt"
	"net/http"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
)

// proxy serves the routes of aiportal/wechat-proxy.
type proxy struct {
	guard
	examples bool
}

func newProxy(g *gateway.Gateway, c gateway.Compat) *proxy {
	return &proxy{guard{g, c.IsOpen(gateway.CompatProxy)}, c.Examples}
}

// private serves registrations, tokens, tickets, and payments for callers with a key.
func (s *proxy) private() http.Handler {
	m := http.NewServeMux()
	s.addApps(m)       // proxy_apps.go
	s.addTokens(m)     // proxy_token.go
	s.addPayPrivate(m) // proxy_pay.go
	return m
}

// public serves WeChat's messages and notifications, and browsers.
func (s *proxy) public() http.Handler {
	m := http.NewServeMux()
	s.addMessages(m)  // proxy_message.go
	s.addJS(m)        // proxy_jssdk.go
	s.addLogin(m)     // proxy_login.go
	s.addPayPublic(m) // proxy_pay.go
	s.addExamples(m)  // proxy_examples.go
	return publicRoutes{m}
}

// publicRoutes are the routes of the public side. A request for an order with a key is for the private side, where one address serves
// both, and for nobody on the public side.
type publicRoutes struct{ *http.ServeMux }

// Handler returns the handler for a request, as that of *http.ServeMux does.
func (m publicRoutes) Handler(r *http.Request) (http.Handler, string) {
	if isKeyedPay(r) {
		return nil, ""
	}
	return m.ServeMux.Handler(r)
}

// codeProxy is the code of errors that are not WeChat's.
const codeProxy = -10001

// writeProxyError answers an error as wechat-proxy wrote it, with a blank after each colon.
func writeProxyError(w http.ResponseWriter, status, code int, text string) {
	answer.JSON(w, status, fmt.Appendf(nil, `{"errcode": %d, "errmsg": %s}`, code, quote(text)))
}
