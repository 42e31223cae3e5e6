package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/wetoken/wetoken/pay"
)

// Payment is money that WeChat received.
type Payment struct {
	TransactionID string
	OutTradeNo    string
	Fen           int64
	PaidAt        time.Time

	// Problem is why the payment did not settle its order. A person must accept or refund it.
	Problem string

	AppID, MchID, OpenID, BankType, FeeType, IsSubscribe, Sign, TimeEnd string // for the order
	CashFee                                                             int64
}

// PaymentStore stores payments.
type PaymentStore interface {
	// Settle stores a payment, and marks its order as Paid, in one SQL transaction. If the payment is stored already it does nothing.
	// If the order has another payment, is not NotPaid, or has another amount, it stores the reason as Problem. An order that is Paid without a
	// payment, as the old program stored it, gets this one.
	Settle(ctx context.Context, p Payment) error
	// AcceptPayment marks the order of a payment with a Problem as Paid. It returns ErrState if the order is neither NotPaid nor Closed nor
	// Paid without a payment, or has another amount.
	AcceptPayment(ctx context.Context, transactionID string) error
	// Payment returns ErrNotFound if there is none.
	Payment(ctx context.Context, transactionID string) (Payment, error)
	// Payments returns the payments of an interval, without its end.
	Payments(ctx context.Context, from, to time.Time) ([]Payment, error)
	// Problems returns the payments with a Problem, the oldest first.
	Problems(ctx context.Context) ([]Payment, error)
}

// Settle is the Cashier's OnPaid. It settles each transaction once, in one SQL transaction with its order. A payment that came late, or
// whose order is unknown, is stored with a Problem.
func (s *Shop) Settle(ctx context.Context, t pay.Transaction) error {
	p := newPayment(t)
	switch {
	case !t.Known:
		p.Problem = "this shop did not place the order"
	case t.Late != "":
		p.Problem = "paid after the order was " + t.Late
	}
	return s.Store.Settle(ctx, p)
}

// paidOrder returns an order. The old program marked orders as paid without a payment: if the order is one, WeChat is asked for it, and
// without a payment of its amount the error is ErrState.
func (s *Shop) paidOrder(ctx context.Context, outTradeNo string) (Order, error) {
	o, err := s.Store.Order(ctx, outTradeNo)
	if err != nil || o.State != Paid || o.TransactionID != "" {
		return o, err
	}
	t, err := s.Cashier.Query(ctx, o.OutTradeNo)
	if err != nil && !errors.Is(err, pay.ErrNotFound) {
		return o, err
	}
	if err == nil && t.State == pay.Success && t.Fen == o.TotalFee && t.Currency == "" {
		if err := s.Store.Settle(ctx, newPayment(t)); err != nil {
			return o, err
		}
		if o, err = s.Store.Order(ctx, outTradeNo); err != nil || o.TransactionID != "" {
			return o, err
		}
	}
	return o, fmt.Errorf("%w: WeChat has no payment of it, or one that must be accepted first", ErrState)
}

// newPayment converts a transaction. WeChat's reply has the fields bank_type, cash_fee … in both versions of its API, but
// only APIv2 has is_subscribe and sign.
func newPayment(t pay.Transaction) Payment {
	var raw map[string]any
	_ = json.Unmarshal(t.Raw, &raw) // the fields are not needed
	text := func(name string) string {
		v, _ := raw[name].(string)
		return v
	}
	p := Payment{
		TransactionID: t.TransactionID, OutTradeNo: t.OutTradeNo, Fen: t.Fen, PaidAt: t.PaidAt,
		AppID: t.AppID, MchID: t.MchID, OpenID: t.OpenID, BankType: text("bank_type"), FeeType: "CNY",
		IsSubscribe: text("is_subscribe"), Sign: text("sign"), TimeEnd: t.PaidAt.In(Beijing).Format("20060102150405"), CashFee: t.PayerFen,
	}
	if cash, err := strconv.ParseInt(text("cash_fee"), 10, 64); err == nil {
		p.CashFee = cash
	}
	if t.Currency != "" {
		p.FeeType = t.Currency
	}
	return p
}

// Problems returns the payments that a person must accept or refund: those that Settle stored with a Problem, and those that the Cashier
// refused because they differ from their order.
func (s *Shop) Problems(ctx context.Context) ([]Payment, error) {
	list, err := s.Store.Problems(ctx)
	if err != nil {
		return nil, err
	}
	refused, err := s.Cashier.Refused(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range refused {
		p := newPayment(r.Transaction)
		p.Problem = r.Reason
		list = append(list, p)
	}
	return list, nil
}

// AcceptPayment takes a payment with a Problem for that of its order, such as a late one: the goods will be shipped.
func (s *Shop) AcceptPayment(ctx context.Context, transactionID string) error {
	return s.Store.AcceptPayment(ctx, transactionID)
}

// RefundPayment returns the money of a payment with a Problem.
func (s *Shop) RefundPayment(ctx context.Context, transactionID, reason string) error {
	problems, err := s.Problems(ctx)
	if err != nil {
		return err
	}
	for _, p := range problems {
		if p.TransactionID == transactionID {
			return s.refund(ctx, p.OutTradeNo, transactionID, p.Fen, reason)
		}
	}
	return fmt.Errorf("%w: no payment %.40q with a problem", ErrNotFound, transactionID)
}
