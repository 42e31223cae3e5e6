package paytest

import (
	"maps"
	"strconv"
)

// v2NewOrder checks the fields that all orders of v2 share.
func (s *Server) v2NewOrder(c *call) (o *order, a answer, ok bool) {
	payee, a, ok := s.v2Payee(c)
	if !ok {
		return nil, a, false
	}
	o = &order{
		v2: true, signType: c.signType(), payee: payee, appID: c.v2["appid"], state: notPaid, created: c.now, currency: "CNY",
		outTradeNo: c.v2["out_trade_no"], total: c.v2.fen("total_fee"), description: c.v2["body"], attach: c.v2["attach"],
		deviceID: c.v2["device_info"], shares: c.v2["profit_sharing"] == "Y", notifyURL: c.v2["notify_url"],
	}
	if c.from.subs != nil {
		o.provider, o.subAppID = c.from, c.v2["sub_appid"]
	}
	switch {
	case !c.v2.oneOf("limit_pay", "no_credit"):
		return nil, c.unread("invalid limit_pay"), false
	case !c.v2.oneOf("receipt", "Y", "N"):
		return nil, c.unread("invalid receipt"), false
	case !c.v2.oneOf("profit_sharing", "Y", "N"):
		return nil, c.unread("invalid profit_sharing"), false
	}
	if _, ok := c.v2.sceneType(); !ok {
		return nil, c.unread("scene_info参数格式错误"), false
	}
	if a, ok := c.setTimes(o); !ok {
		return nil, a, false
	}
	o.asked = c.v2.asked()
	return o, answer{}, true
}

// asked returns the fields of an order in one form, without those that differ each time.
func (v values) asked() []byte {
	v = maps.Clone(v)
	for _, name := range []string{"nonce_str", "sign", "sign_type"} {
		delete(v, name)
	}
	maps.DeleteFunc(v, func(_, text string) bool { return text == "" })
	return toXML("xml", v)
}

func (s *Server) v2PlaceOrder(c *call) answer {
	o, a, ok := s.v2NewOrder(c)
	if !ok {
		return a
	}
	if a, ok := c.setTrade(o); !ok {
		return a
	}
	if a, ok := c.sandboxCase(); !ok {
		return a
	}
	o, a, ok = s.enter(o)
	if !ok {
		return c.asV2(a)
	}
	o.signType = c.signType() // the second signature has the type of the last call
	v := values{"trade_type": o.trade}
	if c.v2["device_info"] != "" {
		v["device_info"] = c.v2["device_info"]
	}
	switch o.trade {
	case "NATIVE":
		s.prepay(o, "code_url", c)
		v["code_url"] = o.codeURL
	case "MWEB":
		v["mweb_url"], _ = s.prepay(o, "h5_url", c)["h5_url"].(string)
	default:
		s.prepay(o, "prepay_id", c)
	}
	v["prepay_id"] = o.prepayID
	if c.route.v2.sandbox == oldSandbox && o.state == notPaid { // it pays at once
		if err := s.payOrder(o, "", c.now, false); err != nil {
			return c.refuseV2("SYSTEMERROR", "")
		}
	}
	return c.done(v)
}

// setTrade checks the fields that depend on how an order is paid, and sets its payer.
func (c *call) setTrade(o *order) (answer, bool) {
	o.trade = c.v2["trade_type"]
	switch o.trade {
	case "APP":
	case "JSAPI":
		if c.v2["openid"] == "" && (o.provider == nil || c.v2["sub_openid"] == "") {
			return c.unread("JSAPI支付必须传openid"), false
		}
		if c.v2["sub_openid"] != "" && c.v2["sub_appid"] == "" {
			return c.lacking("sub_appid"), false
		}
		o.openID = c.v2["openid"]
		if o.provider != nil {
			o.subOpenID = c.v2["sub_openid"]
		}
	case "NATIVE":
		if c.v2["product_id"] == "" {
			return c.lacking("product_id"), false
		}
	case "MWEB":
		if kind, _ := c.v2.sceneType(); kind == "" {
			return c.lacking("scene_info"), false
		}
	default:
		return c.unread("invalid trade_type"), false
	}
	return answer{}, true
}

// v2Order returns the order that a call of v2 names by transaction_id or out_trade_no.
func (s *Server) v2Order(c *call) (*order, answer, bool) {
	payee, a, ok := s.v2Payee(c)
	if !ok {
		return nil, a, false
	}
	id, no := c.v2["transaction_id"], c.v2["out_trade_no"]
	if id == "" && no == "" {
		return nil, c.lacking("transaction_id"), false
	}
	o := payee.orders[no]
	if id != "" { // it wins
		o = payee.transactions[id]
	}
	if o == nil || o.provider != nil && o.provider != c.from {
		return nil, c.refuseV2("ORDERNOTEXIST", ""), false
	}
	o.settle(c.now)
	return o, answer{}, true
}

func (s *Server) v2QueryOrder(c *call) answer {
	o, a, ok := s.v2Order(c)
	if !ok {
		return a
	}
	v := values{"out_trade_no": o.outTradeNo, "trade_state": o.state, "trade_state_desc": stateWords[o.state]}
	if o.transactionID == "" {
		v["total_fee"] = strconv.FormatInt(o.total, 10)
		return c.done(v)
	}
	maps.Copy(v, o.v2Paid())
	v["attach"] = o.attach // written even if empty
	return c.done(v)
}

// v2Paid returns a paid order as queries, micropay and notifications of v2 show it.
func (o *order) v2Paid() values {
	fee := strconv.FormatInt(o.total, 10)
	v := values{
		"openid": o.openID, "is_subscribe": "N", "trade_type": o.trade, "bank_type": "OTHERS", "total_fee": fee, "fee_type": "CNY",
		"cash_fee": fee, "cash_fee_type": "CNY", "transaction_id": o.transactionID, "out_trade_no": o.outTradeNo,
		"time_end": v2Time(o.paidAt),
	}
	if o.attach != "" {
		v["attach"] = o.attach
	}
	if o.deviceID != "" {
		v["device_info"] = o.deviceID
	}
	if o.subOpenID != "" {
		v["sub_openid"], v["sub_is_subscribe"] = o.subOpenID, "N"
	}
	return v
}

func (s *Server) v2CloseOrder(c *call) answer {
	o, a, ok := s.v2Order(c)
	if !ok {
		return a
	}
	if o.partOf != nil {
		return c.refuseV2("INVALID_REQUEST", "合单订单请使用合单关单接口")
	}
	if a, ok := o.closable(); !ok {
		return c.asV2(a)
	}
	if o.state == closed {
		return c.refuseV2("ORDERCLOSED", "")
	}
	o.state = closed
	return c.done(values{"result_msg": "OK"})
}
