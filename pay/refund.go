package pay

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	opRefund      = "refund"
	opQueryRefund = "query refund"
)

// Refund stores a refund and sends it. Refunds of one order are sent 61 s apart: a later one is accepted with State Processing,
// and sent by [Cashier.Run]. Run repeats a refund after ErrBusy or with an unknown outcome, with the same number, and queries each
// refund until it is final.
//
// OutTradeNo must be set; TotalFen may be 0. TransactionID may be that of a payment in the list of [Cashier.Refused], such as the
// second one of an order. After ErrUnknown and errors of the store the refund stays stored; after any other
// error, such as ErrNotEnough, it does not, and the same number may be used again. A refusal of a refund that stays stored, because
// an earlier attempt may still arrive, is ErrUnknown too. If a refund of the same order and amount has an unknown outcome, another
// one returns ErrUnknown, which names the first, unless Repeat is set.
func (c *Cashier) Refund(ctx context.Context, f Refund) (Refund, error) {
	if err := CheckOutRefundNo(f.OutRefundNo); err != nil {
		return f, within("Refund", err)
	}
	if f.OutTradeNo == "" {
		return f, &FieldError{"Refund.OutTradeNo", "is empty: a Cashier needs it to find the order"}
	}
	if err := CheckOutTradeNo(f.OutTradeNo); err != nil {
		return f, within("Refund", err)
	}
	key, r, err := findRecord[refundRecord](ctx, c, kindRefund, f.OutRefundNo)
	if err != nil {
		return f, err
	}
	if r != nil {
		return c.repeatRefund(ctx, key, r, f)
	}
	orderKey, o, err := c.paidOrder(ctx, f.OutTradeNo)
	if err != nil {
		return f, err
	}
	t, err := c.refundedPayment(ctx, orderKey, o, f)
	if err != nil {
		return f, err
	}
	if f.TotalFen == 0 {
		f.TotalFen = t.Fen
	}
	if f.NotifyURL == "" {
		f.NotifyURL = c.notifyURL()
	}
	if err := f.Check(); err != nil {
		return f, err
	}
	now := time.Now()
	if err := o.validateRefund(f, t, now); err != nil {
		return f, err
	}
	merchant, _, _, _ := splitKey(orderKey[len("pay/"):])
	key = recordKey(merchant, kindRefund, f.OutRefundNo)
	r = &refundRecord{App: c.App, Merchant: o.Merchant, State: refundWaiting, Refund: f, Asked: now}
	_, err = c.createDueRecord(ctx, key, r, now.Add(firstCheckDelay))
	if errors.Is(err, errExists) {
		return c.Refund(ctx, f)
	}
	if err != nil {
		return f, err
	}
	return c.sendRefundInTurn(ctx, key, r)
}

// repeatRefund continues a stored refund.
func (c *Cashier) repeatRefund(ctx context.Context, key string, r *refundRecord, f Refund) (Refund, error) {
	number := "out_refund_no " + f.OutRefundNo
	if r.App != c.App {
		return f, newError(opRefund, ErrChanged, number, "it is a refund of another app")
	}
	if field := r.difference(f); field != "" {
		return f, newError(opRefund, ErrChanged, number, "%s differs from the stored refund", field)
	}
	r, err := c.keepRefund(ctx, key)
	switch {
	case err != nil:
		return f, err
	case r == nil: // the first call was refused meanwhile
		return c.Refund(ctx, f)
	case r.State == refundWaiting:
		return c.sendRefundInTurn(ctx, key, r)
	}
	answer, err := c.refreshRefund(ctx, key, r)
	switch {
	case (errors.Is(err, ErrNotFound) || errors.Is(err, ErrChanged)) && r.State == refundFinal: // WeChat refused it
		return r.answered(), nil
	case errors.Is(err, ErrNotFound) && r.Sent.IsZero():
		return c.sendRefundInTurn(ctx, key, r)
	}
	return answer, err
}

// QueryRefund returns a refund from WeChat, or from its record if it was not sent. It calls OnRefund if a stored refund has become
// final.
func (c *Cashier) QueryRefund(ctx context.Context, outRefundNo string) (Refund, error) {
	if err := CheckOutRefundNo(outRefundNo); err != nil {
		return Refund{}, err
	}
	key, r, err := findRecord[refundRecord](ctx, c, kindRefund, outRefundNo)
	switch {
	case err != nil:
		return Refund{}, err
	case r == nil:
		_, f, err := c.queryMerchantsForRefund(ctx, outRefundNo)
		if err == nil && c.isShared(ctx) { // a refund has no appid
			if _, err = c.Query(ctx, f.OutTradeNo); err != nil {
				return Refund{}, err
			}
		}
		return f, err
	case r.App != c.App:
		return Refund{}, newError(opQueryRefund, ErrNotFound, "out_refund_no "+outRefundNo, "it is a refund of another app")
	}
	f, err := c.refreshRefund(ctx, key, r)
	if errors.Is(err, ErrNotFound) && (r.Sent.IsZero() || r.State == refundFinal) || errors.Is(err, ErrChanged) && r.State == refundFinal { // it is sent later, or WeChat refused it
		return r.answered(), nil
	}
	return f, err
}

