package paytest

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"
)

// v2Lengths are the most characters that a field may have.
var v2Lengths = map[string]int{
	"appid": 32, "mch_id": 32, "sub_appid": 32, "sub_mch_id": 32, "device_info": 32, "nonce_str": 32, "sign": 64, "sign_type": 32,
	"body": 128, "detail": 6144, "attach": 127, "out_trade_no": 32, "fee_type": 16, "spbill_create_ip": 64, "goods_tag": 32,
	"notify_url": 256, "trade_type": 16, "product_id": 32, "limit_pay": 32, "openid": 128, "sub_openid": 128, "receipt": 8,
	"profit_sharing": 16, "scene_info": 256, "transaction_id": 32, "out_refund_no": 64, "refund_id": 32, "refund_desc": 80,
	"refund_account": 30, "auth_code": 128, "partner_trade_no": 32, "re_user_name": 64, "desc": 100, "mch_billno": 28,
	"send_name": 32, "re_openid": 32, "wishing": 128, "act_name": 32, "remark": 256,
}

// v2Fees are the fields with an amount in fen.
var v2Fees = []string{"total_fee", "refund_fee", "amount", "total_amount"}

var wholeNumber = regexp.MustCompile(`^[0-9]{1,12}$`)

// checkFields checks the form of the fields that calls of v2 share.
func (c *call) checkFields() (answer, bool) {
	for name, text := range c.v2 {
		if most, ok := v2Lengths[name]; ok && utf8.RuneCountInString(text) > most {
			return c.unread(name + "参数长度有误"), false
		}
		for _, r := range text {
			if r > 0xffff {
				return c.unread(name + "参数含有不支持的字符"), false
			}
		}
	}
	for _, name := range v2Fees {
		if text := c.v2[name]; text != "" && (!wholeNumber.MatchString(text) || c.v2.fen(name) < 1) {
			return c.unread("invalid " + name), false
		}
	}
	for _, name := range []string{"spbill_create_ip", "client_ip"} {
		if text := c.v2[name]; text != "" {
			if _, err := netip.ParseAddr(text); err != nil {
				return c.unread("invalid " + name), false
			}
		}
	}
	return c.checkNumbers()
}

// checkNumbers checks the merchant's own numbers and the URL of a call.
func (c *call) checkNumbers() (answer, bool) {
	switch {
	case c.v2["out_trade_no"] != "" && !tradeNo.MatchString(c.v2["out_trade_no"]):
		return c.unread("商户订单号不符合规则"), false
	case c.v2["out_refund_no"] != "" && !refundNo.MatchString(c.v2["out_refund_no"]):
		return c.unread("商户退款单号不符合规则"), false
	case c.v2["notify_url"] != "" && badNotifyURL(c.v2["notify_url"]) != "":
		return c.unread("invalid notify_url"), false
	case c.v2["fee_type"] != "" && c.v2["fee_type"] != "CNY", c.v2["refund_fee_type"] != "" && c.v2["refund_fee_type"] != "CNY":
		return c.unread("invalid fee_type"), false
	}
	return answer{}, true
}

// fen returns an amount, 0 for none.
func (v values) fen(name string) int64 {
	n, err := strconv.ParseInt(v[name], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// setTimes checks time_start and time_expire of an order and sets its end.
func (c *call) setTimes(o *order) (answer, bool) {
	o.expires = c.now.AddDate(0, 0, 7)
	for _, name := range []string{"time_start", "time_expire"} {
		text := c.v2[name]
		if text == "" {
			continue
		}
		t, err := time.ParseInLocation("20060102150405", text, beijing)
		if err != nil {
			return c.unread(name + "格式错误"), false
		}
		if name == "time_start" {
			continue
		}
		if t.Before(c.now.Add(time.Minute).Truncate(time.Second)) {
			return c.refuseV2("INVALID_REQUEST", "time_expire时间过短，刷卡至少1分钟，其他5分钟"), false
		}
		o.expires = t
	}
	return answer{}, true
}

// sceneType returns the type of h5_info in scene_info. ok reports whether scene_info is empty or a JSON object.
func (v values) sceneType() (kind string, ok bool) {
	if v["scene_info"] == "" {
		return "", true
	}
	var in struct {
		H5 struct {
			Type string `json:"type"`
		} `json:"h5_info"`
	}
	err := json.Unmarshal([]byte(v["scene_info"]), &in)
	return in.H5.Type, err == nil
}

// oneOf reports whether a field is empty or one of these.
func (v values) oneOf(name string, allowed ...string) bool {
	if v[name] == "" {
		return true
	}
	for _, text := range allowed {
		if v[name] == text {
			return true
		}
	}
	return false
}
