package payv2

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

// Do makes any call of APIv2: it adds the merchant's fields and a nonce, signs the fields, sends them, and verifies the answer. It
// returns the fields of the answer, also with WeChat's refusal.
//
// The merchant's fields have the names that the path has: appid and mch_id, of transfers (企业付款) mch_appid and mchid, of red
// packets (红包) wxappid and mch_id. The field sign_type selects the algorithm; default that of the Merchant.
//
// A write without an answer that can be trusted is pay.ErrUnknown. Before that the same bytes are sent once more where they
// cannot take effect twice: where a field has one of our numbers (out_trade_no, out_refund_no, partner_trade_no, mch_billno,
// out_order_no, out_return_no, out_request_no), or the path is that of a query.
//
// Answers under /mmpaymkttransfers/ are not signed: they are trusted for the connection with our certificate alone. A transfer or a
// red packet is therefore confirmed by its query before Do returns.
func (m *Merchant) Do(ctx context.Context, path string, fields map[string]string) (map[string]string, error) {
	r, err := m.anyRequest(path, fields)
	if err != nil {
		return nil, err
	}
	var answer message
	if p, ok := payouts[path]; ok {
		answer, err = m.payOut(ctx, r, p)
	} else {
		answer, err = m.do(ctx, r)
	}
	if answer == nil {
		return nil, err
	}
	out := make(map[string]string, len(answer))
	for i := range answer {
		out[answer[i].name] = answer[i].value
	}
	return out, err
}

// The names of the appid and of the merchant number.
var (
	appNames      = []string{"appid", "mch_appid", "wxappid"}
	merchantNames = []string{"mch_id", "mchid"}
)

// anyRequest returns a call with fields of the caller.
func (m *Merchant) anyRequest(path string, given map[string]string) (*request, error) {
	fields := make(message, 0, len(given)+8)
	var by SignType
	for name, value := range given {
		switch {
		case name == "sign_type":
			if by = SignType(value); by != MD5 && by != HMACSHA256 || isPayout(path) {
				return nil, &pay.FieldError{Field: name, Reason: fmt.Sprintf("is %.20q: want HMAC-SHA256 or MD5, and none under %s", value, payoutPath)}
			}
			continue
		case slices.Contains(reserved, name):
			return nil, &pay.FieldError{Field: name, Reason: "is set by Do itself"}
		case slices.Contains(merchantNames, name) && value != m.wire.mchID, name == "sub_mch_id" && m.sub.mchID != "" && value != m.sub.mchID:
			return nil, &pay.FieldError{Field: name, Reason: fmt.Sprintf("is %.32q, which is not that of this Merchant", value)}
		case slices.Contains(appNames, name) && !m.ours(value):
			return nil, &pay.FieldError{Field: name, Reason: fmt.Sprintf("is %.32q, which is neither Config.AppID nor one of Config.AppIDs", value)}
		}
		fields.add(name, value)
	}
	app, merchant := partyNames(path)
	if app != "" && !slices.ContainsFunc(appNames, fields.has) {
		fields.add(app, m.appID)
	}
	if !slices.ContainsFunc(merchantNames, fields.has) {
		fields.add(merchant, m.wire.mchID)
	}
	if !fields.has("sub_mch_id") {
		fields.add("sub_mch_id", m.sub.mchID)
	}
	r := newRequest(path, fields)
	r.by = by
	return r, nil
}

// partyNames returns the names that the appid, if any, and the merchant number have on a path.
func partyNames(path string) (app, merchant string) {
	switch {
	case path == transfersPath:
		return "mch_appid", "mchid"
	case strings.HasPrefix(path, payoutPath+"send") && (strings.HasSuffix(path, "redpack") || strings.HasSuffix(path, "hb")):
		return "wxappid", "mch_id"
	case strings.HasPrefix(path, "/mmpaysptrans/"), strings.HasPrefix(path, "/risk/"):
		return "", "mch_id"
	}
	return "appid", "mch_id"
}
