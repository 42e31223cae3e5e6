// Package compat serves the routes of older systems on the apps of a gateway, with the statuses and bodies that their clients read,
// so that the clients keep working as they are:
//
//	o.PrivateFallback = append(o.PrivateFallback, compat.Private(o.Config.Compat)...)
//	g, err := gateway.New(o)
//
// # Keys
//
// The old systems let everybody in. Here each request needs a caller key of the gateway: as Authorization: Bearer KEY, as the password
// of Basic, or as wetoken_key=KEY in the query, for clients of which only the URL can be set. wetoken's clients send the app's secret,
// which admits them too. A missing or unknown key is answered 401, and a key without the scope 403, in the form of the old system's
// errors. See [gateway.Compat] for private networks without keys.
//
// # wetoken
//
// Each path of the first column is served for GET, POST and OPTIONS below /{appid}/wechat and below /wx/{appid}:
//
//	/token/get, /token/get?refused=TOKEN   key with scope token (with refused: renew), or the app's secret
//	/token/query, /token/get/query         key with scope token, or the app's secret: what is stored, without a call to WeChat
//	/ticket/get                            key with scope ticket, or the app's secret
//	/wxcode/send                           key with scope message
//	/wechat/app/create                     key with scope admin, if Compat.Create is set; not below an app
//
// # wechat-accesstoken
//
//	GET  /apis/v1/wx/mp/access_token         scope token, with force renew: of the only app of the key, or of the one in appid
//	GET  /apis/v1/wx/mp/access_token/:APPID  the same
//	POST /apis/v1/wx/mp/register_appid       scope admin
//
// and of the only platform (第三方平台) of the configuration:
//
//	GET, POST /apis/v1/wx/open1/authurl        scope token for the platform: type is mobile or scancode, redirectUri is on its hosts
//	GET  /apis/v1/wx/open1/mpinfo              scope token for the platform: exchanges auth_code; the refresh token is not shown
//	GET  /apis/v1/wx/open1/access_token/:APPID scope token, with force renew
//	POST /apis/v1/wx/open1/event               on the public side: notices of the open platform
//	POST /apis/v1/wx/open1/:APPID/callback     on the public side: messages of the accounts
//
// [JSONRPC] serves the same as the methods accessToken, getMpAccessTokenByAppid, registerAppid, getAuthUrl and getAccessTokenOpen.
//
// # wechat-proxy
//
// Each path also ends with a slash. On the private side:
//
//	GET, POST /register                scope admin for all apps: registers an app, or changes what is given
//	GET /app/{app}                     scope token or admin, or the app's secret: what is registered, without secrets
//	/app/{app}/api, /app/{app}/qyapi   scope token, or the app's secret: the token
//	/app/{app}/api/new, …/qyapi/new    scope renew, or the secret: another token, rationed
//	/app/{app}/jsapi, …/js/card        scope ticket, the secret, or the app's token in access_token: a ticket
//	/api, /qyapi, /jsapi, …            the same of the app in appid; a token in access_token names its app
//	GET /app/{app}/pay, …              scope pay: orders
//
// On the public side, for pages on the app's hosts:
//
//	GET /app/{app}/js/config   a script that calls wx.config for its page
//	GET /app/{app}/js/card     the argument of wx.addCard for card_id, or that of wx.chooseCard; of an app with cards: true
//
// there too, where WeChat's signature admits:
//
//	GET, POST /app/{app}/msg?call=…        messages as XML to backends on the app's hosts
//	GET, POST /app/{app}/msg/json?call=…   the same, as JSON
//
// for browsers, which carry the user to a page on the app's hosts, or on this server:
//
//	GET /app/{app}/auth?call=…        openid and unionid
//	GET /app/{app}/auth/info?call=…   nickname and picture too
//
// and for everybody:
//
//	/qrcode?path=TEXT&size=256   a QR code, as PNG
//	/echo, /example/             with Compat.Examples
//
// # wechat-payment
//
//	POST /apis/v1/wepay/get_pay_request_params   scope pay: an order, of the only app of the key that takes payments, or of the one in appid
//	POST /apis/v1/wepay/refund                   scope refund
//	POST /apis/v1/wepay/get_sign_key             scope pay: the key of the sandbox
//	/apis/v1/wepay/pay_notify                    on the public side: WeChat's notifications, of all apps
package compat

import (
	"net/http"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/relay"
)

// Private returns the handlers of the systems of c, for [gateway.Options.PrivateFallback].
func Private(c gateway.Compat) (list []func(*gateway.Gateway) http.Handler) {
	if c.Has(gateway.CompatWetoken) {
		list = append(list,
			func(g *gateway.Gateway) http.Handler { return newWetoken(g, c).appFirst() },
			func(g *gateway.Gateway) http.Handler { return newWetoken(g, c).wxFirst() })
	}
	if c.Has(gateway.CompatAccessToken) {
		list = append(list, func(g *gateway.Gateway) http.Handler { return newAccessToken(g, c).mux() })
	}
	if c.Has(gateway.CompatPayment) {
		list = append(list, func(g *gateway.Gateway) http.Handler { return newPayment(g, c).private() })
	}
	if c.Has(gateway.CompatProxy) {
		list = append(list, func(g *gateway.Gateway) http.Handler { return newProxy(g, c).private() })
	}
	return list
}

// Public returns the handlers of the systems of c, for [gateway.Options.PublicFallback].
func Public(c gateway.Compat) (list []func(*gateway.Gateway) http.Handler) {
	if c.Has(gateway.CompatAccessToken) {
		list = append(list, func(g *gateway.Gateway) http.Handler { return newAccessToken(g, c).public() })
	}
	if c.Has(gateway.CompatPayment) {
		list = append(list, func(g *gateway.Gateway) http.Handler { return newPayment(g, c).public() })
	}
	if c.Has(gateway.CompatProxy) {
		list = append(list, func(g *gateway.Gateway) http.Handler { return newProxy(g, c).public() })
	}
	return list
}

// paths is a mux whose paths all have a part in common. For other paths it costs next to nothing: a mux would search for their methods. It
// serves no call of this server itself.
type paths struct {
	*http.ServeMux
	have func(path string) bool
}

// Handler returns the handler for a request, as that of *http.ServeMux does.
func (p paths) Handler(r *http.Request) (http.Handler, string) {
	if !p.have(r.URL.Path) || relay.IsLocal(r.Context()) {
		return nil, ""
	}
	return p.ServeMux.Handler(r)
}

// JSONRPC returns the handler of wechat-accesstoken's JSON-RPC 2.0, for an address of its own. It serves POST at every path.
func JSONRPC(g *gateway.Gateway, c gateway.Compat) http.Handler {
	return g.Beside(jsonRPC{newAccessToken(g, c)})
}
