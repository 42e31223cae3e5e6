package paytest

import (
	"fmt"
	"time"
)

// refund is a refund (退款单).
type refund struct {
	order       *order
	refundID    string
	outRefundNo string
	reason      string
	notifyURL   string
	fen         int64
	total       int64
	state       string
	created     time.Time
	doneAt      time.Time
	account     string
	v2          bool // whether v2 asked for it, and is notified
	console     bool // whether the merchant's console asked for it
}

type refundBody struct {
	SubMchID      string        `json:"sub_mchid"`
	TransactionID string        `json:"transaction_id"`
	OutTradeNo    string        `json:"out_trade_no"`
	OutRefundNo   string        `json:"out_refund_no"`
	Reason        string        `json:"reason"`
	NotifyURL     string        `json:"notify_url"`
	FundsAccount  string        `json:"funds_account"`
	Amount        *refundAmount `json:"amount"`
}

type refundAmount struct {
	Refund   int64  `json:"refund"`
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

func refundRoutes() []*route {
	const base = "/v3/refund/domestic/refunds"
	return []*route{
		at("POST "+base, (*Server).refund),
		at("GET "+base+"/{}", (*Server).queryRefund),
		at("POST "+base+"/{}/apply-abnormal-refund", (*Server).refundAbnormal),
	}
}

const (
	processing = "PROCESSING"
	abnormal   = "ABNORMAL"

	maxRefunds = 50
	refundGap  = time.Minute
)

func (s *Server) refund(c *call) answer {
	var in refundBody
	if a, ok := c.decode(&in); !ok {
		return a
	}
	payee, a, ok := s.payee(c, c.from.subs != nil, c.from.id, in.SubMchID)
	if !ok {
		return a
	}
	switch {
	case in.TransactionID == "" && in.OutTradeNo == "":
		return missing("transaction_id")
	case in.OutRefundNo == "":
		return missing("out_refund_no")
	case !refundNo.MatchString(in.OutRefundNo):
		return paramError("/out_refund_no", in.OutRefundNo, "1 to 64 of 0-9A-Za-z_-|*@", "商户退款单号不符合规则")
	case in.Amount == nil:
		return missing("amount")
	case in.Amount.Refund < 1:
		return paramError("/amount/refund", "", "less than 1", "退款金额必须大于0")
	case in.Amount.Total < 1:
		return paramError("/amount/total", "", "less than 1", "原订单金额必须大于0")
	case in.Amount.Currency != "CNY":
		return paramError("/amount/currency", in.Amount.Currency, "Currency code is invalid", "退款币种不支持")
	case in.FundsAccount != "" && in.FundsAccount != "AVAILABLE" && in.FundsAccount != "UNSETTLED":
		return paramError("/funds_account", in.FundsAccount, "unknown", "退款资金来源不支持")
	}
	if in.NotifyURL != "" {
		if issue := badNotifyURL(in.NotifyURL); issue != "" {
			return paramError("/notify_url", in.NotifyURL, issue, "通知地址不符合规则")
		}
	}
	o := payee.orders[in.OutTradeNo]
	if in.TransactionID != "" {
		o = payee.transactions[in.TransactionID]
	}
	if o == nil || o.transactionID == "" || o.v2 && in.TransactionID == "" || o.provider != nil && o.provider != c.from || in.OutTradeNo != "" && o.outTradeNo != in.OutTradeNo {
		return refuse("RESOURCE_NOT_EXISTS", "订单不存在")
	}
	if old := payee.refunds[in.OutRefundNo]; old != nil {
		if a, ok := old.same(o, &in); !ok {
			return a
		}
		return done(old.shown())
	}
	if a, ok := o.refundable(&in, c.now); !ok {
		return a
	}
	return done(s.takeRefund(o, &in, c.now).shown())
}

// same checks a refund whose number was used before against the first one.
func (r *refund) same(o *order, in *refundBody) (a answer, ok bool) {
	switch {
	case r.order != o:
		return refuse("INVALID_REQUEST", "商户退款单号重复"), false
	case r.fen != in.Amount.Refund || r.total != in.Amount.Total:
		return refuse("REFUND_FEE_MISMATCH", ""), false
	}
	return a, true
}

// refundable checks a new refund against its order.
func (o *order) refundable(in *refundBody, now time.Time) (a answer, ok bool) {
	partial := in.Amount.Refund < o.total
	switch {
	case now.Sub(o.paidAt) > 365*24*time.Hour:
		return refuse("TRADE_OVERDUE", ""), false
	case in.Amount.Total != o.total:
		return refuse("INVALID_REQUEST", "您的请求参数与订单信息不一致"), false
	case o.refunded == o.total:
		return refuse("INVALID_REQUEST", "订单已全额退款"), false
	case in.Amount.Refund > o.total-o.refunded:
		return refuse("INVALID_REQUEST", "累计退款金额超过订单金额"), false
	case len(o.refunds) >= maxRefunds:
		return refuse("INVALID_REQUEST", "一笔订单最多支持50次部分退款"), false
	case partial && !o.lastRefund.IsZero() && now.Sub(o.lastRefund) < refundGap:
		return refuse("FREQUENCY_LIMITED", "同一笔订单的部分退款间隔须大于1分钟"), false
	case in.Amount.Refund > o.total-o.shared-o.refunded:
		return refuse("NOT_ENOUGH", "订单资金已分账，请先分账回退"), false
	case o.payee.balance < in.Amount.Refund:
		return refuse("NOT_ENOUGH", "基本账户余额不足，请充值后重新发起"), false
	}
	return a, true
}

func (s *Server) takeRefund(o *order, in *refundBody, now time.Time) *refund {
	s.serial++
	r := &refund{
		order: o, outRefundNo: in.OutRefundNo, reason: in.Reason, notifyURL: in.NotifyURL, fen: in.Amount.Refund,
		total: in.Amount.Total, state: processing, created: now, account: in.FundsAccount,
		refundID: fmt.Sprintf("5030%06d%s%011d", s.serial%1e6, now.In(beijing).Format("20060102"), s.serial),
	}
	if r.account == "" {
		r.account = "UNSETTLED"
	}
	o.refunds = append(o.refunds, r)
	o.refunded += r.fen
	o.lastRefund = now
	o.state = refunded
	o.payee.balance -= r.fen
	o.payee.refunds[r.outRefundNo], o.payee.refundIDs[r.refundID] = r, r
	o.payee.record(&billRow{at: now, order: o, refund: r, state: refunded})
	if s.RefundAfter > 0 {
		s.after(s.RefundAfter, func() {
			if r.state == processing {
				s.finishRefund(r, success, time.Now())
			}
		})
	}
	return r
}

// shown returns the refund as its calls answer it.
func (r *refund) shown() fields {
	v := fields{
		"refund_id": r.refundID, "out_refund_no": r.outRefundNo, "transaction_id": r.order.transactionID,
		"out_trade_no": r.order.outTradeNo, "channel": "ORIGINAL", "user_received_account": "支付用户零钱",
		"create_time": wireTime(r.created), "status": r.state, "funds_account": r.account,
		"amount": fields{
			"total": r.total, "refund": r.fen, "payer_total": r.total, "payer_refund": r.fen, "settlement_refund": r.fen,
			"settlement_total": r.total, "discount_refund": 0, "currency": "CNY", "from": []any{}, "refund_fee": 0,
		},
		"promotion_detail": []any{},
	}
	if r.state == success {
		v["success_time"] = wireTime(r.doneAt)
	}
	return v
}

func (s *Server) queryRefund(c *call) answer {
	payee, a, ok := s.payee(c, c.from.subs != nil, c.from.id, c.query.Get("sub_mchid"))
	if !ok {
		return a
	}
	r := payee.refunds[c.vars[0]]
	if r == nil {
		return refuse("RESOURCE_NOT_EXISTS", "退款单不存在")
	}
	return done(r.shown())
}

// FinishRefund ends a refund of a merchant or sub-merchant as SUCCESS, ABNORMAL or CLOSED, and notifies the merchant
// if the refund named a URL. The money of a closed one returns to the merchant.
func (s *Server) FinishRefund(mchID, outRefundNo, status string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[mchID]
	if a == nil {
		return fmt.Errorf("paytest: no merchant %q", mchID)
	}
	r := a.refunds[outRefundNo]
	switch {
	case r == nil:
		return fmt.Errorf("paytest: no refund %q of merchant %q", outRefundNo, mchID)
	case status != success && status != abnormal && status != closed:
		return fmt.Errorf("paytest: invalid state %q of a refund: want SUCCESS, ABNORMAL or CLOSED", status)
	case r.state != processing && r.state != abnormal:
		return fmt.Errorf("paytest: the refund is %s", r.state)
	}
	s.finishRefund(r, status, time.Now())
	return nil
}

func (s *Server) finishRefund(r *refund, status string, now time.Time) {
	o := r.order
	r.state, r.doneAt = status, now
	if status == closed {
		o.refunded -= r.fen
		o.payee.balance += r.fen
		if o.refunded == 0 {
			o.state = success
		}
	}
	if r.notifyURL == "" {
		return
	}
	if r.v2 || r.console {
		s.v2NotifyRefund(r, now)
		return
	}
	plain := fields{
		"transaction_id": o.transactionID, "out_trade_no": o.outTradeNo, "refund_id": r.refundID,
		"out_refund_no": r.outRefundNo, "refund_status": status, "user_received_account": "支付用户零钱",
		"amount": fields{"total": r.total, "refund": r.fen, "payer_total": r.total, "payer_refund": r.fen},
	}
	if status == success {
		plain["success_time"] = wireTime(now)
	}
	to := o.payee
	if o.provider != nil {
		to = o.provider
		plain["sp_mchid"], plain["sub_mchid"] = to.id, o.payee.id
	} else {
		plain["mchid"] = to.id
	}
	summary := map[string]string{success: "退款成功", abnormal: "退款异常", closed: "退款关闭"}[status]
	s.notify(to, Notification{URL: r.notifyURL, Event: "REFUND." + status, OriginalType: "refund", Summary: summary, Plain: toJSON(plain)}, now)
}
