package pay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Refused is a received payment that does not match its order, or for which OnPaid is not set. OnPaid was not called. A person
// must accept it by [Cashier.Accept] or refund it, by its transaction id. WeChat stops notifying it after a day.
type Refused struct {
	ID          string      `json:"id"`
	OutTradeNo  string      `json:"out_trade_no"`
	Reason      string      `json:"reason"`
	At          time.Time   `json:"at"`
	RefundedFen int64       `json:"refunded_fen,omitempty"` // sum of its refunds, with those that are not final yet
	Transaction Transaction `json:"transaction"`
}

// refusedRecord is a stored Refused.
type refusedRecord struct {
	recordHead
	App string `json:"app,omitempty"`
	Refused
	Accepted time.Time `json:"accepted,omitzero"` // when OnPaid had returned nil for a payment that is not in the record of its order
}

func (r *refusedRecord) check() error {
	if CheckOutTradeNo(r.OutTradeNo) != nil || r.ID == "" {
		return errors.New("invalid record of a refused payment")
	}
	return nil
}

func (*refusedRecord) ttl(time.Time) time.Duration { return paidTTL }

// refusePayment stores a payment that does not match its order, and returns the error for the reply to WeChat.
func (c *Cashier) refusePayment(ctx context.Context, key string, r *orderRecord, t Transaction) error {
	if accepted, _, err := readRecord[refusedRecord](ctx, c.records(), refusedKey(key, t)); err != nil || accepted != nil && !accepted.Accepted.IsZero() {
		return err
	}
	reason := r.mismatch(t)
	t.Late, t.Known = r.lateness(t), r.Known
	if err := c.saveRefused(ctx, key, t, reason); err != nil {
		return err
	}
	if r.State != orderPaid {
		_, err := changeRecord(ctx, c.records(), key, func(r *orderRecord) (*orderRecord, error) {
			if r == nil || r.State == orderPaid || r.State == orderRefused {
				return nil, errUnchanged
			}
			r.State, r.Transaction, r.PaidSeen = orderRefused, boundRaw(t), time.Now()
			return r, nil
		})
		if err != nil {
			return err
		}
	}
	if r.isRefunded(t) { // a person has decided
		return nil
	}
	cause := ErrMerchant
	if r.State != orderPaid && (t.Fen != r.Order.Fen || t.Currency != "") {
		cause = ErrAmount
	}
	return newError(opSettle, cause, "out_trade_no "+t.OutTradeNo, "%s", reason)
}

// saveWithoutHook stores a payment as refused because OnPaid is not set.
func (c *Cashier) saveWithoutHook(ctx context.Context, key string, raw []byte, r *orderRecord) error {
	const reason = "OnPaid is not set"
	if !r.Listed {
		if err := c.saveRefused(ctx, key, *r.Transaction, reason); err != nil {
			return err
		}
		r.Listed = true
		if _, _, err := swapRecord(ctx, c.records(), key, raw, r); err != nil { // if others changed it, the next call lists it again
			return err
		}
	}
	return errors.New("pay: order " + r.Order.OutTradeNo + " is paid: " + reason)
}

func refusedKey(orderKey string, t Transaction) string {
	merchant, _, _, _ := splitKey(strings.TrimPrefix(orderKey, "pay/"))
	return recordKey(merchant, kindRefused, refusedID(t))
}

// refusedID returns the transaction id, or the order number if the id cannot be part of a key.
func refusedID(t Transaction) string {
	if id := t.TransactionID; id != "" && len(id) <= 64 && !strings.Contains(id, "/") {
		return id
	}
	return t.OutTradeNo
}

func (c *Cashier) saveRefused(ctx context.Context, orderKey string, t Transaction, reason string) error {
	r := &refusedRecord{App: c.App, Refused: Refused{
		ID: refusedID(t), OutTradeNo: t.OutTradeNo, Reason: reason, At: time.Now(), Transaction: *boundRaw(t),
	}}
	_, _, err := swapRecord(ctx, c.records(), refusedKey(orderKey, t), nil, r)
	return err
}

func (c *Cashier) removeRefused(ctx context.Context, orderKey string, t Transaction) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := c.records().Delete(ctx, refusedKey(orderKey, t)); err != nil {
		c.report(ctx, fmt.Errorf("pay: remove an accepted payment from the refused ones: %w", err))
	}
}

