package paytest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// v2RefundStates has v2's names of the states of refunds.
var v2RefundStates = map[string]string{processing: processing, success: success, abnormal: "CHANGE", closed: "REFUNDCLOSE"}

// v2Accounts has v2's names of the accounts that refunds are paid from.
var v2Accounts = map[string]string{"UNSETTLED": "REFUND_SOURCE_UNSETTLED_FUNDS", "AVAILABLE": "REFUND_SOURCE_RECHARGE_FUNDS"}

const receivedBy = "支付用户零钱"

func (s *Server) v2Refund(c *call) answer {
	in := refundBody{
		OutRefundNo: c.v2["out_refund_no"], Reason: c.v2["refund_desc"], NotifyURL: c.v2["notify_url"],
		Amount: &refundAmount{Refund: c.v2.fen("refund_fee"), Total: c.v2.fen("total_fee"), Currency: "CNY"},
	}
	o, a, ok := s.v2Order(c)
	if !ok {
		return a
	}
	switch account := c.v2["refund_account"]; account {
	case "", v2Accounts["UNSETTLED"]:
	case v2Accounts["AVAILABLE"]:
		in.FundsAccount = "AVAILABLE"
	default:
		return c.unread("invalid refund_account")
	}
	switch {
	case in.Amount.Refund > in.Amount.Total:
		return c.unread("invalid refund_fee")
	case o.transactionID == "", !o.v2 && c.v2["transaction_id"] == "":
		return c.refuseV2("ORDERNOTEXIST", "")
	}
	if old := o.payee.refunds[in.OutRefundNo]; old != nil {
		if a, ok := old.same(o, &in); !ok {
			return c.v2RefundRefusal(a)
		}
		return c.done(old.v2Taken())
	}
	if a, ok := o.refundable(&in, c.now); !ok {
		return c.v2RefundRefusal(a)
	}
	r := s.takeRefund(o, &in, c.now)
	r.v2 = true
	if r.notifyURL == "" {
		r.notifyURL = c.from.settings.RefundURL
	}
	if c.route.v2.sandbox != notSandbox { // refunds at once
		s.finishRefund(r, success, c.now)
	}
	return c.done(r.v2Taken())
}

// v2RefundRefusal returns a refusal of a refund, for which v2 has the code ERROR in place of INVALID_REQUEST.
func (c *call) v2RefundRefusal(a answer) answer {
	if a.code == "INVALID_REQUEST" {
		a.code = "ERROR"
	}
	return c.asV2(a)
}

// v2Taken returns the refund as the call that makes it answers.
func (r *refund) v2Taken() values {
	fee, total := strconv.FormatInt(r.fen, 10), strconv.FormatInt(r.total, 10)
	return values{
		"transaction_id": r.order.transactionID, "out_trade_no": r.order.outTradeNo, "out_refund_no": r.outRefundNo,
		"refund_id": r.refundID, "refund_fee": fee, "total_fee": total, "fee_type": "CNY", "cash_fee": total,
		"cash_refund_fee": fee, "refund_channel": "", "coupon_refund_fee": "0", "coupon_refund_count": "0",
	}
}

const refundsPerPage = 10

// v2QueryRefund answers the refund that a call names, or a page of those of its order.
func (s *Server) v2QueryRefund(c *call) answer {
	payee, a, ok := s.v2Payee(c)
	if !ok {
		return a
	}
	offset, err := strconv.Atoi(c.v2["offset"])
	if c.v2["offset"] != "" && (err != nil || offset < 0) {
		return c.unread("invalid offset")
	}
	list, a, ok := s.v2Refunds(c, payee)
	if !ok {
		return a
	}
	if len(list) == 0 || offset >= len(list) || list[0].order.provider != nil && list[0].order.provider != c.from {
		return c.refuseV2("REFUNDNOTEXIST", "")
	}
	o := list[0].order
	v := values{
		"transaction_id": o.transactionID, "out_trade_no": o.outTradeNo, "total_fee": strconv.FormatInt(o.total, 10), "fee_type": "CNY",
		"cash_fee": strconv.FormatInt(o.total, 10), "total_refund_count": strconv.Itoa(len(list)),
	}
	list = list[offset:min(len(list), offset+refundsPerPage)]
	v["refund_count"] = strconv.Itoa(len(list))
	for n, r := range list {
		maps.Copy(v, r.v2Row(n))
	}
	return c.done(v)
}

// v2Refunds returns the refunds that a call names: refund_id wins, then out_refund_no, transaction_id, out_trade_no.
func (s *Server) v2Refunds(c *call, payee *account) ([]*refund, answer, bool) {
	one := func(r *refund) []*refund {
		if r == nil {
			return nil
		}
		return []*refund{r}
	}
	switch {
	case c.v2["refund_id"] != "":
		return one(payee.refundIDs[c.v2["refund_id"]]), answer{}, true
	case c.v2["out_refund_no"] != "":
		return one(payee.refunds[c.v2["out_refund_no"]]), answer{}, true
	}
	o, a, ok := s.v2Order(c)
	if !ok {
		if a.v2["err_code"] == "ORDERNOTEXIST" {
			a = c.refuseV2("REFUNDNOTEXIST", "")
		}
		return nil, a, false
	}
	return slices.Clone(o.refunds), answer{}, true
}

// v2Row returns the fields of the nth refund of a list.
func (r *refund) v2Row(n int) values {
	v := values{
		"out_refund_no": r.outRefundNo, "refund_id": r.refundID, "refund_channel": "ORIGINAL", "refund_fee": strconv.FormatInt(r.fen, 10),
		"refund_status": v2RefundStates[r.state], "refund_account": v2Accounts[r.account], "refund_recv_accout": receivedBy,
	}
	if r.state == success {
		v["refund_success_time"] = r.doneAt.In(beijing).Format(billTime)
	}
	row := make(values, len(v))
	for name, text := range v {
		row[name+"_"+strconv.Itoa(n)] = text
	}
	return row
}

// RefundInConsole refunds a part of a paid order in the merchant's console (商户平台), which makes the number. WeChat
// notifies of such a refund in the form of v2 alone, also a merchant of v3: at [Merchant.RefundURL], when it ends.
func (s *Server) RefundInConsole(mchID, outTradeNo string, fen int64) (outRefundNo string, err error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.order(mchID, outTradeNo, now)
	if err != nil {
		return "", err
	}
	s.serial++
	in := refundBody{
		OutRefundNo: fmt.Sprintf("MCH%s%010d", now.In(beijing).Format("20060102"), s.serial),
		Amount:      &refundAmount{Refund: fen, Total: o.total, Currency: "CNY"},
	}
	if o.transactionID == "" || fen < 1 {
		return "", fmt.Errorf("paytest: refund of %d fen of an order that is %s: want 1 or more, and one that is paid", fen, o.state)
	}
	if a, ok := o.refundable(&in, now); !ok {
		return "", fmt.Errorf("paytest: %s: %s", a.code, a.message)
	}
	r := s.takeRefund(o, &in, now)
	r.console, r.notifyURL = true, o.notified().settings.RefundURL
	return r.outRefundNo, nil
}
