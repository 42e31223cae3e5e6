package payv2

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/pay"
)

// payout describes a call that sends money to a user.
type payout struct {
	number       string // name of the field with our number
	amount       string // name of the field with the amount
	query        string // path of the query
	billType     string // field of the query
	queriedMoney string // name of the amount in the answer of the query
}

var (
	transfer  = payout{"partner_trade_no", "amount", "/mmpaymkttransfers/gettransferinfo", "", "payment_amount"}
	redPacket = payout{"mch_billno", "total_amount", "/mmpaymkttransfers/gethbinfo", "MCHT", "total_amount"}

	// payouts are the calls whose answers are confirmed by a query, by path.
	payouts = map[string]payout{
		transfersPath:                          transfer,
		"/mmpaymkttransfers/sendredpack":       redPacket,
		"/mmpaymkttransfers/sendgroupredpack":  redPacket,
		"/mmpaymkttransfers/sendminiprogramhb": redPacket,
	}
)

// payOut makes a payout, and asks WeChat whether it was made: neither success nor failure is signed.
func (m *Merchant) payOut(ctx context.Context, r *request, p payout) (message, error) {
	no, amount := r.fields.get(p.number), r.fields.get(p.amount)
	if no == "" {
		return nil, &pay.FieldError{Field: p.number, Reason: "is empty"}
	}
	if m.invalid != nil {
		return nil, m.invalid
	}
	if err := m.wire.prepare(ctx, r); err != nil {
		return nil, err
	}
	answer, failure := m.wire.exchange(ctx, r)
	asked, err := m.queryPayout(ctx, p, no)
	switch {
	case errors.Is(err, pay.ErrNotFound) && failure != nil && !errors.Is(failure, pay.ErrUnknown):
		return answer, failure
	case err != nil:
		return nil, &pay.Error{Op: r.op(), Cause: pay.ErrUnknown, Number: r.number(), Message: "the payout could not be confirmed", Err: errors.Join(failure, err)}
	case asked.get("status") == "FAILED":
		return asked, &pay.Error{Op: r.op(), Number: r.number(), Status: 200, Code: "FAILED", Message: printable(asked.get("reason"), 300)}
	case cmp.Or(asked.get(p.queriedMoney), amount) != amount:
		return asked, &pay.Error{Op: r.op(), Cause: pay.ErrChanged, Number: r.number(), Message: fmt.Sprintf("the payout of this number has the amount %.20s", asked.get(p.queriedMoney))}
	case failure != nil:
		return asked, nil
	}
	return answer, nil
}

// queryPayout returns what WeChat knows of a payout.
func (m *Merchant) queryPayout(ctx context.Context, p payout, no string) (message, error) {
	fields := m.party(m.appID)
	fields.add(p.number, no)
	fields.add("bill_type", p.billType)
	r := newRequest(p.query, fields)
	asked, err := m.do(ctx, r)
	if err == nil && (asked.get(p.number) != no || asked.get("status") == "") {
		err = &pay.Error{Op: r.op(), Cause: pay.ErrUnknown, Number: r.number(), Message: fmt.Sprintf("the answer is on payout %.40q", asked.get(p.number))}
	}
	return asked, err
}