// Refused returns the refused payments of all Merchants, in no order, except those that were refunded in whole.
func (c *Cashier) Refused(ctx context.Context) ([]Refused, error) {
	var list []Refused
	for _, merchant := range c.merchantKeys() {
		for key, err := range c.records().Keys(ctx, recordKey(merchant, kindRefused, "")) {
			if err != nil {
				return nil, fmt.Errorf("pay: list refused payments: %w", err)
			}
			r, _, err := readRecord[refusedRecord](ctx, c.records(), key)
			if err != nil {
				return nil, err
			}
			if r == nil || r.App != c.App || !r.Accepted.IsZero() {
				continue
			}
			o, _, err := readRecord[orderRecord](ctx, c.records(), recordKey(merchant, kindOrder, r.OutTradeNo))
			if err != nil {
				return nil, err
			}
			if o != nil && o.isRefunded(r.Transaction) {
				continue
			}
			if o != nil && o.isPaidBy(r.Transaction) { // it was accepted, and not removed then
				c.removeRefused(ctx, recordKey(merchant, kindOrder, r.OutTradeNo), r.Transaction)
				continue
			}
			if o != nil {
				r.RefundedFen = o.refundedFen(r.Transaction.TransactionID)
			}
			list = append(list, r.Refused)
		}
	}
	return list, nil
}

// isPaidBy reports whether t is the payment of an order, for which OnPaid has returned nil.
func (r *orderRecord) isPaidBy(t Transaction) bool {
	return r.State == orderPaid && r.isDone() && r.Transaction.TransactionID == t.TransactionID
}

// Accept calls OnPaid for a refused payment, and removes it from the list after OnPaid returned nil. It waits until ctx ends. It
// returns ErrChanged if a part of the payment was refunded.
func (c *Cashier) Accept(ctx context.Context, id string) error {
	if c.OnPaid == nil {
		return errors.New("pay: accept: OnPaid is not set")
	}
	key, refused, err := c.findRefused(ctx, id)
	if err != nil {
		return err
	}
	merchant, _, _, _ := splitKey(strings.TrimPrefix(key, "pay/"))
	orderKey := recordKey(merchant, kindOrder, refused.OutTradeNo)
	settled, err := c.acceptOrder(ctx, orderKey, merchant, refused.Transaction)
	if err == nil && settled {
		c.removeRefused(ctx, orderKey, refused.Transaction)
	}
	return err
}

// findRefused returns the record of a refused payment and its key.
func (c *Cashier) findRefused(ctx context.Context, id string) (key string, r *refusedRecord, err error) {
	if !strings.Contains(id, "/") && len(id) <= 64 {
		key, r, err = findRecord[refusedRecord](ctx, c, kindRefused, id)
	}
	if err == nil && (r == nil || r.App != c.App || !r.Accepted.IsZero()) {
		err = newError("accept", ErrNotFound, id, "")
	}
	return key, r, err
}

// acceptOrder calls OnPaid for t, and reports whether t is in the record of its order. That of an order that was paid by another
// transaction does not change: the record of the refused payment then stays, without being listed, for WeChat's next notification.
func (c *Cashier) acceptOrder(ctx context.Context, key, merchant string, t Transaction) (settled bool, err error) {
	if err := addDue(ctx, c.records(), key, c.App, time.Now().Add(firstCheckDelay)); err != nil {
		return false, err
	}
	r, err := changeRecord(ctx, c.records(), key, func(r *orderRecord) (*orderRecord, error) {
		if r == nil {
			r = &orderRecord{App: c.App, Merchant: c.merchantByKey(merchant).Name(), ID: rand.Text(), Order: Order{OutTradeNo: t.OutTradeNo, Fen: t.Fen}, Placed: time.Now()}
		}
		isPaid := r.State == orderPaid
		if fen := r.refundedFen(t.TransactionID); fen > 0 && !(isPaid && r.Transaction.TransactionID == t.TransactionID) {
			return nil, newError("accept", ErrChanged, "transaction_id "+t.TransactionID, "%d fen of it are refunded", fen)
		}
		if isPaid {
			return nil, errUnchanged
		}
		r.setPaid(t, time.Now())
		return r, c.addToPaidLists(ctx, key, r, time.Now())
	})
	if err != nil {
		return false, err
	}
	if r.Transaction.TransactionID == t.TransactionID {
		return true, c.handOverOrder(ctx, key)
	}
	at := refusedKey(key, t)
	return false, c.runExclusive(ctx, at, func(ctx context.Context) error {
		refused, raw, err := readRecord[refusedRecord](ctx, c.records(), at)
		if err != nil || refused == nil || !refused.Accepted.IsZero() {
			return err
		}
		t.Known, t.NotifyTo = r.Known, r.Order.NotifyTo
		if err := callHook(ctx, "OnPaid", func(ctx context.Context) error { return c.OnPaid(ctx, t) }); err != nil {
			return err
		}
		recordDone(ctx, c, at, raw, refused, func(r *refusedRecord) { r.Accepted = time.Now() }, func(*refusedRecord) bool { return true })
		return nil
	})
}
