package paytest

import "time"

func (s *Server) v2Micropay(c *call) answer {
	o, a, ok := s.v2NewOrder(c)
	if !ok {
		return a
	}
	o.trade, o.notifyURL = "MICROPAY", ""
	if !codeForm.MatchString(c.v2["auth_code"]) {
		return c.refuseV2("AUTH_CODE_INVALID", "")
	}
	if a, ok := c.sandboxCase(); !ok {
		return a
	}
	if c.route.v2.sandbox != notSandbox { // which takes any code
		s.payCodes()[c.v2["auth_code"]] = &payCode{openID: "o" + randomText(27), made: c.now}
	}
	o, a, ok = s.charge(o, c.v2["auth_code"], c.now)
	if !ok {
		return c.asV2(a)
	}
	return c.done(o.v2Paid())
}

// v2PayerOfCode returns the payer of a payment code.
func (s *Server) v2PayerOfCode(c *call) answer {
	code := s.codes[c.v2["auth_code"]]
	switch {
	case !codeForm.MatchString(c.v2["auth_code"]), code == nil:
		return c.refuseV2("AUTH_CODE_INVALID", "")
	case c.now.Sub(code.made) >= payCodeFor:
		return c.refuseV2("AUTHCODEEXPIRE", "")
	}
	return c.done(values{"openid": code.openID})
}

// v2Reverse ends an order by payment code, and returns its money if it was paid.
func (s *Server) v2Reverse(c *call) answer {
	o, a, ok := s.v2Order(c)
	if !ok {
		return a
	}
	switch {
	case o.trade != "MICROPAY":
		return c.refuseV2("NOT_ALLOW", "")
	case c.now.Sub(o.created) > 7*24*time.Hour:
		return c.refuseV2("REVERSE_EXPIRE", "")
	case o.state == refunded:
		return c.refuseV2("TRADE_ERROR", "订单已退款，不能撤销")
	}
	o.revoke(c.now)
	return c.done(values{"recall": "N"})
}
