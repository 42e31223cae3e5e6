package pay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// orderKey returns the key of the order of a refund, given the key of the refund.
func (r *refundRecord) orderKey(key string) string {
	merchant, _, _, _ := splitKey(strings.TrimPrefix(key, "pay/"))
	return recordKey(merchant, kindOrder, r.Refund.OutTradeNo)
}

// reserveRefund adds a refund to the record of its order, and reserves the next time for sending a refund of this order. It returns
// now if the refund may be sent, else the time of the next attempt.
func (c *Cashier) reserveRefund(ctx context.Context, key string, r *refundRecord, now time.Time) (at time.Time, err error) {
	orderKey := r.orderKey(key)
	_, err = changeRecord(ctx, c.records(), orderKey, func(o *orderRecord) (*orderRecord, error) {
		if o == nil || !o.hasPayment() {
			return nil, newError(opRefund, ErrBusy, "out_trade_no "+r.Refund.OutTradeNo, "the record of the order has no payment")
		}
		if o.entry(r.Refund.OutRefundNo) == nil {
			t, err := c.refundedPayment(ctx, orderKey, o, r.Refund)
			if err != nil {
				return nil, err
			}
			if err := o.validateRefund(r.Refund, t, now); err != nil {
				return nil, err
			}
			o.Refunds = append(o.Refunds, ledgerEntry{No: r.Refund.OutRefundNo, Fen: r.Refund.Fen, At: now, TransactionID: t.TransactionID})
		}
		if at = o.NextRefund; !at.After(now) {
			at, o.NextRefund = now, now.Add(refundInterval)
		}
		return o, nil
	})
	return at, err
}

// sendRefundInTurn sends a refund for a caller, unless another refund of the order was sent shortly before.
func (c *Cashier) sendRefundInTurn(ctx context.Context, key string, r *refundRecord) (Refund, error) {
	now := time.Now()
	at, err := c.reserveRefund(ctx, key, r, now)
	if err != nil {
		if errors.As(err, new(*FieldError)) || errors.Is(err, ErrUnknown) {
			err = c.undoRefund(ctx, key, r, err)
		}
		return r.Refund, err
	}
	if at.After(now) {
		return c.acceptRefund(ctx, key, r)
	}
	return c.requestRefund(ctx, key, r, true)
}

// requestRefund sends a refund to its Merchant. direct reports whether a caller waits, who gets the error of a refusal.
func (c *Cashier) requestRefund(ctx context.Context, key string, r *refundRecord, direct bool) (Refund, error) {
	m, err := c.merchantByName(r.Merchant)
	if err != nil {
		return r.Refund, err
	}
	answer, err := m.Refund(ctx, r.Refund)
	if errors.Is(err, ErrNotFound) {
		other, failed := c.changeVersion(ctx, key, r, m)
		if failed != nil {
			return r.Refund, failed
		}
		if other != nil {
			answer, err = other.Refund(ctx, r.Refund)
		}
	}
	if err == nil {
		answer, err = c.applyRefund(ctx, key, r, answer)
	}
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, ErrBusy):
		if direct {
			return c.acceptRefund(ctx, key, r)
		}
	case isRefused(err) || errors.Is(err, ErrChanged) || errors.Is(err, ErrClosed):
		if direct {
			err = c.undoRefund(ctx, key, r, err)
		}
	default:
		c.markRefundUnknown(ctx, key, r)
	}
	return r.Refund, err
}

// changeVersion stores another version of the API as that of a refund, and returns its Merchant: m, which has found the order in a
// query, cannot refund it, so another system placed it with the other version. It returns nil for an order that c placed, or if
// there is no other version.
func (c *Cashier) changeVersion(ctx context.Context, key string, r *refundRecord, m Merchant) (Merchant, error) {
	name := m.Name()
	at := slices.IndexFunc(c.Merchants, func(o Merchant) bool { return o.Name() != name && merchantKey(o.Name()) == merchantKey(name) })
	if at < 0 {
		return nil, nil
	}
	other := c.Merchants[at]
	o, err := changeRecord(ctx, c.records(), r.orderKey(key), func(o *orderRecord) (*orderRecord, error) {
		if o == nil || o.Known {
			return nil, errUnchanged
		}
		o.Merchant = other.Name()
		return o, nil
	})
	if err != nil || o == nil || o.Known {
		return nil, err
	}
	changed, err := changeRecord(ctx, c.records(), key, func(r *refundRecord) (*refundRecord, error) {
		if r == nil || r.State == refundFinal || !r.Sent.IsZero() {
			return nil, errUnchanged
		}
		r.Merchant = other.Name()
		return r, nil
	})
	if err != nil || changed == nil || changed.Merchant != other.Name() {
		return nil, err
	}
	r.Merchant = changed.Merchant
	return other, nil
}

// keptError returns the error of a call that was refused, although its record is stored, so that Run makes the call again. It does
// not wrap refused, whose cause would say that nothing is stored.
func keptError(op, number string, refused error) error {
	return newError(op, ErrUnknown, number, "it was refused, but is stored and will be sent again: %v", refused)
}

// undoRefund removes the record of a refused refund and returns refused. It returns ErrUnknown if the record stays: an earlier
// attempt may still arrive, another call relies on the record, or the store failed.
func (c *Cashier) undoRefund(ctx context.Context, key string, r *refundRecord, refused error) error {
	if r.State == refundWaiting && r.Kept.IsZero() && c.removeRefund(ctx, key, r) {
		return refused
	}
	c.markRefundUnknown(ctx, key, r) // so that nobody asks for it under another number
	return keptError(opRefund, "out_refund_no "+r.Refund.OutRefundNo, refused)
}

