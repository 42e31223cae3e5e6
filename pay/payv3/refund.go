package payv3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/pay"
)

const refundsPath = "/v3/refund/domestic/refunds"

// refund is a refund on the wire, in answers and notifications.
type refund struct {
	MchID         string `json:"mchid"`
	SpMchID       string `json:"sp_mchid"`
	SubMchID      string `json:"sub_mchid"`
	RefundID      string `json:"refund_id"`
	OutRefundNo   string `json:"out_refund_no"`
	TransactionID string `json:"transaction_id"`
	OutTradeNo    string `json:"out_trade_no"`
	Account       string `json:"user_received_account"`
	SuccessTime   moment `json:"success_time"`
	Status        string `json:"status"`
	RefundStatus  string `json:"refund_status"` // in notifications
	Amount        amount `json:"amount"`
}

// check returns an error for a refund without the values that every refund has.
func (f refund) check() error {
	switch {
	case f.OutRefundNo == "":
		return errors.New("it has no out_refund_no")
	case firstOf(f.Status, f.RefundStatus) == "":
		return errors.New("it has no status")
	case f.Amount.Refund < 1:
		return errors.New("it has no amount")
	}
	return nil
}

// plain returns f as a pay.Refund.
func (f refund) plain(raw []byte) pay.Refund {
	return pay.Refund{
		OutTradeNo: f.OutTradeNo, TransactionID: f.TransactionID, OutRefundNo: f.OutRefundNo, RefundID: f.RefundID,
		MchID: firstOf(f.MchID, f.SpMchID), SubMchID: f.SubMchID, Fen: f.Amount.Refund, TotalFen: f.Amount.Total,
		State: pay.State(firstOf(f.Status, f.RefundStatus)), RefundedAt: f.SuccessTime.Time, Account: f.Account, Raw: wirejson.Clean(raw),
	}
}

// Refund asks for a refund (申请退款). Refunds of one order must be a minute apart; there can be 50, within a year of the payment.
// See https://pay.weixin.qq.com/doc/v3/partner/4012709253.
func (m *Merchant) Refund(ctx context.Context, f pay.Refund) (pay.Refund, error) {
	if err := f.Check(); err != nil {
		return pay.Refund{}, err
	}
	fields := map[string]any{
		"out_refund_no": f.OutRefundNo,
		"amount":        map[string]any{"refund": f.Fen, "total": f.TotalFen, "currency": "CNY"},
	}
	for name, text := range map[string]string{
		"out_trade_no": f.OutTradeNo, "transaction_id": f.TransactionID, "reason": f.Reason,
		"notify_url": firstOf(f.NotifyURL, m.notifyURL), "sub_mchid": m.sub.mchID,
	} {
		if text != "" {
			fields[name] = text
		}
	}
	if f.TransactionID != "" { // WeChat takes one of them
		delete(fields, "out_trade_no")
	}
	if err := merge(fields, copyObject(f.Extra), "Refund.Extra"); err != nil {
		return pay.Refund{}, err
	}
	r, err := m.newRequest(ctx, http.MethodPost, refundsPath, fields)
	if err != nil {
		return pay.Refund{}, err
	}
	r.number = "out_refund_no " + f.OutRefundNo
	return m.askRefund(ctx, r, f)
}

// QueryRefund returns a refund as WeChat knows it (查询单笔退款).
func (m *Merchant) QueryRefund(ctx context.Context, outRefundNo string) (pay.Refund, error) {
	if err := pay.CheckOutRefundNo(outRefundNo); err != nil {
		return pay.Refund{}, err
	}
	path := refundsPath + "/" + escape(outRefundNo)
	r := &request{op: "GET " + path, method: http.MethodGet, path: path, number: "out_refund_no " + outRefundNo}
	if m.sub.mchID != "" {
		r.path += "?" + url.Values{"sub_mchid": {m.sub.mchID}}.Encode()
	}
	return m.askRefund(ctx, r, pay.Refund{OutRefundNo: outRefundNo})
}

// askRefund sends r, whose answer must be on the refund asked.
func (m *Merchant) askRefund(ctx context.Context, r *request, asked pay.Refund) (pay.Refund, error) {
	body, err := m.do(ctx, r)
	if err != nil {
		return asked, err
	}
	var answer refund
	err = decode(body, &answer)
	if err == nil && answer.OutRefundNo != asked.OutRefundNo {
		err = fmt.Errorf("the answer is on refund %.64q", answer.OutRefundNo)
	}
	if err == nil {
		err = answer.check()
	}
	if err != nil {
		return asked, &pay.Error{Op: r.op, Cause: pay.ErrUnknown, Number: r.number, Err: err}
	}
	f := answer.plain(body)
	f.Reason, f.NotifyURL, f.Extra = asked.Reason, asked.NotifyURL, asked.Extra
	return f, nil
}
