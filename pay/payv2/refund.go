package payv2

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

// refundIn returns the refund in a message. Its fields end with suffix, such as _0; those of its order do not.
func refundIn(m message, suffix string) (f pay.Refund, err error) {
	for i := range m {
		name, v := m[i].name, m[i].value
		switch name {
		case "out_trade_no":
			f.OutTradeNo = v
		case "transaction_id":
			f.TransactionID = v
		case "mch_id":
			f.MchID = v
		case "sub_mch_id":
			f.SubMchID = v
		case "total_fee":
			f.TotalFen, err = parseFen(m[i])
		}
		name, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		switch name {
		case "out_refund_no":
			f.OutRefundNo = v
		case "refund_id":
			f.RefundID = v
		case "refund_fee":
			f.Fen, err = parseFen(m[i])
		case "refund_status":
			f.State = refundState(v)
		case "refund_success_time", "success_time":
			f.RefundedAt = parseTime(v)
		case "refund_recv_accout": // so spelt by WeChat
			f.Account = v
		}
		if err != nil {
			return f, err
		}
	}
	switch {
	case err != nil:
		return f, err
	case f.OutRefundNo == "":
		return f, errors.New("it has no out_refund_no")
	case f.Fen < 1:
		return f, errors.New("it has no refund_fee")
	}
	f.Raw = m.json()
	return f, nil
}

// refundState returns the state for WeChat's refund_status.
func refundState(word string) pay.State {
	switch word {
	case "CHANGE":
		return pay.Abnormal
	case "REFUNDCLOSE":
		return pay.Closed
	}
	return pay.State(word)
}

// Refund asks for a refund (申请退款), which needs Config.Certificate. Refunds of one order must be a minute apart; there can be 50,
// within a year of the payment. The answer means that it was accepted, and its State is pay.Processing. See
// https://pay.weixin.qq.com/doc/v2/merchant/4011937125.
func (m *Merchant) Refund(ctx context.Context, f pay.Refund) (pay.Refund, error) {
	if err := f.Check(); err != nil {
		return pay.Refund{}, err
	}
	if err := checkNotifyURL("Refund.NotifyURL", f.NotifyURL); err != nil {
		return pay.Refund{}, err
	}
	fields := m.party(m.appID)
	if f.TransactionID != "" { // WeChat takes one of them
		fields.add("transaction_id", f.TransactionID)
	} else {
		fields.add("out_trade_no", f.OutTradeNo)
	}
	fields.add("out_refund_no", f.OutRefundNo)
	fields.add("total_fee", strconv.FormatInt(f.TotalFen, 10))
	fields.add("refund_fee", strconv.FormatInt(f.Fen, 10))
	fields.add("refund_desc", f.Reason)
	fields.add("notify_url", firstOf(f.NotifyURL, m.notifyURL))
	fields, err := addExtra(fields, f.Extra, "Refund.Extra")
	if err != nil {
		return pay.Refund{}, err
	}
	r := newRequest("/secapi/pay/refund", fields)
	answer, err := m.do(ctx, r)
	if err != nil {
		return f, err
	}
	out, err := m.readRefund(r, answer, "", f.OutRefundNo)
	if err != nil {
		return f, err
	}
	out.State, out.Reason, out.NotifyURL, out.Extra = pay.Processing, f.Reason, f.NotifyURL, f.Extra
	return out, nil
}

// QueryRefund returns a refund as WeChat knows it (查询退款).
func (m *Merchant) QueryRefund(ctx context.Context, outRefundNo string) (pay.Refund, error) {
	if err := pay.CheckOutRefundNo(outRefundNo); err != nil {
		return pay.Refund{}, err
	}
	fields := m.party(m.appID)
	fields.add("out_refund_no", outRefundNo)
	r := newRequest("/pay/refundquery", fields)
	answer, err := m.do(ctx, r)
	if err != nil {
		return pay.Refund{OutRefundNo: outRefundNo}, err
	}
	f, err := m.readRefund(r, answer, suffixOf(answer, outRefundNo), outRefundNo)
	if err == nil && f.State == "" {
		err = &pay.Error{Op: r.op(), Cause: pay.ErrUnknown, Number: r.number(), Err: errors.New("it has no refund_status")}
	}
	return f, err
}

// suffixOf returns the end of the names of the fields of a refund, such as _0. An answer may have several refunds.
func suffixOf(answer message, outRefundNo string) string {
	for i := range answer {
		if suffix, ok := strings.CutPrefix(answer[i].name, "out_refund_no_"); ok && answer[i].value == outRefundNo {
			return "_" + suffix
		}
	}
	return "_0"
}

// readRefund reads an answer on a refund, which must be the one that was asked about.
func (m *Merchant) readRefund(r *request, answer message, suffix, outRefundNo string) (pay.Refund, error) {
	f, err := refundIn(answer, suffix)
	if err == nil && f.OutRefundNo != outRefundNo {
		err = fmt.Errorf("the answer is on refund %.64q", f.OutRefundNo)
	}
	if err == nil {
		err = m.checkAnswer(answer)
	}
	if err != nil {
		return pay.Refund{OutRefundNo: outRefundNo}, &pay.Error{Op: r.op(), Cause: pay.ErrUnknown, Number: r.number(), Err: err}
	}
	return f, nil
}
