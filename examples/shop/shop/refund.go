package shop

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/pay"
)

// Refund is the return of a payment.
type Refund struct {
	OutRefundNo   string
	OutTradeNo    string
	TransactionID string
	Fen           int64
	Reason        string
	State         pay.State // Processing, Success, Closed or Abnormal
	CreatedAt     time.Time
}

// RefundStore stores refunds.
type RefundStore interface {
	// StartRefund returns the refund of a payment that is not final, or the last one if all was returned. Otherwise it stores a new one, of what
	// was not returned yet. Calls at the same time return the same one.
	StartRefund(ctx context.Context, f Refund) (Refund, error)
	// DropRefund deletes a refund that is Processing.
	DropRefund(ctx context.Context, outRefundNo string) error
	// EndRefund stores the state of a refund, and the refund itself if it was made in WeChat Pay's console. If all of a payment is returned, the
	// order that it had settled becomes Refunded, and its Problem ends. Closed and Abnormal are a Problem of the payment.
	EndRefund(ctx context.Context, f Refund) error
	// Refund returns ErrNotFound if there is none.
	Refund(ctx context.Context, outRefundNo string) (Refund, error)
	// Refunds returns the refunds that were started in an interval, without its end.
	Refunds(ctx context.Context, from, to time.Time) ([]Refund, error)
}

// Refund returns the money of a paid order. The state becomes Refunded when WeChat reports that it is done. A call may be repeated.
func (s *Shop) Refund(ctx context.Context, outTradeNo, reason string) (Order, error) {
	o, err := s.paidOrder(ctx, outTradeNo)
	if err != nil {
		return o, err
	}
	switch {
	case o.State == Refunded:
		return o, nil
	case o.State != Paid && o.State != Shipped, o.TransactionID == "":
		return o, fmt.Errorf("%w: it is %s", ErrState, o.State)
	}
	if err := s.refund(ctx, o.OutTradeNo, o.TransactionID, o.TotalFee, reason); err != nil {
		return o, err
	}
	return s.Store.Order(ctx, outTradeNo)
}

const maxReason = 80 // characters

// refund stores the refund before it is sent, so that a repeated call sends the same number. One that WeChat refused is not kept.
func (s *Shop) refund(ctx context.Context, outTradeNo, transactionID string, fen int64, reason string) error {
	if utf8.RuneCountInString(reason) > maxReason {
		return fmt.Errorf("%w: reason", ErrInvalid)
	}
	f, err := s.Store.StartRefund(ctx, Refund{
		OutTradeNo: outTradeNo, TransactionID: transactionID, Fen: fen, Reason: reason, State: pay.Processing, CreatedAt: now(),
	})
	switch {
	case err != nil:
		return err
	case f.State == pay.Success:
		return nil
	case f.State != pay.Processing:
		return fmt.Errorf("%w: refund %s is %s: see WeChat Pay's console", ErrState, f.OutRefundNo, f.State)
	}
	_, err = s.Cashier.Refund(ctx, pay.Refund{
		OutTradeNo: outTradeNo, TransactionID: transactionID, OutRefundNo: f.OutRefundNo, Fen: f.Fen, Reason: f.Reason,
	})
	if err == nil {
		return nil
	}
	if kept, failed := s.Cashier.HasRefund(ctx, f.OutRefundNo); failed != nil || kept { // the Cashier may still send it
		return err
	}
	return errors.Join(err, s.Store.DropRefund(ctx, f.OutRefundNo))
}

// EndRefund is the Cashier's OnRefund.
func (s *Shop) EndRefund(ctx context.Context, f pay.Refund) error {
	return s.Store.EndRefund(ctx, Refund{
		OutRefundNo: f.OutRefundNo, OutTradeNo: f.OutTradeNo, TransactionID: f.TransactionID, Fen: f.Fen, Reason: f.Reason, State: f.State, CreatedAt: now(),
	})
}
