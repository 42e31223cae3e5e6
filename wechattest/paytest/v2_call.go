package paytest

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// v2Rules are what a call of v2 has beside its function.
type v2Rules struct {
	need        []string    // the fields that must be set, beside those of all calls
	certificate bool        // the call needs the merchant's certificate
	unnamed     bool        // the call names no appid
	unsigned    bool        // the answer carries no signature
	onlyHMAC    bool        // the call must be signed by HMAC-SHA256
	bill        bool        // refusals have error_code
	market      bool        // the call is one of marketing: its merchant may be named otherwise, MD5 alone, refusals unsigned
	sandbox     sandboxKind // empty: the true WeChat Pay
}

// v2At returns the route of a call of v2, which answers other methods in its own way.
func v2At(path string, rules v2Rules, serve func(*Server, *call) answer) *route {
	return &route{method: http.MethodPost, segments: strings.Split(path, "/"), v2: &rules, serve: serve}
}

func v2Routes() (list []*route) {
	list = append(list, v2PayRoutes("", notSandbox)...)
	list = append(list, v2PayRoutes("/sandboxnew", oldSandbox)...)
	list = append(list, v2PayRoutes("/xdc/apiv2sandbox", newSandbox)...)
	list = append(list, signKeyRoutes()...)
	return append(list, marketRoutes()...)
}

// v2PayRoutes returns the calls of payments, of WeChat Pay or of one of its sandboxes.
func v2PayRoutes(prefix string, kind sandboxKind) (list []*route) {
	add := func(path string, rules v2Rules, serve func(*Server, *call) answer) {
		rules.sandbox = kind
		rules.certificate = rules.certificate && kind == notSandbox
		rt := v2At(prefix+path, rules, serve)
		rt.unlocked = rules.bill // a long bill is written
		list = append(list, rt)
	}
	refund := v2Rules{need: []string{"out_refund_no", "total_fee", "refund_fee"}, certificate: true}
	add("/pay/orderquery", v2Rules{}, (*Server).v2QueryOrder)
	add("/pay/refundquery", v2Rules{}, (*Server).v2QueryRefund)
	add("/pay/micropay", v2Rules{need: []string{"body", "out_trade_no", "total_fee", "spbill_create_ip", "auth_code"}}, (*Server).v2Micropay)
	add("/secapi/pay/reverse", v2Rules{certificate: true}, (*Server).v2Reverse)
	add("/secapi/pay/refund", refund, (*Server).v2Refund)
	add("/pay/downloadbill", v2Rules{need: []string{"bill_date"}, bill: true}, (*Server).v2DownloadBill)
	add("/tools/authcodetoopenid", v2Rules{need: []string{"auth_code"}}, (*Server).v2PayerOfCode)
	if kind != notSandbox {
		add("/pay/refund", refund, (*Server).v2Refund)
		add("/pay/reverse", v2Rules{}, (*Server).v2Reverse)
	}
	if kind != newSandbox {
		add("/pay/unifiedorder", v2Rules{need: []string{"body", "out_trade_no", "total_fee", "spbill_create_ip", "notify_url", "trade_type"}}, (*Server).v2PlaceOrder)
		add("/pay/closeorder", v2Rules{need: []string{"out_trade_no"}}, (*Server).v2CloseOrder)
		add("/pay/downloadfundflow", v2Rules{need: []string{"bill_date", "account_type"}, bill: true, certificate: true, onlyHMAC: true}, (*Server).v2DownloadFlow)
	}
	return list
}

// readV2 reads the fields of a call of v2, if it has any.
func (c *call) readV2() {
	if !c.broken && len(c.body) > 0 {
		c.v2, c.v2Err = readXML("xml", c.body)
	}
}

// v2MchID returns the merchant that a call of v2 names.
func (c *call) v2MchID() string {
	if c.route.v2.market {
		return cmp.Or(c.v2["mchid"], c.v2["mch_id"])
	}
	return c.v2["mch_id"]
}

func (c *call) v2AppID() string {
	if c.route.v2.market {
		return cmp.Or(c.v2["mch_appid"], c.v2["wxappid"], c.v2["appid"])
	}
	return c.v2["appid"]
}

// signType returns the type of the signature of a call and of its answer.
func (c *call) signType() string { return cmp.Or(c.v2["sign_type"], signMD5) }

// checkV2 makes the checks that all calls of v2 share, in WeChat's order.
func (s *Server) checkV2(c *call) (answer, bool) {
	if a, ok := s.checkPresent(c); !ok {
		return a, false
	}
	switch {
	case c.method != http.MethodPost:
		return c.refuseV2("REQUIRE_POST_METHOD", ""), false
	case !c.broken && len(c.body) == 0:
		return c.refuseV2("POST_DATA_EMPTY", ""), false
	case errors.Is(c.v2Err, errNotUTF8):
		return c.refuseV2("NOT_UTF8", ""), false
	case c.broken || c.v2Err != nil:
		return c.refuseV2("XML_FORMAT_ERROR", ""), false
	}
	from, a, ok := s.v2Parties(c)
	if !ok {
		return a, false
	}
	if a, ok := c.v2Authorize(from); !ok {
		return a, false
	}
	c.from = from
	if a, ok := s.checkOwner(c); !ok {
		return a, false
	}
	for _, name := range c.route.v2.need {
		if c.v2[name] == "" {
			return c.lacking(name), false
		}
	}
	return c.checkFields()
}

