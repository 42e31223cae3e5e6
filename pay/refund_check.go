package pay

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const maxRefundDelay = time.Hour // between two queries or attempts

// checkRefund checks a due refund, and returns the time of the next check, or zero for none.
func (c *Cashier) checkRefund(ctx context.Context, key string, r *refundRecord, now time.Time) (time.Time, error) {
	if r.State == refundFinal {
		if err := c.updateLedger(ctx, key, r); err != nil {
			return retryAt(r.Ended, now, maxRetryDelay), err
		}
		if r.isDone() || c.OnRefund == nil {
			return time.Time{}, nil
		}
		if err := c.handOverRefund(ctx, key); err != nil {
			return retryAt(r.Ended, now, maxRetryDelay), err
		}
		return time.Time{}, nil
	}
	since := r.Asked
	if !r.Sent.IsZero() {
		since = r.Sent
	}
	later := retryAt(since, now, maxRefundDelay)
	if r.State != refundWaiting {
		f, err := c.refreshRefund(ctx, key, r)
		if err == nil && isFinalRefund(f.State) {
			return now.Add(firstCheckDelay), nil // to check that the hook was called
		}
		if errors.Is(err, ErrChanged) && r.Sent.IsZero() { // the number is that of another system's refund
			return later, c.failRefund(ctx, key, r, err)
		}
		if !errors.Is(err, ErrNotFound) || !r.Sent.IsZero() {
			return later, err
		}
	}
	return c.sendWaitingRefund(ctx, key, r, now, later)
}

// sendWaitingRefund sends a refund that WeChat does not have.
func (c *Cashier) sendWaitingRefund(ctx context.Context, key string, r *refundRecord, now, later time.Time) (time.Time, error) {
	switch _, _, err := c.paidOrder(ctx, r.Refund.OutTradeNo); {
	case errors.As(err, new(*FieldError)): // it was reversed, which returned the money
		return later, c.endRefusedRefund(ctx, key, r, err)
	case err != nil:
		return later, err
	}
	at, err := c.reserveRefund(ctx, key, r, now)
	switch {
	case errors.As(err, new(*FieldError)):
		return later, c.failRefund(ctx, key, r, err)
	case err != nil:
		return later, err
	case at.After(now):
		return at.Add(time.Second), nil // the due list stores whole seconds
	}
	f, err := c.requestRefund(ctx, key, r, false)
	switch {
	case err == nil && isFinalRefund(f.State):
		return now.Add(firstCheckDelay), nil
	case err == nil:
		return retryAt(now, now, maxRefundDelay), nil
	case errors.Is(err, ErrNotEnough), errors.Is(err, ErrSettings):
		return now.Add(maxRefundDelay), err
	case errors.Is(err, ErrBusy), errors.Is(err, ErrUnknown):
		return later, nil
	case isRefusedForGood(err):
		return later, c.endRefusedRefund(ctx, key, r, err)
	}
	return later, err
}

// isRefusedForGood reports whether the same call of a stored refund or transfer will always be refused.
func isRefusedForGood(err error) bool {
	for _, cause := range []Cause{ErrChanged, ErrNotFound, ErrClosed} {
		if errors.Is(err, cause) {
			return true
		}
	}
	e := (*Error)(nil)
	return errors.As(err, new(*FieldError)) || errors.As(err, &e) && e.isRefusal()
}

// endRefusedRefund closes a refund that was refused for good, unless WeChat has it. It then returns why.
func (c *Cashier) endRefusedRefund(ctx context.Context, key string, r *refundRecord, why error) error {
	if _, err := c.refreshRefund(ctx, key, r); errors.Is(err, ErrNotFound) || errors.Is(err, ErrChanged) {
		return c.failRefund(ctx, key, r, why)
	}
	return why
}

// failRefund closes a refund that was accepted here and refused by WeChat. No money is returned.
func (c *Cashier) failRefund(ctx context.Context, key string, r *refundRecord, why error) error {
	c.report(ctx, fmt.Errorf("pay: refund %s, which was accepted, was refused: %w", r.Refund.OutRefundNo, why))
	answer := r.Refund
	answer.State = Closed
	return c.processRefund(ctx, key, r, answer)
}
