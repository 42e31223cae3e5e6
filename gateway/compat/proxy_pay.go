package compat

import (
	"net/http"
	"regexp"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/pay"
)

// payRoute is one of the old routes that place an order, below /app/{app}.
type payRoute struct {
	path    string
	methods []string
	trade   pay.Trade // that the route is for; empty for the one that the request names
	write   func(http.ResponseWriter, payRequest, pay.Prepaid, error)
}

var payRoutes = []payRoute{
	{"/pay", []string{"GET"}, "", writePayJSON}, // POST is WeChat's
	{"/pay/qrcode", []string{"GET", "POST"}, pay.Native, writePayQR},
	{"/pay/js", []string{"GET", "POST"}, pay.JSAPI, writePayJS},
}

// payRequest is a request for an order.
type payRequest struct {
	params
	app   gateway.ServedApp
	trade pay.Trade
	admin bool // has a key, or needs none: the caller is one of our own services
}

// addPayPrivate adds the routes for callers with a key of scope pay.
func (s *proxy) addPayPrivate(m *http.ServeMux) {
	for _, route := range payRoutes {
		for _, method := range route.methods {
			handleSlash(m, method, "/app/{app}"+route.path, s.servePayKeyed(route))
		}
	}
}

// addPayPublic adds the routes for browsers, with a link or up to open_pay.max_fen, and WeChat's notifications.
func (s *proxy) addPayPublic(m *http.ServeMux) {
	for _, route := range payRoutes {
		for _, method := range route.methods {
			handleSlash(m, method, "/app/{app}"+route.path, s.servePayPublic(route))
		}
	}
	handleSlash(m, http.MethodPost, "/app/{app}/pay", s.servePayNotify)
}

// servePayKeyed places an order for a caller with a key.
func (s *proxy) servePayKeyed(route payRoute) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := readParams(w, r)
		if err != nil {
			writeProxyError(w, http.StatusBadRequest, codeProxy, err.Error())
			return
		}
		a, caller, err := s.admit(r, p, use{appID: r.PathValue("app"), route: route.path, scope: "pay"})
		if err != nil {
			writeAdmission(w, err)
			return
		}
		in := payRequest{params: p, app: a, admin: true}
		order, err := in.order(r, route)
		var prepaid pay.Prepaid
		if err == nil {
			prepaid, err = a.Prepay(r.Context(), caller, order)
		}
		in.trade = order.Trade
		route.write(w, in, prepaid, err)
	}
}

// servePayPublic places an order for a browser.
func (s *proxy) servePayPublic(route payRoute) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := readParams(w, r)
		if err != nil {
			writeProxyError(w, http.StatusBadRequest, codeProxy, err.Error())
			return
		}
		a, err := s.gateway.ServedApp(r.Context(), r.PathValue("app"), route.path)
		if err != nil {
			writeAdmission(w, err)
			return
		}
		in := payRequest{params: p, app: a}
		order, err := in.order(r, route)
		var prepaid pay.Prepaid
		if err == nil {
			w.Header().Add("Vary", "Cookie")
			prepaid, err = a.PrepayPublic(w, r, p.text("link"), order)
		}
		in.trade = order.Trade
		route.write(w, in, prepaid, err)
	}
}

// servePayNotify serves WeChat's notifications of orders that the old system placed.
func (s *proxy) servePayNotify(w http.ResponseWriter, r *http.Request) {
	a, err := s.gateway.ServedApp(r.Context(), r.PathValue("app"), "/pay/notify")
	if err != nil {
		writeAdmission(w, err)
		return
	}
	a.ServePayNotify(w, r)
}

// writePayQR answers the QR code of an order.
func writePayQR(w http.ResponseWriter, in payRequest, p pay.Prepaid, err error) {
	if err != nil {
		writePayError(w, in, err)
		return
	}
	image, err := encodeQR(p.CodeURL, defaultQRSize)
	if err != nil {
		writeProxyError(w, http.StatusBadGateway, codeProxy, "WeChat's code_url cannot be shown as a QR code")
		return
	}
	writePNG(w, image, "private, max-age=7200") // as long as the code works
}

// variable matches the names that var may have.
var variable = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,63}$`)

// writePayJS answers the arguments of WeixinJSBridge's getBrandWCPayRequest as JSON or, with var, as a script that sets a variable. A
// script has errors, too, since a page cannot read the status of a script.
func writePayJS(w http.ResponseWriter, in payRequest, p pay.Prepaid, err error) {
	name := in.text("var")
	switch {
	case name == "" && err != nil:
		writePayError(w, in, err)
	case name == "":
		answer.JSON(w, http.StatusOK, marshal(p.Params))
	case !variable.MatchString(name):
		writeProxyError(w, http.StatusBadRequest, codeProxy, "var: want the name of a variable")
	default:
		body := marshal(p.Params)
		if err != nil {
			_, body = payError(in, err)
		}
		h := w.Header()
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write([]byte("var " + name + "=" + string(body)))
	}
}
