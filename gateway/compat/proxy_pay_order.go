package compat

import (
	"cmp"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/peer"
	"github.com/wetoken/wetoken/pay"
)

// The parameters of an order that are passed on to WeChat by their names. Any other one is ignored, such as appid, mch_id, nonce_str and
// sign: those are ours.
var (
	passedV2    = []string{"device_info", "detail", "fee_type", "time_start", "goods_tag", "limit_pay", "product_id", "receipt", "scene_info"}
	passedV3    = []string{"goods_tag"}      // APIv3 has the others in another form, or not at all
	passedAdmin = []string{"profit_sharing"} // of APIv2, for callers with a key: it holds the money back
)

const (
	maxPayParam = 6000 // bytes; WeChat takes a detail that long
	maxOpenID   = 128  // bytes

	defaultPayName   = "微信支付"
	defaultProductID = "pay"
)

var beijing = time.FixedZone("+08:00", 8*60*60)

// trades are the values of trade_type.
var trades = map[string]pay.Trade{"NATIVE": pay.Native, "JSAPI": pay.JSAPI, "APP": pay.APP, "MWEB": pay.H5}

// first returns the first of some parameters that is not empty.
func (p params) first(names ...string) (value string) {
	for _, name := range names {
		value = cmp.Or(value, p.text(name))
	}
	return value
}

// order returns the order that a request asks for. An error is a *pay.FieldError, whose field is a parameter.
func (in payRequest) order(r *http.Request, route payRoute) (o pay.Order, err error) {
	wrong := func(name, reason string) (pay.Order, error) {
		return o, &pay.FieldError{Field: name, Reason: reason}
	}
	for _, all := range []map[string][]string{in.query, in.body} {
		for name, values := range all {
			if name != "link" && len(strings.Join(values, "")) > maxPayParam {
				return wrong(name, "is too long")
			}
		}
	}
	o = pay.Order{
		Trade: route.trade, OutTradeNo: in.text("out_trade_no"), Description: cmp.Or(in.first("name", "body"), defaultPayName),
		NotifyTo: in.first("call", "notify_url"), OpenID: in.text("openid"), ClientIP: in.first("spbill_create_ip", "server_ip"), Attach: in.text("attach"),
	}
	if o.Trade == "" {
		o.Trade = trades[strings.ToUpper(cmp.Or(in.text("trade_type"), "NATIVE"))]
	}
	cookie, missing := r.Cookie("openid")
	if o.OpenID == "" && route.trade == pay.JSAPI && missing == nil {
		o.OpenID = cookie.Value
	}
	fee := in.first("fee", "total_fee")
	if o.Fen, err = strconv.ParseInt(fee, 10, 64); err != nil && in.text("link") == "" {
		return wrong("fee", "is no amount: want a whole number of fen")
	}
	if end := in.text("time_expire"); end != "" {
		if o.ExpiresAt, err = time.ParseInLocation("20060102150405", end, beijing); err != nil || o.ExpiresAt.IsZero() {
			return wrong("time_expire", "is no time: want yyyyMMddHHmmss, in Beijing")
		}
	}
	if o.Trade == pay.H5 && o.ClientIP == "" && in.admin {
		o.ClientIP = peer.Parse(r.RemoteAddr).Unmap().String()
	}
	_, address := netip.ParseAddr(o.ClientIP)
	switch {
	case o.Trade == "":
		return wrong("trade_type", "is unknown: want NATIVE, JSAPI, APP or MWEB")
	case len(o.OpenID) > maxOpenID:
		return wrong("openid", "is too long")
	case o.ClientIP != "" && address != nil:
		return wrong("spbill_create_ip", "is no IP address")
	case !in.admin && cmp.Or(in.text("fee_type"), "CNY") != "CNY":
		return wrong("fee_type", "is not CNY")
	}
	o.Extra = in.passed(o.Trade)
	return o, nil
}

// passed returns the parameters that are passed on by name.
func (in payRequest) passed(trade pay.Trade) map[string]any {
	isV2 := strings.HasPrefix(in.app.Merchant(), "v2/")
	names := passedV3
	if isV2 {
		names = passedV2
	}
	extra := make(map[string]any)
	for _, name := range names {
		if value := in.text(name); value != "" {
			extra[name] = value
		}
	}
	if isV2 && in.admin {
		for _, name := range passedAdmin {
			if value := in.text(name); value != "" {
				extra[name] = value
			}
		}
	}
	if isV2 && trade == pay.Native && extra["product_id"] == nil {
		extra["product_id"] = defaultProductID
	}
	return extra
}
