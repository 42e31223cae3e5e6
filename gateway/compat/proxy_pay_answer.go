package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/pay"
)

// unifiedOrder is WeChat's answer to an order, as APIv2 has it. One of APIv3 has neither nonce_str nor sign,
// and of trade NATIVE no prepay_id.
type unifiedOrder struct {
	ReturnCode string `json:"return_code"`
	ReturnMsg  string `json:"return_msg"`
	AppID      string `json:"appid"`
	MchID      string `json:"mch_id"`
	SubAppID   string `json:"sub_appid,omitempty"`
	SubMchID   string `json:"sub_mch_id,omitempty"`
	DeviceInfo string `json:"device_info,omitempty"`
	NonceStr   string `json:"nonce_str"`
	Sign       string `json:"sign"`
	ResultCode string `json:"result_code"`
	ErrCode    string `json:"err_code,omitempty"`
	ErrDes     string `json:"err_code_des,omitempty"`
	TradeType  string `json:"trade_type"`
	PrepayID   string `json:"prepay_id"`
	CodeURL    string `json:"code_url,omitempty"`
	MwebURL    string `json:"mweb_url,omitempty"`
}

const codeSuccess, codeFail = "SUCCESS", "FAIL"

// newUnifiedOrder returns an answer with what is the same for all.
func (in payRequest) newUnifiedOrder() unifiedOrder {
	u := unifiedOrder{ReturnCode: codeSuccess, ReturnMsg: "OK", AppID: in.app.AppID(), ResultCode: codeSuccess}
	_, u.MchID, _ = strings.Cut(in.app.Merchant(), "/")
	u.MchID, u.SubMchID, _ = strings.Cut(u.MchID, "/")
	for word, trade := range trades {
		if trade == in.trade {
			u.TradeType = word
		}
	}
	return u
}

// writePayJSON answers an order.
func writePayJSON(w http.ResponseWriter, in payRequest, p pay.Prepaid, err error) {
	if err != nil {
		writePayError(w, in, err)
		return
	}
	u := in.newUnifiedOrder()
	u.PrepayID, u.CodeURL, u.MwebURL = p.PrepayID, p.CodeURL, p.H5URL
	if p.Raw != nil { // of APIv2
		_ = json.Unmarshal(p.Raw, &u) // strings into strings
	}
	answer.JSON(w, http.StatusOK, marshal(u))
}

// oldCodes are the err_code of APIv2 for what this server finds out without asking WeChat.
var oldCodes = map[pay.Cause][2]string{
	pay.ErrPaid:    {"ORDERPAID", "该订单已支付"},
	pay.ErrClosed:  {"ORDERCLOSED", "该订单已关闭"},
	pay.ErrChanged: {"OUT_TRADE_NO_USED", "商户订单号重复"},
}

// payError returns the status and the JSON for an order that was not placed: WeChat's refusal in the form of its answer, and any other
// error in that of wechat-proxy.
func payError(in payRequest, err error) (status int, body []byte) {
	var refused *pay.Error
	var wrong *pay.FieldError
	cause := pay.Cause("")
	switch {
	case errors.As(err, &wrong):
		return http.StatusBadRequest, proxyError(paramOf(wrong.Field) + " " + wrong.Reason)
	case !errors.As(err, &refused):
		return http.StatusServiceUnavailable, proxyError(in.hide(err, "the order cannot be placed now: try again"))
	}
	errors.As(err, &cause)
	old, known := oldCodes[cause]
	u := in.newUnifiedOrder()
	u.ResultCode, u.ErrCode, u.ErrDes = codeFail, refused.Code, refused.Message
	switch {
	case known:
		u.ErrCode, u.ErrDes = old[0], old[1]
	case cause == pay.ErrUnknown && refused.Code == "":
		return http.StatusServiceUnavailable, proxyError(in.hide(err, "the order may have been placed: try again with the same out_trade_no"))
	case refused.Code == "":
		return cause.Status(), proxyError(refused.Message)
	case refused.Code == codeFail: // refused before the order was looked at
		u.ReturnCode, u.ReturnMsg, u.ResultCode, u.ErrCode, u.ErrDes = codeFail, refused.Message, "", "", ""
	}
	return http.StatusOK, marshal(u)
}

func writePayError(w http.ResponseWriter, in payRequest, err error) {
	status, body := payError(in, err)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	answer.JSON(w, status, body)
}

// hide returns the text of an error for our own services, and another one for strangers.
func (in payRequest) hide(err error, text string) string {
	if in.admin {
		return err.Error()
	}
	return text
}

// oldParams are the parameters of an order by the fields of a pay.Order.
var oldParams = map[string]string{
	"Order.Fen": "fee", "Order.Description": "name", "Order.OpenID": "openid", "Order.OutTradeNo": "out_trade_no", "OutTradeNo": "out_trade_no",
	"Order.ClientIP": "spbill_create_ip", "Order.Attach": "attach", "Order.ExpiresAt": "time_expire", "notify_to": "call",
}

func paramOf(field string) string {
	if name, ok := oldParams[field]; ok {
		return name
	}
	return field
}

// proxyError returns the JSON that writeProxyError answers.
func proxyError(text string) []byte {
	return fmt.Appendf(nil, `{"errcode": %d, "errmsg": %s}`, codeProxy, quote(text))
}

func marshal(v any) []byte {
	body, _ := json.Marshal(v) // strings always encode
	return body
}
