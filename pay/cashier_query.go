package pay

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	opQuery   = "query order"
	opClose   = "close order"
	opReverse = "reverse order"
	opRead    = "read order"
)

// Query returns an order from WeChat. If a stored order is found to be paid, Query calls OnPaid; it waits for that at most 4.5 s,
// and returns the transaction in any case. A payment that does not match the order returns ErrChanged with the Transaction, whose
// Refused has the reason.
func (c *Cashier) Query(ctx context.Context, outTradeNo string) (Transaction, error) {
	if err := CheckOutTradeNo(outTradeNo); err != nil {
		return Transaction{}, err
	}
	key, r, err := c.findOrder(ctx, opQuery, outTradeNo)
	if err != nil {
		return Transaction{}, err
	}
	if r == nil {
		_, t, err := c.queryMerchants(ctx, outTradeNo)
		return t, err
	}
	m, err := c.merchantByName(r.Merchant)
	if err != nil {
		return Transaction{}, err
	}
	t, err := m.Query(ctx, outTradeNo)
	if err != nil {
		return t, err
	}
	if r.isForeign(t) {
		return Transaction{}, newError(opQuery, ErrChanged, "out_trade_no "+outTradeNo, "it is an order of another app")
	}
	c.applyTransaction(ctx, m, key, t)
	t.Known = r.Known
	if t.Paid() {
		t.Late = r.lateness(t)
	}
	if t.Refused = r.refusal(t); t.Refused != "" {
		return Transaction{}, errRefused(opQuery, t)
	}
	return t, nil
}

// errRefused returns the error for a payment that was refused.
func errRefused(op string, t Transaction) error {
	e := newError(op, ErrChanged, "out_trade_no "+t.OutTradeNo, "its payment is refused, %s", t.Refused)
	e.Transaction = &t
	return e
}

// refusal returns why t is not taken for the payment of an order, or "".
func (r *orderRecord) refusal(t Transaction) string {
	if !t.Paid() || r.State == orderPaid && r.Transaction.TransactionID == t.TransactionID {
		return ""
	}
	return r.mismatch(t)
}

// errPaid returns the error for an order that has a payment.
func (r *orderRecord) errPaid(op string) error {
	t := *r.Transaction
	if t.Refused = r.refusal(t); t.Refused != "" {
		return errRefused(op, t)
	}
	e := newError(op, ErrPaid, "out_trade_no "+r.Order.OutTradeNo, "")
	e.Transaction = &t
	return e
}

// findOrder returns the record of an order, or nil. An order of another app returns ErrNotFound.
func (c *Cashier) findOrder(ctx context.Context, op, outTradeNo string) (key string, r *orderRecord, err error) {
	key, r, err = findRecord[orderRecord](ctx, c, kindOrder, outTradeNo)
	if err == nil && r != nil && r.App != c.App {
		return "", nil, newError(op, ErrNotFound, "out_trade_no "+outTradeNo, "it is an order of another app")
	}
	return key, r, err
}

// queryMerchants queries each Merchant for an order without a record, until one has it.
func (c *Cashier) queryMerchants(ctx context.Context, outTradeNo string) (m Merchant, t Transaction, err error) {
	for _, m = range c.Merchants {
		if t, err = m.Query(ctx, outTradeNo); !errors.Is(err, ErrNotFound) {
			break
		}
	}
	if err == nil && !c.ownsQueried(ctx, m, t) {
		return m, Transaction{}, newError(opQuery, ErrNotFound, "out_trade_no "+outTradeNo, "it is an order of another app")
	}
	return m, t, err
}

// applyTransaction updates a stored order from WeChat's reply.
func (c *Cashier) applyTransaction(ctx context.Context, m Merchant, key string, t Transaction) {
	var err error
	switch {
	case t.Paid():
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		err = c.processPayment(ctx, m, key, t, fromQuery)
	case t.State == Closed:
		_, err = c.saveEnded(ctx, key, orderClosed, false)
	case t.State == Reversed:
		_, err = c.saveEnded(ctx, key, orderReversed, false)
	}
	if err != nil {
		c.report(ctx, err)
	}
}

// saveEnded stores that an open order is closed or reversed, and whether WeChat did not have it. It returns the record, or nil.
func (c *Cashier) saveEnded(ctx context.Context, key string, state orderState, missing bool) (*orderRecord, error) {
	return c.saveEndedIf(ctx, key, state, missing, (*orderRecord).isOpen)
}

// saveReturned stores that an order is reversed, whose payment, if any, was returned. OnPaid is not called for it any more.
func (c *Cashier) saveReturned(ctx context.Context, key string) (*orderRecord, error) {
	var refused *Transaction
	r, err := c.saveEndedIf(ctx, key, orderReversed, false, func(r *orderRecord) bool {
		refused = nil
		if r.State == orderRefused {
			refused = r.Transaction
		}
		return r.isOpen() || r.hasPayment() && !r.isDone()
	})
	if err == nil && refused != nil {
		c.removeRefused(ctx, key, *refused)
	}
	return r, err
}

