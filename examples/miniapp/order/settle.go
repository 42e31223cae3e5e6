package order

import (
	"context"
	"database/sql"
	"errors"

	"github.com/wetoken/wetoken/pay"
)

var errNoHook = errors.New("order: no hook is set: the payment stays unacknowledged")

// Settle records a payment, marks its order as paid and runs the Hook, all in one transaction. It is the OnPaid of a Cashier, which
// calls it again after an error, and after its process was killed. The transaction id keeps the second call from doing anything.
func (s *Service) Settle(ctx context.Context, t pay.Transaction) error {
	var paid Order
	p := Payment{TransactionID: t.TransactionID, OutTradeNo: t.OutTradeNo, Fen: t.Fen, PaidAt: t.PaidAt}
	if s.Hook == nil {
		return errNoHook
	}
	fresh, err := s.Store.Settle(ctx, p, func(tx *sql.Tx, o Order) (Payment, error) { // may be called again
		p.Odd, paid = "", o
		switch {
		case o.OutTradeNo == "" || !t.Known:
			p.Odd = "the order is unknown"
		case t.Late != "":
			p.Odd = "the order is " + t.Late
		case o.State != Open:
			p.Odd = "the order is " + string(o.State)
		case o.Fen != t.Fen:
			p.Odd = "the amount is not that of the order"
		}
		if p.Odd != "" {
			return p, nil
		}
		return p, s.Hook(ctx, tx, o)
	})
	switch {
	case err != nil || !fresh:
		return err
	case p.Odd != "":
		s.log().ErrorContext(ctx, "a payment needs a person: look at it, and refund it where due", "transaction_id", p.TransactionID, "out_trade_no", p.OutTradeNo, "cause", p.Odd)
	default:
		s.sendPaid(ctx, paid)
	}
	return nil
}
