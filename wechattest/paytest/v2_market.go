package paytest

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"time"
)

// gift is money that v2 pays to a user at once: a transfer (企业付款) or a red packet (现金红包).
type gift struct {
	asked []byte
	no    string // partner_trade_no or mch_billno
	id    string
	at    time.Time
	sent  values // the request
	fen   int64
}

var (
	partnerTradeNo = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)
	mchBillNo      = regexp.MustCompile(`^[0-9A-Za-z]{1,28}$`)
)

const (
	leastV2Transfer = 30
	leastPacket     = 100
	mostPacket      = 20_000
)

func marketRoutes() []*route {
	at := func(path string, serve func(*Server, *call) answer, need ...string) *route {
		return v2At("/mmpaymkttransfers"+path, v2Rules{certificate: true, unsigned: true, market: true, need: need}, serve)
	}
	return []*route{
		at("/promotion/transfers", (*Server).v2Transfer, "mch_appid", "mchid", "partner_trade_no", "openid", "check_name", "amount", "desc"),
		at("/gettransferinfo", (*Server).v2QueryTransfer, "appid", "mch_id", "partner_trade_no"),
		at("/sendredpack", (*Server).v2SendPacket, "wxappid", "mch_id", "mch_billno", "send_name", "re_openid", "total_amount", "total_num", "wishing", "client_ip", "act_name", "remark"),
		at("/gethbinfo", (*Server).v2QueryPacket, "appid", "mch_id", "mch_billno", "bill_type"),
	}
}

// marketRefusal returns a refusal of the marketing calls, which name a code even if the call was not read to the end.
func (c *call) marketRefusal(code, text string) answer {
	v := values{"return_code": "SUCCESS", "return_msg": text, "result_code": "FAIL", "err_code": code, "err_code_des": text}
	if v2Unsigned[code] || code == "SIGN_ERROR" {
		v["return_code"] = "FAIL"
		return plainXML(v)
	}
	for _, name := range []string{"mch_appid", "mchid", "wxappid", "mch_id"} {
		if c.v2[name] != "" {
			v[name] = c.v2[name]
		}
	}
	return plainXML(v)
}

// give pays a gift, or returns the one paid before with the same parameters.
func (s *Server) give(c *call, gifts map[string]*gift, no string, fen int64) (*gift, answer, bool) {
	g := &gift{asked: c.v2.asked(), no: no, at: c.now, sent: maps.Clone(c.v2), fen: fen}
	switch old := gifts[no]; {
	case old != nil && string(old.asked) != string(g.asked):
		return nil, c.refuseV2("FATAL_ERROR", ""), false
	case old != nil:
		return old, answer{}, true
	case c.from.balance < fen:
		return nil, c.refuseV2("NOTENOUGH", ""), false
	}
	s.serial++
	g.id = fmt.Sprintf("1000%06d%s%010d", s.serial%1e6, c.now.In(beijing).Format("20060102"), s.serial)
	c.from.balance -= fen
	gifts[no] = g
	return g, answer{}, true
}

func (s *Server) v2Transfer(c *call) answer {
	no, fen := c.v2["partner_trade_no"], c.v2.fen("amount")
	switch {
	case !partnerTradeNo.MatchString(no):
		return c.refuseV2("PARAM_ERROR", "商户订单号不符合规则")
	case c.v2["check_name"] != "NO_CHECK" && c.v2["check_name"] != "FORCE_CHECK":
		return c.refuseV2("PARAM_ERROR", "invalid check_name")
	case c.v2["check_name"] == "FORCE_CHECK" && c.v2["re_user_name"] == "":
		return c.lacking("re_user_name")
	case fen < leastV2Transfer:
		return c.refuseV2("AMOUNT_LIMIT", "付款金额不能小于最低限额")
	}
	g, a, ok := s.give(c, c.from.v2Transfers, no, fen)
	if !ok {
		return a
	}
	return c.done(values{"partner_trade_no": g.no, "payment_no": g.id, "payment_time": g.at.In(beijing).Format(billTime)})
}

func (s *Server) v2QueryTransfer(c *call) answer {
	g := c.from.v2Transfers[c.v2["partner_trade_no"]]
	if g == nil {
		return c.refuseV2("NOT_FOUND", "")
	}
	at := g.at.In(beijing).Format(billTime)
	return c.done(values{
		"partner_trade_no": g.no, "detail_id": g.id, "status": success, "openid": g.sent["openid"], "transfer_name": g.sent["re_user_name"],
		"payment_amount": strconv.FormatInt(g.fen, 10), "transfer_time": at, "payment_time": at, "desc": g.sent["desc"],
	})
}

func (s *Server) v2SendPacket(c *call) answer {
	no, fen := c.v2["mch_billno"], c.v2.fen("total_amount")
	switch {
	case !mchBillNo.MatchString(no):
		return c.refuseV2("PARAM_ERROR", "商户订单号不符合规则")
	case c.v2["total_num"] != "1":
		return c.refuseV2("PARAM_ERROR", "红包发放总人数必须为1")
	case fen < leastPacket || fen > mostPacket:
		return c.refuseV2("AMOUNT_LIMIT", "红包金额必须在1元到200元之间")
	}
	g, a, ok := s.give(c, c.from.packets, no, fen)
	if !ok {
		return a
	}
	return c.done(values{
		"mch_billno": g.no, "re_openid": g.sent["re_openid"], "total_amount": strconv.FormatInt(g.fen, 10), "send_listid": g.id,
	})
}

func (s *Server) v2QueryPacket(c *call) answer {
	if c.v2["bill_type"] != "MCHT" {
		return c.refuseV2("PARAM_ERROR", "invalid bill_type")
	}
	g := c.from.packets[c.v2["mch_billno"]]
	if g == nil {
		return c.refuseV2("NOT_FOUND", "")
	}
	return c.done(values{
		"mch_billno": g.no, "detail_id": g.id, "status": "SENT", "send_type": "API", "hb_type": "NORMAL", "total_num": "1",
		"total_amount": strconv.FormatInt(g.fen, 10), "send_time": g.at.In(beijing).Format(billTime),
	})
}
