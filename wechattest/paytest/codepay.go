package paytest

import (
	"net/http"
	"regexp"
	"time"
)

// payCode is a payment code (付款码) of a payer.
type payCode struct {
	openID string
	asks   bool
	made   time.Time
	used   *order
}

const payCodeFor = time.Minute

var codeForm = regexp.MustCompile(`^1[0-5][0-9]{16}$`)

// PayCode returns a payment code of a payer. It works once, for a minute. If asks is set the payer has to enter a
// password: the order is USERPAYING until [Server.Pay] or [Server.CancelPaying], and revoked after 45 seconds.
func (s *Server) PayCode(openID string, asks bool) (authCode string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := "13" + randomDigits(16)
	if openID == "" {
		openID = "o" + randomText(27)
	}
	s.payCodes()[code] = &payCode{openID: openID, asks: asks, made: time.Now()}
	return code
}

func (s *Server) payCodes() map[string]*payCode {
	if s.codes == nil {
		s.codes = make(map[string]*payCode)
	}
	return s.codes
}

func (s *Server) payByCode(c *call, partner bool) answer {
	var in orderBody
	if a, ok := c.decode(&in); !ok {
		return a
	}
	o, a, ok := s.newOrder(c, &in, partner)
	if !ok {
		return a
	}
	switch {
	case in.Payer.AuthCode == "":
		return missing("auth_code")
	case in.SceneInfo == nil || in.SceneInfo.StoreInfo == nil || in.SceneInfo.StoreInfo.ID == "" && in.SceneInfo.StoreInfo.OutID == "":
		return missing("store_info")
	case !codeForm.MatchString(in.Payer.AuthCode):
		return refuse("AUTH_CODE_INVALID", "")
	}
	o.trade, o.asked = "MICROPAY", canonical(c.body)
	o, a, ok = s.charge(o, in.Payer.AuthCode, c.now)
	if !ok {
		return a
	}
	return done(o.transaction())
}

// charge places an order and pays it with a payment code. ok reports whether it is paid.
func (s *Server) charge(o *order, authCode string, now time.Time) (_ *order, a answer, ok bool) {
	o, a, ok = s.enter(o)
	if !ok {
		return nil, a, false
	}
	if o.state != notPaid { // the same call again
		return nil, refuse("USER_PAYING", ""), false
	}
	code := s.codes[authCode]
	switch {
	case code == nil:
		delete(o.payee.orders, o.outTradeNo)
		return nil, refuse("AUTH_CODE_INVALID", "101 付款码无效，请重新扫码"), false
	case code.used != nil:
		delete(o.payee.orders, o.outTradeNo)
		return nil, refuse("AUTH_CODE_INVALID", "付款码已使用，请刷新后再试"), false
	case now.Sub(code.made) >= payCodeFor:
		delete(o.payee.orders, o.outTradeNo)
		return nil, refuse("AUTHCODEEXPIRE", ""), false
	}
	code.used = o
	if code.asks {
		o.state, o.paying, o.openID = paying, true, code.openID
		return nil, refuse("USER_PAYING", ""), false
	}
	s.settlePaid(o, code.openID, now)
	return o, a, true
}

// reverseOrder ends an order by payment code, and returns its money if it was paid.
func (s *Server) reverseOrder(c *call, partner bool) answer {
	var in partyBody
	if a, ok := c.decode(&in); !ok {
		return a
	}
	switch {
	case partner && in.SpAppID == "":
		return missing("sp_appid")
	case !partner && in.AppID == "":
		return missing("appid")
	}
	o, a, ok := s.named(c, partner, &in)
	if !ok {
		return a
	}
	switch {
	case o.trade != "MICROPAY":
		return refuse("INVALID_REQUEST", "订单的支付场景不支持该请求")
	case c.now.Sub(o.created) > 7*24*time.Hour:
		return refuse("INVALID_REQUEST", "订单超过7天，不能撤销")
	case o.state == refunded:
		return refuse("INVALID_REQUEST", "订单已退款，不能撤销")
	}
	o.revoke(c.now)
	v := fields{"out_trade_no": o.outTradeNo, "appid": o.appID, "mchid": o.payee.id}
	if partner {
		v = fields{"out_trade_no": o.outTradeNo, "sp_appid": o.appID, "sp_mchid": o.provider.id, "sub_mchid": o.payee.id}
	}
	return answer{status: http.StatusOK, body: toJSON(v)}
}

// revoke ends an order by payment code, and returns its money if it was paid.
func (o *order) revoke(now time.Time) {
	if o.state == success {
		o.payee.balance -= o.total
		o.payee.record(&billRow{at: now, order: o, state: revoked})
	}
	o.state, o.paying = revoked, false
}
