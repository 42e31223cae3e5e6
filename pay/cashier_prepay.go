package pay

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

const opPrepay = "prepay"

// Prepay stores the order and places it with the first Merchant. The same order may be placed again, after ErrUnknown or to get
// a new PrepayID. Another order with the same number returns ErrChanged, which names the field.
//
// After ErrUnknown, ErrBusy, ErrPaying and errors of the store the order stays stored; after any other error the number may be used for
// a corrected order. If another system of the merchant has used the number, Prepay returns ErrPaid or ErrChanged, and stores nothing.
func (c *Cashier) Prepay(ctx context.Context, o Order) (Prepaid, error) {
	if err := CheckOutTradeNo(o.OutTradeNo); err != nil {
		return Prepaid{}, within("Order", err)
	}
	key, r, err := findRecord[orderRecord](ctx, c, kindOrder, o.OutTradeNo)
	if err != nil {
		return Prepaid{}, err
	}
	if r != nil {
		return c.repeatPrepay(ctx, key, r, o)
	}
	sent := o
	if o.NotifyURL == "" && o.Trade != Code {
		sent.NotifyURL = c.notifyURL()
	}
	if err := sent.Check(); err != nil {
		return Prepaid{}, err
	}
	now := time.Now()
	r = &orderRecord{App: c.App, AppID: c.AppID, Merchant: c.Name(), ID: rand.Text(), State: orderSent, Known: true, Order: sent, Placed: now}
	key = recordKey(merchantKey(r.Merchant), kindOrder, o.OutTradeNo)
	if err := c.indexOrder(ctx, key, r); err != nil {
		return Prepaid{}, err
	}
	raw, err := c.createDueRecord(ctx, key, r, now.Add(firstCheckDelay))
	if errors.Is(err, errExists) {
		return c.Prepay(ctx, o)
	}
	if err != nil {
		return Prepaid{}, err
	}
	return c.sendOrder(ctx, key, r, raw)
}

// errExists is returned if another request created the record first.
var errExists = errors.New("pay: the number is in use")

// createDueRecord adds an entry to the due list, then creates the record. An entry without a record is harmless, but Run would
// never check a record without an entry, so the record is written before the entry can be dropped.
func (c *Cashier) createDueRecord(ctx context.Context, key string, r record, due time.Time) (raw []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	share := shareOfAsked
	if _, isOrder := r.(*orderRecord); isOrder {
		share = shareOfOrders
	}
	if err := addDueWithin(ctx, c.records(), key, c.App, due, share); err != nil {
		return nil, err
	}
	created, raw, err := swapRecord(ctx, c.records(), key, nil, r)
	if err == nil && !created {
		err = errExists
	}
	return raw, err
}

// repeatPrepay places a stored order again.
func (c *Cashier) repeatPrepay(ctx context.Context, key string, r *orderRecord, o Order) (Prepaid, error) {
	number := "out_trade_no " + o.OutTradeNo
	p := Prepaid{OutTradeNo: o.OutTradeNo}
	if r.App != c.App {
		return p, newError(opPrepay, ErrChanged, number, "it is an order of another app")
	}
	if field := r.difference(o); field != "" {
		return p, newError(opPrepay, ErrChanged, number, "%s differs from the stored order", field)
	}
	switch {
	case r.hasPayment():
		e := newError(opPrepay, ErrPaid, number, "")
		e.Transaction = r.Transaction
		return p, e
	case !r.isOpen():
		return p, newError(opPrepay, ErrClosed, number, "")
	}
	if err := r.Order.Check(); err != nil {
		return p, err
	}
	return c.sendOrder(ctx, key, r, nil)
}

// sendOrder sends a stored order to its Merchant. raw is its record if this call created it, else nil.
func (c *Cashier) sendOrder(ctx context.Context, key string, r *orderRecord, raw []byte) (Prepaid, error) {
	m, err := c.merchantByName(r.Merchant)
	if err != nil {
		return Prepaid{}, err
	}
	p, err := m.Prepay(ctx, r.Order)
	if p.Transaction != nil && r.isAnother(*p.Transaction) { // a payment code asks WeChat for the order of its number
		p, err = Prepaid{OutTradeNo: r.Order.OutTradeNo}, errAnother(opPrepay, r)
	}
	if raw != nil && (errors.Is(err, ErrPaid) || errors.Is(err, ErrChanged)) {
		var ours bool
		if ours, err = c.checkUsed(ctx, m, r, err); !ours {
			return p, c.dropOrder(ctx, key, raw, err)
		}
	}
	switch {
	case err == nil:
		c.savePrepaid(ctx, key, r, p)
		if p.Transaction != nil {
			c.applyTransaction(ctx, m, key, *p.Transaction)
			t := *p.Transaction
			t.Known = r.Known
			p.Transaction = &t
		}
		c.addLinks(&p, r)
	case errors.Is(err, ErrPaid):
		err = c.attachPayment(ctx, m, key, r, err)
	case errors.Is(err, ErrClosed):
		if _, changed := c.saveEnded(ctx, key, orderClosed, false); changed != nil {
			c.report(ctx, changed)
		}
	case isRefused(err) && raw != nil:
		err = c.dropOrder(ctx, key, raw, err)
	}
	return p, err
}

// dropOrder removes the record of an order that was refused, and returns err.
func (c *Cashier) dropOrder(ctx context.Context, key string, raw []byte, err error) error {
	if _, failed := removeRecord(ctx, c.records(), key, raw); failed != nil {
		c.report(ctx, failed)
	}
	return err
}

// checkUsed reports whether an order is ours although WeChat refused its first placing with used, ErrPaid or ErrChanged: a payment code
// may be paid by a call whose reply is lost. It is not if another system used the number. Of an order of another app, the error tells no more.
func (c *Cashier) checkUsed(ctx context.Context, m Merchant, r *orderRecord, used error) (ours bool, err error) {
	t, err := m.Query(ctx, r.Order.OutTradeNo)
	switch {
	case err != nil:
		return true, used // Run asks again
	case r.Order.Trade == Code && t.Paid() && r.mismatch(t) == "" && t.PaidAt.After(r.Placed.Add(-maxSkew)):
		return true, used
	case c.ownsQueried(ctx, m, t) && !r.isForeign(t):
		if e := (*Error)(nil); errors.As(used, &e) && t.Paid() {
			withPayment := *e
			withPayment.Transaction = &t
			return false, &withPayment
		}
		return false, used
	}
	return false, newError(opPrepay, ErrChanged, "out_trade_no "+r.Order.OutTradeNo, "it is an order of another app")
}

// maxSkew is the most by which the clocks of WeChat and of this server may differ.
const maxSkew = 5 * time.Minute

// savePrepaid stores WeChat's reply. After an error Run still checks the order.
func (c *Cashier) savePrepaid(ctx context.Context, key string, sent *orderRecord, p Prepaid) {
	_, err := changeRecord(context.WithoutCancel(ctx), c.records(), key, func(r *orderRecord) (*orderRecord, error) {
		if r == nil { // another call for the same order was refused
			r = sent
		}
		if !r.isOpen() {
			return nil, errUnchanged
		}
		p.Transaction = nil
		r.State, r.Prepaid, r.PrepaidAt = orderPlaced, &p, time.Now()
		return r, nil
	})
	if err != nil {
		c.report(ctx, err)
	}
}
