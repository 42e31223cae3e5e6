package pay

import (
	"context"
	"errors"
	"strings"
)

// isForeign reports whether a transaction is of another app, merchant or shop than the order, whose number it has. It is then neither
// reported, nor listed as refused, nor refunded.
func (r *orderRecord) isForeign(t Transaction) bool {
	return r.isOfAnotherApp(t) || r.Known && merchantOfTransaction(t) != "" && !r.isMerchantOf(t)
}

// isAnother reports whether WeChat's order cannot be the one that was placed, because it is foreign or has another amount. An order
// that is not paid may have no amount.
func (r *orderRecord) isAnother(t Transaction) bool {
	return r.isForeign(t) || r.Known && differs(r.Order.Fen, t.Fen)
}

// isPlaced reports whether WeChat is known to have the order, and not another one under its number.
func (r *orderRecord) isPlaced() bool {
	return r.State == orderPaid || r.State == orderSeen || r.Prepaid != nil && r.State != orderRefused
}

// checkOurs returns ErrChanged if the number of an order that may not have been placed is that of another order. The order must not be
// ended before WeChat has answered that.
func (c *Cashier) checkOurs(ctx context.Context, op string, m Merchant, r *orderRecord) error {
	if r.isPlaced() {
		return nil
	}
	t, err := m.Query(ctx, r.Order.OutTradeNo)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case r.isAnother(t) || t.Paid() && r.mismatch(t) != "":
		return errAnother(op, r)
	}
	return nil
}

func errAnother(op string, r *orderRecord) error {
	return newError(op, ErrChanged, "out_trade_no "+r.Order.OutTradeNo, "another order has the number")
}

// ownsQueried reports whether an order without a record, which a query by m has returned, belongs to this App. A query over v2 returns
// the appid that it was made with, so that nobody knows the app of an order of a shared merchant.
func (c *Cashier) ownsQueried(ctx context.Context, m Merchant, t Transaction) bool {
	return c.owns(ctx, t) && !(echoesAppID(m) && c.isShared(ctx))
}

// echoesAppID reports whether queries by m return the appid that they were made with in place of that of the order.
func echoesAppID(m Merchant) bool { return strings.HasPrefix(m.Name(), "v2/") }