// HasRefund reports whether a refund of this App is stored, without a query. One that is not stored is never sent.
func (c *Cashier) HasRefund(ctx context.Context, outRefundNo string) (bool, error) {
	if CheckOutRefundNo(outRefundNo) != nil {
		return false, nil
	}
	_, r, err := findRecord[refundRecord](ctx, c, kindRefund, outRefundNo)
	return r != nil && r.App == c.App, err
}

// queryMerchantsForRefund queries each Merchant for a refund without a record.
func (c *Cashier) queryMerchantsForRefund(ctx context.Context, no string) (m Merchant, f Refund, err error) {
	for _, m = range c.Merchants {
		if f, err = m.QueryRefund(ctx, no); !errors.Is(err, ErrNotFound) {
			return m, f, err
		}
	}
	return m, f, err
}

// refreshRefund queries a stored refund and applies the reply.
func (c *Cashier) refreshRefund(ctx context.Context, key string, r *refundRecord) (Refund, error) {
	m, err := c.merchantByName(r.Merchant)
	if err != nil {
		return Refund{}, err
	}
	answer, err := m.QueryRefund(ctx, r.Refund.OutRefundNo)
	if err != nil {
		return answer, err
	}
	return c.applyRefund(ctx, key, r, answer)
}

// applyRefund processes a reply, and returns the refund for a caller. A reply about another refund of the same number returns
// ErrChanged.
func (c *Cashier) applyRefund(ctx context.Context, key string, r *refundRecord, answer Refund) (Refund, error) {
	if field := r.mismatch(answer); field != "" {
		return r.answered(), newError(opQueryRefund, ErrChanged, "out_refund_no "+r.Refund.OutRefundNo,
			"%s differs from the stored refund: WeChat has a refund of another system under this number", field)
	}
	wait, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := c.processRefund(wait, key, r, answer); err != nil {
		c.report(ctx, err)
	}
	r.Answer = &answer
	return r.answered(), nil
}

// paidOrder returns the record of a paid order. It queries an order without a record, and stores it for its refunds.
func (c *Cashier) paidOrder(ctx context.Context, no string) (key string, r *orderRecord, err error) {
	if key, r, err = c.findOrder(ctx, opRefund, no); err != nil || r != nil && r.hasPayment() {
		return key, r, err
	}
	if r != nil {
		m, err := c.merchantByName(r.Merchant)
		if err != nil {
			return "", nil, err
		}
		t, err := m.Query(ctx, no)
		if err != nil {
			return "", nil, err
		}
		if r.isForeign(t) {
			return "", nil, errAnother(opRefund, r)
		}
		c.applyTransaction(ctx, m, key, t)
		if r, _, err = readRecord[orderRecord](ctx, c.records(), key); err != nil || r != nil && r.hasPayment() {
			return key, r, err
		}
		if t.Paid() { // the payment could not be recorded, or is another's: see Refused
			return "", nil, newError(opRefund, ErrBusy, "out_trade_no "+no, "the payment of the order has not been recorded yet")
		}
		return "", nil, errNotPaid(t)
	}
	m, t, err := c.queryMerchants(ctx, no)
	if err != nil {
		return "", nil, err
	}
	if !t.Paid() {
		return "", nil, errNotPaid(t)
	}
	key = recordKey(merchantKey(m.Name()), kindOrder, no)
	r, err = changeRecord(ctx, c.records(), key, func(r *orderRecord) (*orderRecord, error) {
		if r != nil {
			return nil, errUnchanged
		}
		return &orderRecord{App: c.App, Merchant: m.Name(), State: orderSeen, Order: Order{OutTradeNo: no, Fen: t.Fen}, Placed: time.Now(), Transaction: boundRaw(t)}, nil
	})
	if err == nil && !r.hasPayment() {
		err = newError(opRefund, ErrBusy, "out_trade_no "+no, "its record was changed by another call")
	}
	return key, r, err
}

// refundedPayment returns the payment that a refund is of: that of the order, or the refused one that f names.
func (c *Cashier) refundedPayment(ctx context.Context, orderKey string, o *orderRecord, f Refund) (*Transaction, error) {
	if f.TransactionID == "" || f.TransactionID == o.Transaction.TransactionID {
		return o.Transaction, nil
	}
	named := Transaction{TransactionID: f.TransactionID, OutTradeNo: f.OutTradeNo}
	r, _, err := readRecord[refusedRecord](ctx, c.records(), refusedKey(orderKey, named))
	if err != nil {
		return nil, err
	}
	if r == nil || r.App != c.App || r.OutTradeNo != f.OutTradeNo || r.Transaction.TransactionID != f.TransactionID {
		return nil, &FieldError{"Refund.TransactionID", "is invalid: want that of the order, " + o.Transaction.TransactionID + ", or of a refused payment of it"}
	}
	return &r.Transaction, nil
}

func errNotPaid(t Transaction) error {
	return &FieldError{"Refund.OutTradeNo", fmt.Sprintf("is of an order that is not paid: its state is %s", t.State)}
}
