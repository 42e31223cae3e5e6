package paytest

import "cmp"

// v2Texts has the usual text of each code of v2.
var v2Texts = map[string]string{
	"REQUIRE_POST_METHOD":   "请使用post方法",
	"POST_DATA_EMPTY":       "post数据为空",
	"XML_FORMAT_ERROR":      "XML格式错误",
	"NOT_UTF8":              "编码格式错误",
	"LACK_PARAMS":           "缺少参数",
	"APPID_NOT_EXIST":       "APPID不存在",
	"MCHID_NOT_EXIST":       "MCHID不存在",
	"APPID_MCHID_NOT_MATCH": "appid和mch_id不匹配",
	"SIGNERROR":             "签名错误",
	"PARAM_ERROR":           "参数错误",
	"INVALID_REQUEST":       "参数错误",
	"NOAUTH":                "商户无此接口权限",
	"NOTENOUGH":             "余额不足",
	"NOTSUPORTCARD":         "不支持卡类型",
	"ORDERPAID":             "该订单已支付",
	"ORDERCLOSED":           "订单已关闭",
	"ORDERREVERSED":         "订单已撤销",
	"ORDERNOTEXIST":         "订单不存在",
	"OUT_TRADE_NO_USED":     "商户订单号重复",
	"SYSTEMERROR":           "系统繁忙，请稍后再试",
	"BANKERROR":             "银行系统异常",
	"USERPAYING":            "需要用户输入支付密码",
	"AUTHCODEEXPIRE":        "二维码已过期，请用户在微信上刷新后再试",
	"AUTH_CODE_ERROR":       "授权码参数错误",
	"AUTH_CODE_INVALID":     "请扫描微信支付授权码(以10/11/12/13/14/15为前缀的18位数字)",
	"BUYER_MISMATCH":        "支付帐号错误",
	"TRADE_ERROR":           "交易错误",
	"REVERSE_EXPIRE":        "订单无法撤销",
	"NOT_ALLOW":             "订单的支付场景不支持该请求",
	"BIZERR_NEED_RETRY":     "退款业务流程错误，需要商户触发重试来解决",
	"TRADE_OVERDUE":         "订单已经超过退款期限",
	"ERROR":                 "业务错误",
	"USER_ACCOUNT_ABNORMAL": "退款请求失败",
	"INVALID_REQ_TOO_MUCH":  "无效请求过多",
	"INVALID_TRANSACTIONID": "无效transaction_id",
	"REFUND_FEE_MISMATCH":   "订单金额或退款金额与之前请求不一致，请核实后再试",
	"FREQUENCY_LIMITED":     "频率限制",
	"REFUNDNOTEXIST":        "退款订单查询失败",
	"CERT_ERROR":            "证书校验错误",
	"CA_ERROR":              "商户API证书校验出错",
	"AMOUNT_LIMIT":          "付款金额超出限制",
	"OPENID_ERROR":          "Openid错误",
	"NAME_MISMATCH":         "真实姓名不一致",
	"FATAL_ERROR":           "两次请求参数不一致",
	"NOT_FOUND":             "指定单号数据不存在",
	"NO_AUTH":               "没有该接口权限",
	"SIGN_ERROR":            "签名错误",
	"SEND_FAILED":           "红包发放失败，请更换单号再重试",
}

// v2Unsigned are the codes of calls that WeChat does not read to the end. It writes their texts alone, in return_msg.
var v2Unsigned = map[string]bool{
	"REQUIRE_POST_METHOD": true, "POST_DATA_EMPTY": true, "XML_FORMAT_ERROR": true, "NOT_UTF8": true, "LACK_PARAMS": true,
	"APPID_NOT_EXIST": true, "MCHID_NOT_EXIST": true, "APPID_MCHID_NOT_MATCH": true, "SIGNERROR": true, "FAIL": true,
}

// v2Codes has the names in v2 of the codes of v3 that v2 names otherwise.
var v2Codes = map[string]string{
	"ORDER_NOT_EXIST": "ORDERNOTEXIST", "ORDER_PAID": "ORDERPAID", "ORDER_CLOSED": "ORDERCLOSED", "ORDER_REVERSED": "ORDERREVERSED",
	"USER_PAYING": "USERPAYING", "NOT_ENOUGH": "NOTENOUGH", "SYSTEM_ERROR": "SYSTEMERROR", "BANK_ERROR": "BANKERROR",
	"RESOURCE_NOT_EXISTS": "ORDERNOTEXIST", "MCH_NOT_EXISTS": "MCHID_NOT_EXIST", "RATELIMIT_EXCEEDED": "FREQUENCY_LIMITED",
	"NOT_SUPPORT_CARD": "NOTSUPORTCARD", "NO_STATEMENT_EXIST": noBill, "STATEMENT_CREATING": billCreating,
}

// refuseV2 returns the refusal of a code of v2 or v3, with the text given or the usual one. The code FAIL is a refusal that
// has none.
func (c *call) refuseV2(code, text string) answer {
	code = cmp.Or(v2Codes[code], code)
	switch {
	case c.route.v2.market && code == "SIGNERROR":
		code = "SIGN_ERROR"
	case !c.route.v2.market && code == "SIGN_ERROR":
		code = "SIGNERROR"
	case !c.route.v2.market && code == "NO_AUTH":
		code = "NOAUTH"
	}
	text = cmp.Or(text, v2Texts[code], code)
	switch {
	case c.route.v2.bill:
		return billRefusal(code, text)
	case c.route.v2.market && code != "FAIL":
		return c.marketRefusal(code, text)
	case v2Unsigned[code]:
		return c.unread(text)
	}
	v := c.answerFields()
	v["result_code"], v["err_code"], v["err_code_des"] = "FAIL", code, text
	return answer{v2: v}
}

// unread returns the refusal of a call that WeChat did not read to the end.
func (c *call) unread(text string) answer {
	if c.route.v2.bill {
		return billRefusal("", text)
	}
	if c.route.v2.market {
		return c.marketRefusal("PARAM_ERROR", text)
	}
	return plainXML(values{"return_code": "FAIL", "return_msg": text})
}

// lacking returns the refusal of a call without a field that it must have.
func (c *call) lacking(field string) answer {
	if c.route.v2.bill {
		return billRefusal("", "missing parameter")
	}
	return c.unread(v2Texts["LACK_PARAMS"] + "：" + field)
}

// asV2 returns a refusal of the functions that both versions share as v2 writes it.
func (c *call) asV2(a answer) answer { return c.refuseV2(a.code, a.message) }

// plainXML returns an answer without a signature.
func plainXML(v values) answer { return answer{status: 200, kind: v2Kind, body: toXML("xml", v)} }

const v2Kind = "text/plain"
