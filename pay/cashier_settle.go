package pay

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

const opSettle = "process payment"

// origin is the source of a payment.
type origin int

const (
	fromQuery        origin = iota // a query or a close; ignored for an order without a record
	fromNotification               // of one order
	fromCombined                   // a part of a combined order, which cannot be queried by its number
)

// payment is the progress of processing a transaction.
type payment struct {
	t         Transaction
	origin    origin
	confirmed bool // a query confirmed it
	scheduled bool // Run checks the record soon
}

// step is the next action of processPayment.
type step string

const (
	stepNone      step = "none"       // ignore the payment
	stepRefuseApp step = "refuse app" // the order or the payment belongs to another app or merchant
	stepRefuse    step = "refuse"     // it does not match the order: store it as refused
	stepConfirm   step = "confirm"    // query the order at WeChat
	stepSchedule  step = "schedule"   // make Run check the record soon
	stepWritePaid step = "write paid" // store that the order is paid
	stepHandOver  step = "hand over"  // call the hook
)

// nextStep returns the next step for a payment, given the record of its order or nil. It has no side effects.
func (p payment) nextStep(r *orderRecord, app string, now time.Time) step {
	switch {
	case r == nil && p.origin == fromQuery:
		return stepNone
	case r == nil:
	case r.App != app:
		return stepRefuseApp
	case r.State == orderPaid && r.Transaction.TransactionID == p.t.TransactionID:
		if r.isDone() {
			return stepNone
		}
		return stepHandOver
	case r.isForeign(p.t):
		return stepRefuseApp
	case r.mismatch(p.t) != "":
		return stepRefuse
	case r.State == orderSeen && p.origin == fromQuery:
		return stepNone
	}
	unplaced := r == nil || r.State == orderSeen
	switch {
	case p.confirmed:
	case unplaced && p.origin == fromNotification, r != nil && r.State == orderReversed && p.origin != fromCombined:
		return stepConfirm
	}
	if !p.scheduled && (unplaced || !r.isOpen() || nextQuery(r.Placed, r.expiry(), now).Sub(now) > 10*time.Minute) {
		return stepSchedule
	}
	return stepWritePaid
}

// mismatch returns why a transaction is not the payment of an order, or "".
func (r *orderRecord) mismatch(t Transaction) string {
	switch {
	case r.State == orderPaid:
		return "the order was paid by transaction " + r.Transaction.TransactionID
	case !r.Known:
		return ""
	case t.Currency != "":
		return fmt.Sprintf("its currency is %.10q: the order has CNY", t.Currency)
	case t.Fen != r.Order.Fen:
		return fmt.Sprintf("its amount is %d fen: the order has %d", t.Fen, r.Order.Fen)
	case r.isOfAnotherApp(t):
		return fmt.Sprintf("its appid is %s: the order has %s", t.AppID, firstText(r.Order.AppID, r.AppID))
	case merchantOfTransaction(t) != "" && !r.isMerchantOf(t):
		return fmt.Sprintf("its merchant is %s: the order has %s", merchantOfTransaction(t), merchantKey(r.Merchant))
	}
	return ""
}

// merchantOfTransaction returns the key of the paid merchant, or "".
func merchantOfTransaction(t Transaction) string {
	if t.SubMchID != "" && t.MchID != "" {
		return t.MchID + "/" + t.SubMchID
	}
	return t.MchID
}

// isMerchantOf reports whether the merchant of an order was paid. The shop of a provider may be named by Order.Extra alone.
func (r *orderRecord) isMerchantOf(t Transaction) bool {
	key := merchantKey(r.Merchant)
	if key == merchantOfTransaction(t) {
		return true
	}
	for _, name := range []string{"sub_mch_id", "sub_mchid"} {
		if shop, ok := r.Order.Extra[name].(string); ok {
			return key == t.MchID && shop == t.SubMchID
		}
	}
	return key == t.MchID
}

