package payv2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

const maxNotification = 256 << 10

// typeOther is the type of a signed notification of any other kind. APIv2 has no names for them.
const typeOther = "V2.OTHER"

// Parse verifies a notification and decodes two kinds: payments, with the type TRANSACTION.SUCCESS, and refunds, with REFUND.SUCCESS,
// REFUND.ABNORMAL or REFUND.CLOSED. For all others, with the type V2.OTHER, only Notification.Raw is set: the fields as a JSON object
// of strings. Headers are not used.
//
// A payment is signed, with the type of Config.SignType alone. Messages with & in a value, such as attach, can have the signature of
// another message: Parse asks WeChat for such a payment, and returns what WeChat says. A notification of a refund is not: Parse decrypts it, then asks
// WeChat for the refund, and returns what WeChat says. Its error has a cause from pay.ErrProbe on, or is pay.ErrUnknown where
// WeChat could not be asked or has not finished the refund.
func (m *Merchant) Parse(ctx context.Context, _ http.Header, body []byte) (pay.Notification, error) {
	n, refusal := m.parse(ctx, body)
	if refusal != nil {
		refusal.Op = "parse notification"
		return pay.Notification{}, refusal
	}
	return n, nil
}

func (m *Merchant) parse(ctx context.Context, body []byte) (n pay.Notification, refusal *pay.Error) {
	switch {
	case len(body) > maxNotification:
		return n, refuse(pay.ErrTooLarge, "it has %d bytes", len(body))
	case m.invalid != nil:
		return n, refuse(pay.ErrMerchant, "%s %s", m.invalid.Field, m.invalid.Reason)
	case !isXML(body):
		return n, refuse(pay.ErrOther, "it is not XML")
	}
	fields, err := readMessage(string(body), "xml")
	if err != nil {
		return n, unreadable(err)
	}
	switch fields.get("mch_id") {
	case m.wire.mchID:
	case "":
		return n, unreadable(errors.New("it has no mch_id"))
	default:
		return n, refuse(pay.ErrOther, "it is for mch_id %.32q", fields.get("mch_id"))
	}
	s, err := m.wire.signing(ctx)
	if err != nil {
		return n, &pay.Error{Cause: pay.ErrUnknown, Err: err}
	}
	if fields.get("req_info") != "" {
		return m.parseRefund(ctx, fields, s)
	}
	if !fields.isSigned(s.by, s.keys) {
		return n, refuse(pay.ErrSignature, "%s", suspect(fields, s))
	}
	if refusal := m.checkParty(fields); refusal != nil {
		return n, refusal
	}
	if n, refusal = readPayment(fields); refusal == nil && fields.isAmbiguous() {
		refusal = m.confirmPayment(ctx, &n)
	}
	return n, refusal
}

// refuse returns the error of a message that is not trusted. The caller adds the operation.
func refuse(cause pay.Cause, format string, args ...any) *pay.Error {
	return &pay.Error{Cause: cause, Message: fmt.Sprintf(format, args...)}
}

func unreadable(err error) *pay.Error { return &pay.Error{Cause: pay.ErrUnreadable, Err: err} }

func isXML(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, "\ufeff \t\r\n"), []byte("<"))
}

// suspect returns a guess why a signature does not fit.
func suspect(fields message, s signing) string {
	other := MD5
	if s.by == MD5 {
		other = HMACSHA256
	}
	switch {
	case fields.get("sign") == "":
		return "it has no sign"
	case fields.isSigned(other, s.keys):
		return fmt.Sprintf("it is signed with %s: Config.SignType is %s", other, s.by)
	}
	return fmt.Sprintf("its sign does not fit %s: is the API key another, or was the body changed on its way?", s.by)
}

// checkParty refuses a message for another shop or app. A provider takes messages for all of its shops.
func (m *Merchant) checkParty(fields message) *pay.Error {
	if no := fields.get("sub_mch_id"); m.sub.mchID != "" && no != m.sub.mchID {
		return refuse(pay.ErrMerchant, "it is for sub_mch_id %.32q", no)
	}
	if app := fields.get("appid"); !m.ours(app) {
		return refuse(pay.ErrMerchant, "it is for appid %.32q, which is neither Config.AppID nor one of Config.AppIDs", app)
	}
	return nil
}

// readPayment decodes a signed message.
func readPayment(fields message) (n pay.Notification, refusal *pay.Error) {
	if fields.get("out_trade_no") == "" || !fields.has("total_fee") && !fields.has("transaction_id") {
		return pay.Notification{Type: typeOther, Raw: fields.json()}, nil
	}
	n.Type = "TRANSACTION.SUCCESS"
	state := pay.Success
	failure := readRefusal(fields)
	if failure != nil {
		n.Type, state = "TRANSACTION.FAIL", pay.PayError
	}
	t, err := transactionIn(fields, state)
	if err == nil && failure != nil && t.Paid() {
		err = errors.New("its result_code is not SUCCESS, but it has the state of a payment")
	}
	if err != nil {
		return n, unreadable(err)
	}
	n.Transaction, n.Raw = &t, t.Raw
	return n, nil
}

