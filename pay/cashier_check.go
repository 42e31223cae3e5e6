package pay

import (
	"context"
	"errors"
	"time"
)

// checkOrder checks a due order, and returns the time of the next check, or zero for none.
func (c *Cashier) checkOrder(ctx context.Context, key string, r *orderRecord, now time.Time) (time.Time, error) {
	switch {
	case r.State == orderPaid && !r.isDone():
		wait, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		if err := c.handOverOrder(wait, key); err != nil {
			return retryAt(r.PaidSeen, now, maxRetryDelay), err
		}
		return time.Time{}, nil
	case r.mayArrive():
		return c.checkMissing(ctx, key, r, now)
	case !r.isOpen():
		return time.Time{}, nil
	}
	next := nextQuery(r.Placed, r.expiry(), now)
	m, err := c.merchantByName(r.Merchant)
	if err != nil {
		return next, err
	}
	t, err := m.Query(ctx, r.Order.OutTradeNo)
	switch {
	case err == nil && (r.isForeign(t) || !t.Paid() && r.isAnother(t)): // which has the number, so the order was never placed
		_, err = c.saveEnded(ctx, key, orderClosed, false)
		return time.Time{}, err
	case err == nil && (t.Paid() || t.State == Closed || t.State == Reversed):
		c.applyTransaction(ctx, m, key, t)
		return now.Add(firstCheckDelay), nil // to check that the hook was called
	case err != nil && !errors.Is(err, ErrNotFound):
		if errors.Is(err, ErrBusy) || errors.Is(err, ErrUnknown) {
			err = nil
		}
		return next, err
	case now.Before(r.expiry()):
		return next, nil
	}
	if r.Order.Trade == Code { // WeChat cannot close it
		err = c.endRecordedOrder(ctx, m, key, r, orderReversed, Merchant.Reverse)
	} else {
		err = c.endRecordedOrder(ctx, m, key, r, orderClosed, Merchant.Close)
	}
	switch {
	case err == nil:
		return time.Time{}, nil
	case errors.Is(err, ErrPaid), errors.Is(err, ErrChanged): // paid, or paid with another amount
		return now.Add(firstCheckDelay), nil
	case errors.Is(err, ErrBusy), errors.Is(err, ErrUnknown), errors.Is(err, ErrPaying):
		return next, nil
	}
	return next, err
}

// checkMissing checks an order of trade code that was reversed or closed before WeChat had it, and returns the time of the next
// check, or zero for none. If the order has arrived, it is reversed, or handed over as a late payment.
func (c *Cashier) checkMissing(ctx context.Context, key string, r *orderRecord, now time.Time) (time.Time, error) {
	end := r.Placed.Add(codeExpiry)
	next := nextQuery(r.Placed, end, now)
	m, err := c.merchantByName(r.Merchant)
	if err != nil {
		return next, err
	}
	t, err := m.Query(ctx, r.Order.OutTradeNo)
	switch {
	case errors.Is(err, ErrNotFound) && now.After(end):
		return time.Time{}, nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrBusy), errors.Is(err, ErrUnknown):
		return next, nil
	case err != nil:
		return next, err
	case r.isForeign(t) || !t.Paid() && r.isAnother(t): // which has the number, so the order never arrives
		return time.Time{}, nil
	case t.Paid():
		c.applyTransaction(ctx, m, key, t)
		return now.Add(firstCheckDelay), nil // to check that the hook was called
	case t.State == Closed || t.State == Reversed:
		return time.Time{}, nil
	}
	err = m.Reverse(ctx, r.Order.OutTradeNo)
	switch {
	case err == nil, errors.Is(err, ErrClosed):
		return time.Time{}, nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrBusy), errors.Is(err, ErrUnknown), errors.Is(err, ErrPaying):
		return next, nil
	}
	return next, err
}
