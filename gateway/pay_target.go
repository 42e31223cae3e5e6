package gateway

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/pay"
)

// flatPrefix begins the NotifyTo of an order of wechat-proxy's clients. What follows is a URL, a path of the public side,
// or nothing for the app's notify_to. Its payment is reported as the flat strings of APIv2, even if APIv3 placed the order.
const flatPrefix = "flat+"

// isLocalTarget reports whether a target of reports is a path of the public side of this server.
func isLocalTarget(target string) bool { return strings.HasPrefix(target, "/") }

// wholeCall returns the target that a call of an old client names: a path of this server, a URL, or one without http://.
func wholeCall(call string) string {
	if call == "" || isLocalTarget(call) || strings.Contains(call, "://") {
		return call
	}
	return "http://" + call
}

// checkFlatCall is checkCall for a call that an old client makes, whose target may be a path of this server.
func (a *app) checkFlatCall(c *caller, call pay.Call) error {
	if !isLocalTarget(call.NotifyTo) {
		return callError(a.checkCall(c, call))
	}
	path, _, _ := strings.Cut(call.NotifyTo, "?")
	decoded, err := url.PathUnescape(path)
	switch {
	case a.signKey == "":
		return &pay.FieldError{Field: "call", Reason: "needs the app's sign_key: unsigned reports can be forged"}
	case err != nil || !isClean(path) || !isClean(decoded) || len(call.NotifyTo) > hosts.MaxLen || strings.ContainsAny(call.NotifyTo, "\\#") || strings.ContainsFunc(call.NotifyTo, isControl):
		return &pay.FieldError{Field: "call", Reason: "is not a path such as /paid"}
	case isAppPath(decoded):
		return &pay.FieldError{Field: "call", Reason: "is a route of an app, which takes no results: want another path of this server, such as /paid"}
	}
	call.NotifyTo = ""
	return a.checkCall(c, call)
}

func isControl(r rune) bool { return r <= ' ' || r == 0x7f }

// callError names the old parameter in an error about notify_to.
func callError(err error) error {
	if wrong, ok := err.(*pay.FieldError); ok && wrong.Field == "notify_to" {
		return &pay.FieldError{Field: "call", Reason: wrong.Reason}
	}
	return err
}

// flatPayment returns a payment as the fields of a notification of APIv2. That of an order of APIv3 has no nonce_str and no sign.
func flatPayment(t pay.Transaction) json.RawMessage {
	var v3 struct {
		IsV2     json.RawMessage `json:"total_fee"`
		BankType string          `json:"bank_type"`
		Amount   struct {
			Currency      string `json:"currency"`
			PayerCurrency string `json:"payer_currency"`
		} `json:"amount"`
		Scene struct {
			DeviceID string `json:"device_id"`
		} `json:"scene_info"`
		Coupons []struct {
			ID   string `json:"coupon_id"`
			Type string `json:"type"`
			Fen  int64  `json:"amount"`
		} `json:"promotion_detail"`
	}
	_ = json.Unmarshal(t.Raw, &v3) // on an error the fields of t remain
	if v3.IsV2 != nil {
		return t.Raw
	}
	flat := map[string]string{
		"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": t.AppID, "mch_id": t.MchID, "sub_appid": t.SubAppID, "sub_mch_id": t.SubMchID,
		"openid": t.OpenID, "trade_type": tradeWords[t.Trade], "bank_type": v3.BankType, "total_fee": fen(t.Fen), "fee_type": v3.Amount.Currency,
		"cash_fee": fen(t.PayerFen), "cash_fee_type": v3.Amount.PayerCurrency, "transaction_id": t.TransactionID, "out_trade_no": t.OutTradeNo,
		"attach": t.Attach, "time_end": t.PaidAt.In(beijing).Format("20060102150405"), "device_info": v3.Scene.DeviceID,
	}
	settled, sum := t.Fen, int64(0)
	for i, c := range v3.Coupons {
		suffix := "_" + strconv.Itoa(i)
		flat["coupon_id"+suffix], flat["coupon_fee"+suffix], flat["coupon_type"+suffix] = c.ID, fen(c.Fen), "CASH"
		if sum += c.Fen; c.Type == "NOCASH" {
			settled -= c.Fen
			flat["coupon_type"+suffix] = "NO_CASH"
		}
	}
	if len(v3.Coupons) > 0 {
		flat["coupon_count"], flat["coupon_fee"], flat["settlement_total_fee"] = strconv.Itoa(len(v3.Coupons)), fen(sum), fen(settled)
	}
	for name, value := range flat {
		if value == "" {
			delete(flat, name)
		}
	}
	raw, _ := json.Marshal(flat) // strings always encode
	return raw
}

// tradeWords are the values of trade_type of APIv2.
var tradeWords = map[pay.Trade]string{pay.JSAPI: "JSAPI", pay.Native: "NATIVE", pay.APP: "APP", pay.H5: "MWEB", pay.Code: "MICROPAY"}

func fen(n int64) string { return strconv.FormatInt(n, 10) }