// removeRefund removes the record of a refund that was not done, unless others have changed the record. It reports whether the
// record is gone.
func (c *Cashier) removeRefund(ctx context.Context, key string, r *refundRecord) bool {
	raw, err := encodeRecord(r)
	gone := false
	if err == nil {
		gone, err = removeRecord(ctx, c.records(), key, raw)
	}
	if err != nil {
		c.report(ctx, err)
	}
	if !gone {
		return false
	}
	if err := c.changeLedger(ctx, key, r, func(o *orderRecord) { o.removeEntry(r.Refund.OutRefundNo) }); err != nil {
		c.report(ctx, err)
	}
	return true
}

// markRefundUnknown stores that the outcome of a refund is unknown.
func (c *Cashier) markRefundUnknown(ctx context.Context, key string, r *refundRecord) {
	err := c.changeLedger(ctx, key, r, func(o *orderRecord) {
		if e := o.entry(r.Refund.OutRefundNo); e != nil && e.State == "" {
			e.State = ledgerUnknown
		}
	})
	if err == nil {
		_, err = changeRecord(context.WithoutCancel(ctx), c.records(), key, func(r *refundRecord) (*refundRecord, error) {
			if r == nil || r.State != refundWaiting {
				return nil, errUnchanged
			}
			r.State = refundUnknown
			return r, nil
		})
	}
	if err != nil {
		c.report(ctx, err)
	}
}

// changeLedger changes the refunds in the record of an order.
func (c *Cashier) changeLedger(ctx context.Context, key string, r *refundRecord, edit func(*orderRecord)) error {
	if r.Refund.OutTradeNo == "" {
		return nil
	}
	_, err := changeRecord(context.WithoutCancel(ctx), c.records(), r.orderKey(key), func(o *orderRecord) (*orderRecord, error) {
		if o == nil {
			return nil, errUnchanged
		}
		edit(o)
		return o, nil
	})
	return err
}

// processRefund stores a reply about a refund, and calls OnRefund if it is final. asked is its record, or a new one.
func (c *Cashier) processRefund(ctx context.Context, key string, asked *refundRecord, answer Refund) error {
	if len(answer.Raw) > maxRaw {
		answer.Raw = nil
	}
	if asked.State == "" || asked.State == refundFinal { // Run does not check it yet
		if err := addDue(ctx, c.records(), key, c.App, time.Now().Add(firstCheckDelay)); err != nil {
			return err
		}
	}
	r, err := changeRecord(ctx, c.records(), key, func(r *refundRecord) (*refundRecord, error) {
		switch {
		case r == nil:
			r = asked
		case r.State == refundFinal && !isFinalRefund(answer.State):
			return nil, errUnchanged
		case r.State == refundFinal && r.Answer.State == answer.State:
			return nil, errUnchanged
		}
		if r.Sent.IsZero() {
			r.Sent = time.Now()
		}
		r.State, r.Answer = refundSent, &answer
		if isFinalRefund(answer.State) {
			r.State, r.Ended = refundFinal, time.Now()
		}
		return r, nil
	})
	if err != nil {
		return err
	}
	if err := c.updateLedger(ctx, key, r); err != nil {
		return err
	}
	if r.State != refundFinal || r.isDone() {
		return nil
	}
	return c.handOverRefund(ctx, key)
}

// updateLedger stores the state of a refund, made here or elsewhere, in the record of its order.
func (c *Cashier) updateLedger(ctx context.Context, key string, r *refundRecord) error {
	state := ""
	if r.Answer.State == Closed {
		state = ledgerClosed
	}
	return c.changeLedger(ctx, key, r, func(o *orderRecord) {
		if e := o.entry(r.Refund.OutRefundNo); e != nil {
			e.State = state
		} else if len(o.Refunds) < 2*maxRefunds {
			o.Refunds = append(o.Refunds, ledgerEntry{No: r.Refund.OutRefundNo, Fen: r.Refund.Fen, At: r.Asked, State: state, TransactionID: r.answered().TransactionID})
		}
	})
}

// handOverRefund calls OnRefund with the refund of a record, unless that was done or another process is doing it.
func (c *Cashier) handOverRefund(ctx context.Context, key string) error {
	return c.runWithRetry(ctx, key, func(ctx context.Context) (since time.Time, err error) {
		r, raw, err := readRecord[refundRecord](ctx, c.records(), key)
		if err != nil || r == nil || r.State != refundFinal || r.isDone() {
			return since, err
		}
		if c.OnRefund == nil {
			return r.Ended, fmt.Errorf("pay: refund %s is %s: OnRefund is not set", r.Refund.OutRefundNo, r.Answer.State)
		}
		f := r.answered()
		if f.OutTradeNo != "" {
			o, _, err := readRecord[orderRecord](ctx, c.records(), r.orderKey(key))
			if err != nil {
				return r.Ended, err
			}
			if o != nil {
				f.NotifyTo = o.Order.NotifyTo
			}
		}
		if err := callHook(ctx, "OnRefund", func(ctx context.Context) error { return c.OnRefund(ctx, f) }); err != nil {
			return r.Ended, err
		}
		state := r.Answer.State
		done := func(r *refundRecord) { r.HandedOver, r.Handed = time.Now(), state }
		recordDone(ctx, c, key, raw, r, done, func(now *refundRecord) bool {
			return now.State == refundFinal && now.Answer.State == state
		})
		return since, nil
	})
}
