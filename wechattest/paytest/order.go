package paytest

import (
	"time"
)

// order is a payment order (订单).
type order struct {
	payee    *account // who is paid
	provider *account // who placed it for the payee; nil: the payee itself
	trade    string   // JSAPI, NATIVE, APP, MWEB, MICROPAY
	asked    []byte   // the request, in one form

	v2       bool   // whether it was placed by v2, and is notified so
	signType string // of v2: the type of the second signature and of the notification

	outTradeNo    string
	transactionID string
	prepayID      string
	codeURL       string
	prepaidAt     time.Time
	linkedAt      time.Time // when the last h5_url was handed out

	appID, subAppID   string
	openID, subOpenID string // of the payer
	total             int64
	currency          string
	description       string
	attach            string
	notifyURL         string
	deviceID          string

	state   string
	paying  bool // whether the payer is paying
	created time.Time
	expires time.Time
	paidAt  time.Time
	partOf  *combined

	refunds    []*refund
	refunded   int64     // fen, of refunds that are not closed
	lastRefund time.Time // the last one that was taken

	shares     bool  // settle_info.profit_sharing
	shared     int64 // fen that went to receivers and were not returned
	unfrozen   bool
	shareCalls int
}

const (
	notPaid  = "NOTPAY"
	success  = "SUCCESS"
	refunded = "REFUND"
	closed   = "CLOSED"
	revoked  = "REVOKED"
	paying   = "USERPAYING"
	payError = "PAYERROR"
)

var stateWords = map[string]string{
	notPaid: "订单未支付", success: "支付成功", refunded: "订单发生过退款，退款详情请查询退款单", closed: "订单已关闭",
	revoked: "订单已撤销", paying: "用户支付中，需要输入密码", payError: "支付失败，请重新下单支付",
}

var beijing = time.FixedZone("CST", 8*3600)

func wireTime(t time.Time) string { return t.In(beijing).Format(time.RFC3339) }

var tradeTypes = map[string]string{"jsapi": "JSAPI", "native": "NATIVE", "app": "APP", "h5": "MWEB"}

func orderRoutes() (list []*route) {
	for _, way := range []struct {
		prefix  string
		partner bool
	}{{"/v3/pay/transactions", false}, {"/v3/pay/partner/transactions", true}} {
		partner := way.partner
		for name, trade := range tradeTypes {
			list = append(list, at("POST "+way.prefix+"/"+name, func(s *Server, c *call) answer { return s.placeOrder(c, partner, trade) }))
		}
		list = append(list,
			at("POST "+way.prefix+"/codepay", func(s *Server, c *call) answer { return s.payByCode(c, partner) }),
			at("GET "+way.prefix+"/id/{}", func(s *Server, c *call) answer { return s.queryOrder(c, partner, true) }),
			at("GET "+way.prefix+"/out-trade-no/{}", func(s *Server, c *call) answer { return s.queryOrder(c, partner, false) }),
			at("POST "+way.prefix+"/out-trade-no/{}/close", func(s *Server, c *call) answer { return s.closeOrder(c, partner) }),
			at("POST "+way.prefix+"/out-trade-no/{}/reverse", func(s *Server, c *call) answer { return s.reverseOrder(c, partner) }),
		)
	}
	return list
}

// settle changes the state of an order whose time is over.
func (o *order) settle(now time.Time) {
	if o.trade == "MICROPAY" && o.state == paying && now.Sub(o.created) > 45*time.Second {
		o.state, o.paying = revoked, false
	}
}

// findOrder returns the order that a call names in its path.
func (s *Server) findOrder(c *call, payee *account, byID bool) (*order, answer, bool) {
	o := payee.orders[c.vars[0]]
	if byID {
		o = payee.transactions[c.vars[0]]
	}
	if o == nil || o.provider != nil && o.provider != c.from {
		return nil, refuse("ORDER_NOT_EXIST", ""), false
	}
	o.settle(c.now)
	return o, answer{}, true
}

func (s *Server) queryOrder(c *call, partner, byID bool) answer {
	mchID := c.query.Get("mchid")
	if partner {
		mchID = c.query.Get("sp_mchid")
	}
	payee, a, ok := s.payee(c, partner, mchID, c.query.Get("sub_mchid"))
	if !ok {
		return a
	}
	o, a, ok := s.findOrder(c, payee, byID)
	if !ok {
		return a
	}
	return done(o.transaction())
}

// transaction returns the order as queries and notifications show it.
func (o *order) transaction() fields {
	v := fields{"out_trade_no": o.outTradeNo, "trade_state": o.state, "trade_state_desc": stateWords[o.state]}
	if o.provider == nil {
		v["appid"], v["mchid"] = o.appID, o.payee.id
	} else {
		v["sp_appid"], v["sp_mchid"], v["sub_mchid"] = o.appID, o.provider.id, o.payee.id
		if o.subAppID != "" {
			v["sub_appid"] = o.subAppID
		}
	}
	if o.transactionID == "" {
		v["amount"] = fields{"total": o.total, "currency": o.currency}
		return v
	}
	v["transaction_id"], v["trade_type"], v["bank_type"] = o.transactionID, o.trade, "OTHERS"
	v["attach"], v["success_time"] = o.attach, wireTime(o.paidAt)
	v["amount"] = fields{"total": o.total, "payer_total": o.total, "currency": o.currency, "payer_currency": o.currency}
	v["payer"] = o.payer()
	if o.deviceID != "" {
		v["scene_info"] = fields{"device_id": o.deviceID}
	}
	return v
}

func (o *order) payer() fields {
	if o.provider == nil {
		return fields{"openid": o.openID}
	}
	v := fields{"sp_openid": o.openID}
	if o.subOpenID != "" {
		v["sub_openid"] = o.subOpenID
	}
	return v
}

// partyBody is the body of close and reverse.
type partyBody struct {
	AppID    string `json:"appid"`
	MchID    string `json:"mchid"`
	SpAppID  string `json:"sp_appid"`
	SpMchID  string `json:"sp_mchid"`
	SubMchID string `json:"sub_mchid"`
}

func (s *Server) closeOrder(c *call, partner bool) answer {
	var in partyBody
	if a, ok := c.decode(&in); !ok {
		return a
	}
	o, a, ok := s.named(c, partner, &in)
	if !ok {
		return a
	}
	if o.partOf != nil {
		return refuse("INVALID_REQUEST", "合单订单请使用合单关单接口")
	}
	if a, ok := o.closable(); !ok {
		return a
	}
	o.state = closed
	return noContent()
}

// named returns the order of a close or a reverse.
func (s *Server) named(c *call, partner bool, in *partyBody) (*order, answer, bool) {
	mchID := in.MchID
	if partner {
		mchID = in.SpMchID
	}
	payee, a, ok := s.payee(c, partner, mchID, in.SubMchID)
	if !ok {
		return nil, a, false
	}
	return s.findOrder(c, payee, false)
}

// closable reports whether an order is unpaid, or closed already.
func (o *order) closable() (a answer, ok bool) {
	switch {
	case o.state == success || o.state == refunded:
		return refuse("ORDER_PAID", ""), false
	case o.paying || o.state == paying:
		return refuse("USER_PAYING", ""), false
	case o.state == revoked:
		return refuse("ORDER_REVERSED", ""), false
	}
	return a, true
}