// confirmPayment asks WeChat for the payment in a message whose signature could be that of another message, and replaces it by
// WeChat's reply.
func (m *Merchant) confirmPayment(ctx context.Context, n *pay.Notification) *pay.Error {
	t := n.Transaction
	if t == nil {
		return refuse(pay.ErrSignature, "a value contains &, so its sign may be that of another message, and WeChat cannot be asked about this kind")
	}
	number, asking := "out_trade_no "+t.OutTradeNo, *m
	if m.sub.mchID == "" && t.SubMchID != "" { // a provider takes messages for all of its shops
		asking = *m.Sub(t.SubMchID, "")
	}
	asking.appID = t.AppID // checkParty has admitted it
	asked, err := asking.Query(ctx, t.OutTradeNo)
	switch {
	case errors.Is(err, pay.ErrNotFound):
		return &pay.Error{Cause: pay.ErrSignature, Number: number, Message: "WeChat has no such order"}
	case err != nil:
		return &pay.Error{Cause: pay.ErrUnknown, Number: number, Message: "the payment could not be confirmed", Err: err}
	case asked.Paid() != t.Paid(), asked.TransactionID != t.TransactionID && asked.Paid(), asked.Fen != t.Fen:
		return &pay.Error{Cause: pay.ErrSignature, Number: number, Message: fmt.Sprintf("WeChat says that the order is %.20s, or paid otherwise", asked.State)}
	}
	n.Transaction, n.Raw = &asked, asked.Raw
	return nil
}

// parseRefund decrypts and confirms a notification of a refund.
func (m *Merchant) parseRefund(ctx context.Context, outer message, s signing) (n pay.Notification, refusal *pay.Error) {
	if no := outer.get("sub_mch_id"); m.sub.mchID != "" && no != m.sub.mchID {
		return n, refuse(pay.ErrMerchant, "it is for sub_mch_id %.32q", no)
	}
	if outer.get("return_code") != success {
		return n, unreadable(errors.New("its return_code is not SUCCESS"))
	}
	inner, err := unseal(outer.get("req_info"), s.keys)
	if err != nil {
		return n, unreadable(err)
	}
	f, err := refundIn(inner, "")
	if err == nil {
		err = pay.CheckOutRefundNo(f.OutRefundNo)
	}
	if err != nil {
		return n, unreadable(err)
	}
	f.MchID, f.SubMchID = m.wire.mchID, outer.get("sub_mch_id")
	if refusal := m.confirmRefund(ctx, &f); refusal != nil {
		return n, refusal
	}
	return pay.Notification{Type: "REFUND." + string(f.State), Refund: &f, Raw: f.Raw}, nil
}

// confirmRefund asks WeChat for a notified refund, and sets its state. It refuses a refund that differs from WeChat's.
func (m *Merchant) confirmRefund(ctx context.Context, f *pay.Refund) *pay.Error {
	number := "out_refund_no " + f.OutRefundNo
	var asked pay.Refund
	err := error(pay.ErrNotFound)
	if m.wire.queryRefund != nil {
		asked, err = m.wire.queryRefund(ctx, f.OutRefundNo)
	}
	if errors.Is(err, pay.ErrNotFound) { // also of an order that APIv2 placed before the merchant moved
		asked, err = m.QueryRefund(ctx, f.OutRefundNo)
	}
	switch {
	case err != nil:
		return &pay.Error{Cause: pay.ErrUnknown, Number: number, Message: "the refund could not be confirmed", Err: err,
			Advice: "the refund of an order of APIv3 is confirmed by Config.QueryRefund"}
	case asked.Fen != f.Fen:
		return &pay.Error{Cause: pay.ErrAmount, Number: number, Message: fmt.Sprintf("it says %d fen, and WeChat %d", f.Fen, asked.Fen)}
	case differ(asked.OutRefundNo, f.OutRefundNo), differ(asked.RefundID, f.RefundID), differ(asked.OutTradeNo, f.OutTradeNo), differ(asked.TransactionID, f.TransactionID):
		return &pay.Error{Cause: pay.ErrSignature, Number: number, Message: "its numbers are not those of the refund at WeChat"}
	case asked.State != pay.Success && asked.State != pay.Closed && asked.State != pay.Abnormal:
		return &pay.Error{Cause: pay.ErrUnknown, Number: number, Message: fmt.Sprintf("WeChat says that the refund is %.20s", asked.State)}
	}
	f.State = asked.State
	if !asked.RefundedAt.IsZero() {
		f.RefundedAt = asked.RefundedAt
	}
	return nil
}

// differ reports whether two numbers are known and not the same.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// Answer acknowledges a notification in the form of APIv2, or, where err is not nil, refuses it with the status of its cause, so that
// WeChat sends it again. An error without a cause is answered 503.
func (m *Merchant) Answer(w http.ResponseWriter, err error) {
	status, code, text := http.StatusOK, success, "OK"
	if err != nil {
		status, code, text = http.StatusServiceUnavailable, "FAIL", "failed"
		if cause := pay.Cause(""); errors.As(err, &cause) {
			status, text = cause.Status(), strings.TrimPrefix(cause.Error(), "pay: ")
		}
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<xml><return_code><![CDATA[%s]]></return_code><return_msg><![CDATA[%s]]></return_msg></xml>", code, text) // WeChat sends it again
}