// v2Parties returns the account that a call of v2 names.
func (s *Server) v2Parties(c *call) (*account, answer, bool) {
	mchID, appID := c.v2MchID(), c.v2AppID()
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.accounts[mchID]
	switch {
	case mchID == "":
		return nil, c.lacking("mch_id"), false
	case !c.route.v2.unnamed && appID == "":
		return nil, c.lacking("appid"), false
	case from == nil || from.key == nil:
		return nil, c.refuseV2("MCHID_NOT_EXIST", ""), false
	case !c.route.v2.unnamed && !from.takes(appID):
		return nil, c.refuseV2("APPID_MCHID_NOT_MATCH", ""), false
	}
	if kind := c.route.v2.sandbox; kind != notSandbox {
		box := from.sandboxes[kind]
		if box == nil { // its key was never asked for
			return nil, c.refuseV2("SIGNERROR", "沙箱验证签名失败"), false
		}
		return box, answer{}, true
	}
	return from, answer{}, true
}

// v2Authorize checks the signature of a call of v2.
func (c *call) v2Authorize(from *account) (answer, bool) {
	kind, text := c.signType(), ""
	switch {
	case c.v2["nonce_str"] == "":
		return c.lacking("nonce_str"), false
	case c.v2["sign"] == "":
		return c.lacking("sign"), false
	}
	allowed := kind == signMD5 || kind == signHMAC
	switch {
	case c.route.v2.market:
		allowed = c.v2["sign_type"] == ""
	case c.route.v2.onlyHMAC:
		allowed = kind == signHMAC
	case c.route.v2.sandbox == oldSandbox:
		allowed, text = kind == signMD5, "沙箱验证签名失败"
	}
	if !allowed || !c.v2.verifies(kind, from.apiKey, c.v2["sign"]) {
		if c.route.v2.bill {
			text = "SIGN ERROR"
		}
		return c.refuseV2("SIGNERROR", text), false
	}
	return answer{}, true
}

// answerFields returns the fields that all answers of v2 have.
func (c *call) answerFields() values {
	v := values{"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "nonce_str": randomText(16)}
	for _, name := range []string{"appid", "mch_id", "sub_appid", "sub_mch_id", "mch_appid", "mchid", "wxappid"} {
		if c.v2[name] != "" {
			v[name] = c.v2[name]
		}
	}
	return v
}

// done returns a successful answer of v2 with fields of its own.
func (c *call) done(own values) answer {
	v := c.answerFields()
	maps.Copy(v, own)
	return answer{v2: v}
}

// signV2 writes and signs an answer of v2 by the type that its call was signed by.
func (s *Server) signV2(c *call, a answer, how Signing) answer {
	if a.cut != nil {
		return a
	}
	header := http.Header{"Keep-Alive": {"timeout=8"}, "Cache-Control": {"no-cache, must-revalidate"}}
	maps.Copy(header, a.header)
	a.header = header
	if a.v2 == nil {
		a.body = spoil(a.body, how)
		return a
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.kind = v2Kind
	key := s.v2Key(c)
	if key == "" || c.route.v2.unsigned {
		a.body = spoil(toXML("xml", a.v2), how)
		return a
	}
	a.body = a.v2.signed(c.signType(), key, how)
	return a
}

// v2Key returns the key that signs the answer to a call: that of the account that it names, even if nothing was checked,
// because a fault answers. It is empty if there is none.
func (s *Server) v2Key(c *call) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := c.from
	if from == nil {
		from = s.accounts[c.v2MchID()]
		if kind := c.route.v2.sandbox; from != nil && kind != notSandbox {
			from = from.sandboxes[kind]
		}
	}
	if from == nil {
		return ""
	}
	return from.apiKey
}

// v2Payee returns the account that a call of v2 is for.
func (s *Server) v2Payee(c *call) (*account, answer, bool) {
	payee, a, ok := s.payee(c, c.from.subs != nil, c.from.id, c.v2["sub_mch_id"])
	if !ok {
		return nil, c.asV2(a), false
	}
	if sub := c.v2["sub_appid"]; sub != "" && c.from.subs != nil && !payee.takes(sub) {
		return nil, c.refuseV2("APPID_MCHID_NOT_MATCH", "sub_mch_id与sub_appid不匹配"), false
	}
	return payee, answer{}, true
}

func v2Time(t time.Time) string { return t.In(beijing).Format("20060102150405") }

// v2Paths returns the paths of v2.
var v2Paths = sync.OnceValue(func() map[string]bool {
	paths := make(map[string]bool)
	for _, rt := range v2Routes() {
		paths[strings.Join(rt.segments, "/")] = true
	}
	return paths
})
