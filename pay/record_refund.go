package pay

import (
	"errors"
	"fmt"
	"time"
)

// refundState is the progress of a refund.
type refundState string

const (
	refundWaiting refundState = "waiting" // must be sent, or was sent without a reply
	refundUnknown refundState = "unknown" // sent, with an unknown outcome
	refundSent    refundState = "sent"    // accepted by WeChat
	refundFinal   refundState = "final"
)

// refundRecord is a stored refund.
type refundRecord struct {
	recordHead
	App        string      `json:"app,omitempty"`
	Merchant   string      `json:"merchant"`
	State      refundState `json:"state"`
	Refund     Refund      `json:"refund"` // as requested
	Asked      time.Time   `json:"asked"`
	Kept       time.Time   `json:"kept,omitzero"`          // when a caller was told that Run sends it, or repeated it: it is not removed then
	Sent       time.Time   `json:"sent,omitzero"`          // when we learned that WeChat has it
	Answer     *Refund     `json:"answer,omitempty"`       // WeChat's last reply
	Ended      time.Time   `json:"ended,omitzero"`         // when we learned that it is final
	HandedOver time.Time   `json:"handed_over,omitzero"`   // when OnRefund had returned nil
	Handed     State       `json:"handed_state,omitempty"` // state that OnRefund was called with
}

func (r *refundRecord) check() error {
	if r.Merchant == "" || CheckOutRefundNo(r.Refund.OutRefundNo) != nil || r.State == refundFinal && r.Answer == nil {
		return errors.New("invalid record of a refund")
	}
	return nil
}

func (*refundRecord) ttl(time.Time) time.Duration { return paidTTL }

func isFinalRefund(s State) bool { return s == Success || s == Closed || s == Abnormal }

// isDone reports whether OnRefund has returned nil for the current state.
func (r *refundRecord) isDone() bool {
	return r.State == refundFinal && !r.HandedOver.IsZero() && r.Handed == r.Answer.State
}

// answered returns the refund for callers.
func (r *refundRecord) answered() Refund {
	f := r.Refund
	f.State = Processing
	if a := r.Answer; a != nil {
		f.RefundID, f.State, f.RefundedAt, f.Account, f.Raw = a.RefundID, a.State, a.RefundedAt, a.Account, a.Raw
		f.MchID, f.SubMchID = a.MchID, a.SubMchID
		f.TransactionID = firstText(f.TransactionID, a.TransactionID)
	}
	return f
}

func firstText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// difference returns the first field in which a refund differs from the stored one, or "".
func (r *refundRecord) difference(f Refund) string {
	was := r.Refund
	switch {
	case f.OutTradeNo != "" && was.OutTradeNo != f.OutTradeNo:
		return "Refund.OutTradeNo"
	case f.TransactionID != "" && was.TransactionID != "" && was.TransactionID != f.TransactionID:
		return "Refund.TransactionID"
	case was.Fen != f.Fen:
		return "Refund.Fen"
	case f.TotalFen != 0 && was.TotalFen != f.TotalFen:
		return "Refund.TotalFen"
	case was.Reason != f.Reason:
		return "Refund.Reason"
	case !equalExtra(was.Extra, f.Extra):
		return "Refund.Extra"
	}
	return ""
}

// mismatch returns the first field in which WeChat's reply is about another refund than the stored one, or "". A reply may omit
// fields.
func (r *refundRecord) mismatch(answer Refund) string {
	asked := r.Refund
	switch {
	case differs(asked.OutTradeNo, answer.OutTradeNo):
		return "Refund.OutTradeNo"
	case differs(asked.TransactionID, answer.TransactionID):
		return "Refund.TransactionID"
	case differs(asked.Fen, answer.Fen):
		return "Refund.Fen"
	case differs(asked.TotalFen, answer.TotalFen):
		return "Refund.TotalFen"
	}
	return ""
}

// differs reports whether a value in a reply differs from the one that was sent. Either may be absent, which is the zero value.
func differs[T comparable](asked, answer T) bool {
	var absent T
	return asked != absent && answer != absent && asked != answer
}