func (c *Cashier) saveEndedIf(ctx context.Context, key string, state orderState, missing bool, canEnd func(*orderRecord) bool) (*orderRecord, error) {
	return changeRecord(context.WithoutCancel(ctx), c.records(), key, func(r *orderRecord) (*orderRecord, error) {
		if r == nil || !canEnd(r) {
			return nil, errUnchanged
		}
		if err := c.addToList(ctx, listOf(state), key, time.Now()); err != nil {
			return nil, err
		}
		r.State, r.Ended, r.Missing = state, time.Now(), missing
		return r, nil
	})
}

// Close closes an unpaid order. If it was paid first, Close calls OnPaid and returns ErrPaid with the Transaction, or ErrChanged if the
// payment does not match the order, as Query does. An order that
// WeChat never received is closed too.
func (c *Cashier) Close(ctx context.Context, outTradeNo string) error {
	return c.closeOrReverse(ctx, opClose, outTradeNo, orderClosed, Merchant.Close)
}

// Reverse cancels an order of trade code, and returns the money if it was paid. OnPaid is not called for a payment that was
// returned, unless it was called before. If WeChat does not have the order, because the call that places it is still under way, Run
// reverses the order once it arrives, or calls OnPaid with Late set if it was paid first.
func (c *Cashier) Reverse(ctx context.Context, outTradeNo string) error {
	return c.closeOrReverse(ctx, opReverse, outTradeNo, orderReversed, Merchant.Reverse)
}

func (c *Cashier) closeOrReverse(ctx context.Context, op, outTradeNo string, state orderState, call func(Merchant, context.Context, string) error) error {
	if err := CheckOutTradeNo(outTradeNo); err != nil {
		return err
	}
	key, r, err := c.findOrder(ctx, op, outTradeNo)
	if err != nil {
		return err
	}
	if r == nil {
		m := c.Merchants[0]
		if c.isShared(ctx) {
			if m, _, err = c.queryMerchants(ctx, outTradeNo); err != nil {
				return err
			}
		}
		return call(m, ctx, outTradeNo)
	}
	switch {
	case r.hasPayment() && state == orderClosed:
		return r.errPaid(op)
	case r.State == state && !(state == orderReversed && r.mayArrive()):
		return nil
	}
	m, err := c.merchantByName(r.Merchant)
	if err != nil {
		return err
	}
	if err := c.checkOurs(ctx, op, m, r); err != nil {
		return err
	}
	return c.endRecordedOrder(ctx, m, key, r, state, call)
}

func (c *Cashier) endRecordedOrder(ctx context.Context, m Merchant, key string, r *orderRecord, state orderState, call func(Merchant, context.Context, string) error) error {
	err := call(m, ctx, r.Order.OutTradeNo)
	switch {
	case errors.Is(err, ErrPaid):
		return c.attachPayment(ctx, m, key, r, err)
	case err == nil && state == orderReversed:
		_, err := c.saveReturned(ctx, key)
		return err
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrClosed):
		r, err := c.saveEnded(ctx, key, state, errors.Is(err, ErrNotFound))
		if err != nil {
			return err
		}
		if state == orderClosed && r != nil && r.hasPayment() { // a notification was faster
			return r.errPaid(opClose)
		}
		return nil
	}
	return err
}

// attachPayment queries a paid order, applies the transaction, and returns paid, which is ErrPaid, with the transaction.
func (c *Cashier) attachPayment(ctx context.Context, m Merchant, key string, r *orderRecord, paid error) error {
	t, err := m.Query(ctx, r.Order.OutTradeNo)
	if err != nil {
		c.report(ctx, fmt.Errorf("pay: query order %s, which is paid: %w", r.Order.OutTradeNo, err))
		return paid
	}
	if r.isForeign(t) {
		return paid
	}
	c.applyTransaction(ctx, m, key, t)
	if e := (*Error)(nil); errors.As(paid, &e) && t.Paid() {
		t.Known, t.Late = r.Known, r.lateness(t)
		if t.Refused = r.refusal(t); t.Refused != "" {
			return errRefused(e.Op, t)
		}
		withPayment := *e
		withPayment.Transaction = &t
		return &withPayment
	}
	return paid
}

// Recorded returns a stored order of this App, from its record, without a query to WeChat. The error is [ErrNotFound] if there is none.
func (c *Cashier) Recorded(ctx context.Context, outTradeNo string) (Transaction, error) {
	if err := CheckOutTradeNo(outTradeNo); err != nil {
		return Transaction{}, err
	}
	_, r, err := c.findOrder(ctx, opRead, outTradeNo)
	switch {
	case err != nil:
		return Transaction{}, err
	case r == nil:
		return Transaction{}, newError(opRead, ErrNotFound, "out_trade_no "+outTradeNo, "")
	}
	return r.summary(), nil
}