// processPayment stores a paid transaction and calls OnPaid. It must be repeated after an error.
func (c *Cashier) processPayment(ctx context.Context, m Merchant, key string, t Transaction, from origin) error {
	p := payment{t: t, origin: from}
	for try := 0; ; try++ {
		r, raw, err := readRecord[orderRecord](ctx, c.records(), key)
		if err != nil {
			return err
		}
		now := time.Now()
		switch p.nextStep(r, c.App, now) {
		case stepNone:
			return nil
		case stepRefuseApp:
			return newError(opSettle, ErrMerchant, "out_trade_no "+t.OutTradeNo, "it is an order of another app or merchant")
		case stepRefuse:
			return c.refusePayment(ctx, key, r, p.t)
		case stepHandOver:
			return c.handOverOrder(ctx, key)
		case stepConfirm:
			if p.t, err = c.confirmPayment(ctx, m, p.t); err != nil {
				return err
			}
			if !p.t.Paid() && r != nil { // reversed: the money was returned
				return nil
			}
			if !p.t.Paid() {
				return newError(opSettle, ErrUnknown, "out_trade_no "+t.OutTradeNo, "the notification reports a payment, but a query returns %s", p.t.State)
			}
			p.confirmed = true
		case stepSchedule:
			if err := addDue(ctx, c.records(), key, c.App, now.Add(firstCheckDelay)); err != nil {
				return err
			}
			p.scheduled = true
		case stepWritePaid:
			if r == nil {
				if !c.owns(ctx, p.t) {
					return newError(opSettle, ErrMerchant, "out_trade_no "+t.OutTradeNo, "invalid appid %s: want that of this app", p.t.AppID)
				}
				r = &orderRecord{App: c.App, Merchant: m.Name(), ID: rand.Text(), Order: Order{OutTradeNo: t.OutTradeNo, Fen: p.t.Fen}, Placed: now}
				if err := c.addToList(ctx, listAll, key, now); err != nil {
					return err
				}
			}
			r.setPaid(p.t, now)
			if err := c.addToPaidLists(ctx, key, r, now); err != nil {
				return err
			}
			if _, _, err := swapRecord(ctx, c.records(), key, raw, r); err != nil {
				return err
			}
		}
		if err := waitBriefly(ctx, try/8); err != nil {
			return err
		}
	}
}

// confirmPayment queries the order of a notified payment. It keeps Raw of the notification if both agree.
func (c *Cashier) confirmPayment(ctx context.Context, m Merchant, t Transaction) (Transaction, error) {
	asked, err := m.Query(ctx, t.OutTradeNo)
	if err != nil {
		return t, fmt.Errorf("pay: confirm payment of an order without a record: %w", err)
	}
	if echoesAppID(m) {
		asked.AppID, asked.SubAppID = t.AppID, t.SubAppID
	}
	if len(t.Raw) > 0 && asked.TransactionID == t.TransactionID && asked.Fen == t.Fen {
		asked.Raw = t.Raw
	}
	return asked, nil
}

// handOverOrder calls OnPaid with the payment of a record, unless that was done or another process is doing it.
func (c *Cashier) handOverOrder(ctx context.Context, key string) error {
	return c.runWithRetry(ctx, key, func(ctx context.Context) (since time.Time, err error) {
		r, raw, err := readRecord[orderRecord](ctx, c.records(), key)
		if err != nil || r == nil || r.State != orderPaid || r.isDone() {
			return since, err
		}
		if c.OnPaid == nil {
			return r.PaidSeen, c.saveWithoutHook(ctx, key, raw, r)
		}
		t := *r.Transaction
		t.NotifyTo = r.Order.NotifyTo
		if err := callHook(ctx, "OnPaid", func(ctx context.Context) error { return c.OnPaid(ctx, t) }); err != nil {
			return r.PaidSeen, err
		}
		done := func(r *orderRecord) { r.HandedOver = time.Now() }
		recordDone(ctx, c, key, raw, r, done, func(now *orderRecord) bool {
			return now.State == orderPaid && now.Transaction.TransactionID == r.Transaction.TransactionID
		})
		if r.Listed {
			c.removeRefused(ctx, key, *r.Transaction)
		}
		return since, nil
	})
}