// ledgerEntry is a refund in the record of its order.
type ledgerEntry struct {
	No            string    `json:"no"`
	Fen           int64     `json:"fen"`
	At            time.Time `json:"at"`                       // when it was added
	State         string    `json:"state,omitempty"`          // empty, ledgerUnknown or ledgerClosed
	TransactionID string    `json:"transaction_id,omitempty"` // of the refunded payment; default that of the order
}

const (
	ledgerUnknown = "unknown" // it may have been done
	ledgerClosed  = "closed"  // no money was returned

	maxRefunds     = 50
	maxRefundAge   = 365 * 24 * time.Hour
	refundInterval = 61 * time.Second // WeChat requires a minute
)

// entry returns the entry of a refund, or nil.
func (r *orderRecord) entry(no string) *ledgerEntry {
	for i := range r.Refunds {
		if r.Refunds[i].No == no {
			return &r.Refunds[i]
		}
	}
	return nil
}

// removeEntry removes the entry of a refund that was not done.
func (r *orderRecord) removeEntry(no string) {
	for i := range r.Refunds {
		if r.Refunds[i].No == no {
			r.Refunds = append(r.Refunds[:i], r.Refunds[i+1:]...)
			return
		}
	}
}

// isRefundOf reports whether an entry is a refund of a transaction.
func (r *orderRecord) isRefundOf(e ledgerEntry, transactionID string) bool {
	if e.TransactionID == "" && r.Transaction != nil {
		return r.Transaction.TransactionID == transactionID
	}
	return e.TransactionID == transactionID
}

// refundedFen returns the sum of the refunds of a transaction, with those that are not final yet.
func (r *orderRecord) refundedFen(transactionID string) (sum int64) {
	if transactionID == "" {
		return 0
	}
	for _, e := range r.Refunds {
		if e.State != ledgerClosed && e.Fen > 0 && e.Fen <= maxFen && r.isRefundOf(e, transactionID) {
			sum += e.Fen
		}
	}
	return sum
}

// isRefunded reports whether a payment was refunded in whole, or will be.
func (r *orderRecord) isRefunded(t Transaction) bool {
	fen := r.refundedFen(t.TransactionID)
	return fen > 0 && fen >= t.Fen
}

// validateRefund returns an error if a refund of t, a payment of the order, cannot succeed.
func (r *orderRecord) validateRefund(f Refund, t *Transaction, now time.Time) error {
	switch {
	case f.TotalFen != t.Fen:
		return &FieldError{"Refund.TotalFen", fmt.Sprintf("is %d: want %d, as the payment has", f.TotalFen, t.Fen)}
	case !t.PaidAt.IsZero() && now.Sub(t.PaidAt) > maxRefundAge:
		return &FieldError{"Refund.OutTradeNo", "is of an order that was paid more than 365 days ago"}
	}
	sum, count := f.Fen, 0
	for _, e := range r.Refunds {
		if e.No == f.OutRefundNo || e.State == ledgerClosed || !r.isRefundOf(e, t.TransactionID) {
			continue
		}
		if e.State == ledgerUnknown && e.Fen == f.Fen && !f.Repeat {
			return newError(opRefund, ErrUnknown, "out_refund_no "+e.No, "a refund of this order with the same amount has an unknown outcome")
		}
		if e.Fen < 0 || e.Fen > maxFen { // not by us
			return fmt.Errorf("pay: invalid record of order %s: refund %s has %d fen", r.Order.OutTradeNo, e.No, e.Fen)
		}
		sum, count = sum+e.Fen, count+1
	}
	switch {
	case count >= maxRefunds: // so that sum cannot overflow
		return &FieldError{"Refund.OutTradeNo", fmt.Sprintf("is of an order with %d refunds already", count)}
	case sum > t.Fen:
		return &FieldError{"Refund.Fen", fmt.Sprintf("is %d: with earlier refunds the sum would be %d of %d", f.Fen, sum, t.Fen)}
	}
	return nil
}
