package payv2

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

const success = "SUCCESS"

// judge reads an answer, and decides whether it is trusted. An answer with return_code FAIL has no signature.
func (o *outcome) judge(r *request, body []byte) {
	if o.status != http.StatusOK {
		o.judgeStatus(body)
		return
	}
	fields, err := readMessage(string(body), "xml")
	if err != nil {
		o.doubt = &pay.Error{Message: "the answer is not XML as APIv2 has it", Err: err}
		return
	}
	o.fields = fields
	refusal := readRefusal(fields)
	switch {
	case fields.isSigned(r.signed.by, r.signed.keys):
		o.refusal = refusal
		if refusal != nil && refusal.Cause == pay.ErrUnknown { // such as SYSTEMERROR
			o.refusal, o.doubt = nil, refusal
		}
	case fields.get("sign") != "":
		o.doubt = &pay.Error{Cause: pay.ErrSignature, Message: "the signature of the answer does not fit " + string(r.signed.by)}
	case refusal != nil && (isUnsigned(r.path) || isKnownRefusal(refusal)):
		o.refusal = refusal
	case refusal != nil:
		o.doubt = refusal
		refusal.Cause = pay.ErrSignature
	case !isUnsigned(r.path):
		o.doubt = &pay.Error{Cause: pay.ErrSignature, Message: "the answer is not signed"}
	}
}

// judgeStatus judges an answer with a status other than 200. WeChat's proxy answers so, and APIv2 itself does not.
func (o *outcome) judgeStatus(body []byte) {
	if o.status == http.StatusBadRequest && bytes.Contains(body, []byte("No required SSL certificate was sent")) {
		o.refusal = &pay.Error{Cause: pay.ErrSettings, Message: "No required SSL certificate was sent", Advice: "does Config.HTTP present Config.Certificate, and is a proxy in between?"}
		return
	}
	o.doubt = new(pay.Error)
}

// readRefusal returns the refusal in an answer, or nil.
func readRefusal(m message) *pay.Error {
	returned, result := m.get("return_code"), m.get("result_code")
	if returned == success && (result == success || result == "" && !m.has("result_code")) {
		return nil
	}
	e := &pay.Error{Code: printable(firstOf(m.get("err_code"), m.get("error_code")), 64), Message: printable(firstOf(m.get("err_code_des"), m.get("return_msg")), 300)}
	e.Cause = pay.CauseOf(e.Code, e.Message)
	if e.Cause == "" {
		e.Cause = settingsIn(e.Message)
	}
	if e.Code == "" {
		e.Code = printable(firstOf(m.get("return_code"), "FAIL"), 64)
	}
	return e
}

// settingsTexts are parts of messages without a code that say that settings are wrong.
var settingsTexts = []string{
	"签名错误", "签名失败", "验证签名", "SIGN ERROR", "appid不存在", "mch_id不存在", "商户号不存在", "mch_id与appid不匹配", "appid与mch_id不匹配", "appid和mch_id不匹配",
	"证书", "无权限", "没有权限", "未开通",
}

func settingsIn(text string) pay.Cause {
	for _, part := range settingsTexts {
		if strings.Contains(text, part) {
			return pay.ErrSettings
		}
	}
	return ""
}

// formatTexts are parts of messages, or codes, that say that the request could not be read. Nothing was done.
var formatTexts = []string{
	"参数格式校验错误", "参数错误", "缺少参数", "XML格式错误", "xml格式", "XML_FORMAT_ERROR", "LACK_PARAMS", "POST_DATA_EMPTY", "NOT_UTF8", "REQUIRE_POST_METHOD",
	"invalid bill_type", "data format error", "missing parameter",
}

// isKnownRefusal reports whether an answer without a signature proves that nothing was done.
func isKnownRefusal(e *pay.Error) bool {
	switch e.Cause {
	case pay.ErrSettings, pay.ErrChanged:
		return true
	case "":
		for _, part := range formatTexts {
			if strings.Contains(e.Message, part) || e.Code == part {
				return true
			}
		}
	}
	return false
}
