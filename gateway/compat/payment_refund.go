package compat

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

// refundFields are the parameters of a refund that are fields of a pay.Refund.
var refundFields = []string{"out_refund_no", "out_trade_no", "transaction_id", "total_fee", "refund_fee", "refund_desc"}

// ourFields are those that no caller sets: they name the merchant and the app, sign the call, and receive its outcome.
var ourFields = []string{
	"appid", "mch_id", "sub_appid", "sub_mch_id", "nonce_str", "sign", "sign_type", "notify_url", "key", "wetoken_key", "version", "mch_appid", "mchid", "op_user_id",
}

// refund refunds a payment, and returns WeChat's answer.
func (s *payment) refund(in paymentRequest) (map[string]string, error) {
	f := pay.Refund{
		OutTradeNo: in.text("out_trade_no"), TransactionID: in.text("transaction_id"), OutRefundNo: in.text("out_refund_no"), Reason: in.text("refund_desc"),
	}
	var missing []string
	for _, name := range []string{"out_refund_no", "total_fee", "refund_fee"} {
		if in.text(name) == "" {
			missing = append(missing, name)
		}
	}
	if f.OutTradeNo == "" && f.TransactionID == "" {
		missing = append(missing, "out_trade_no", "transaction_id")
	}
	if len(missing) > 0 {
		return nil, errMissing(missing)
	}
	var err error
	if f.TotalFen, err = parseFen("total_fee", in.text("total_fee")); err != nil {
		return nil, err
	}
	if f.Fen, err = parseFen("refund_fee", in.text("refund_fee")); err != nil {
		return nil, err
	}
	if f.Extra, err = in.otherFields(); err != nil {
		return nil, err
	}
	if f, err = in.app.Refund(in.Context(), in.caller, f); err != nil {
		return nil, err
	}
	if f.State == pay.Closed || f.State == pay.Abnormal { // of a repeated call
		return nil, errFailed("pay fail! the refund is " + string(f.State))
	}
	return in.refundResult(f), nil
}

// fieldName matches the names of WeChat's fields.
var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// otherFields returns the parameters that are passed on to APIv2 by their names.
func (in paymentRequest) otherFields() (map[string]any, error) {
	if !strings.HasPrefix(in.app.Merchant(), "v2/") {
		return nil, nil
	}
	extra := make(map[string]any)
	for _, all := range []map[string][]string{in.body, in.query} {
		for name := range all {
			value := in.text(name)
			if value == "" || slices.Contains(refundFields, name) || slices.Contains(ourFields, name) {
				continue
			}
			if !fieldName.MatchString(name) {
				return nil, errFailed(fmt.Sprintf("%.40q is not the name of a field of WeChat", name))
			}
			if name == "refund_fee_type" && value != "CNY" {
				return nil, errFailed("refund_fee_type: want CNY")
			}
			extra[name] = value
		}
	}
	return extra, nil
}

// refundResult returns WeChat's answer, or what it would be for a refund that is sent later, or over APIv3.
func (in paymentRequest) refundResult(f pay.Refund) map[string]string {
	result := map[string]string{
		"return_code": codeSuccess, "return_msg": "OK", "result_code": codeSuccess, "appid": in.app.AppID(), "out_refund_no": f.OutRefundNo,
		"refund_fee": strconv.FormatInt(f.Fen, 10), "total_fee": strconv.FormatInt(f.TotalFen, 10), "cash_fee": strconv.FormatInt(f.TotalFen, 10),
	}
	_, merchant, _ := strings.Cut(in.app.Merchant(), "/")
	mchID, subMchID, _ := strings.Cut(merchant, "/")
	for name, value := range map[string]string{"mch_id": mchID, "sub_mch_id": subMchID, "out_trade_no": f.OutTradeNo, "transaction_id": f.TransactionID, "refund_id": f.RefundID} {
		if value != "" {
			result[name] = value
		}
	}
	var raw map[string]any
	if json.Unmarshal(f.Raw, &raw) == nil && raw["return_code"] != nil { // of APIv2
		for name, value := range raw {
			if text, ok := value.(string); ok {
				result[name] = text
			}
		}
	}
	return result
}
