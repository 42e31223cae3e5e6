package pay

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	opTransfer       = "transfer"
	opQueryTransfer  = "query transfer"
	opCancelTransfer = "cancel transfer"
)

var _ Transferer = (*Cashier)(nil)

// asTransferer returns a Merchant as a Transferer, or an error.
func asTransferer(m Merchant) (Transferer, error) {
	if t, ok := m.(Transferer); ok {
		return t, nil
	}
	return nil, fmt.Errorf("pay: merchant %s makes no transfers: want a pay.Transferer", m.Name())
}

// Transfer stores a transfer and sends it to the first Merchant that is a [Transferer]. The same call may be repeated: it returns
// the current state, with Package while the user has not confirmed. Another transfer with the same number returns ErrChanged,
// which names the field. [Cashier.Run] repeats a transfer of unknown outcome with the same number, and queries each transfer
// until it is final.
//
// After an error the transfer stays stored, unless WeChat refused it and a query proves that it does not have it. A refused transfer
// that stays stored returns ErrUnknown, because Run sends it again.
func (c *Cashier) Transfer(ctx context.Context, t Transfer) (Transfer, error) {
	if err := t.Check(); err != nil {
		return t, err
	}
	key, r, err := findRecord[transferRecord](ctx, c, kindTransfer, t.OutBillNo)
	if err != nil {
		return t, err
	}
	if r != nil {
		return c.repeatTransfer(ctx, key, r, t)
	}
	for _, m := range c.Merchants {
		if _, ok := m.(Transferer); ok {
			return c.createTransfer(ctx, m, t)
		}
	}
	_, err = asTransferer(c.Merchants[0])
	return t, err
}

func (c *Cashier) createTransfer(ctx context.Context, m Merchant, t Transfer) (Transfer, error) {
	if t.NotifyURL == "" {
		t.NotifyURL = c.notifyURL()
	}
	now := time.Now()
	r := &transferRecord{App: c.App, Merchant: m.Name(), State: transferSent, Transfer: t, Asked: now}
	key := recordKey(merchantKey(r.Merchant), kindTransfer, t.OutBillNo)
	raw, err := c.createDueRecord(ctx, key, r, now.Add(firstCheckDelay))
	if errors.Is(err, errExists) {
		return c.Transfer(ctx, t)
	}
	if err != nil {
		return t, err
	}
	return c.sendTransfer(ctx, key, r, raw)
}

func (c *Cashier) repeatTransfer(ctx context.Context, key string, r *transferRecord, t Transfer) (Transfer, error) {
	number := "out_bill_no " + t.OutBillNo
	if r.App != c.App {
		return t, newError(opTransfer, ErrChanged, number, "it is a transfer of another app")
	}
	if field := r.difference(t); field != "" {
		return t, newError(opTransfer, ErrChanged, number, "%s differs from the stored transfer", field)
	}
	r, err := c.keepTransfer(ctx, key)
	switch {
	case err != nil:
		return t, err
	case r == nil: // the first call was refused meanwhile
		return c.Transfer(ctx, t)
	}
	answer, err := c.currentTransfer(ctx, key, r)
	if errors.Is(err, ErrNotFound) && r.maySend(time.Now()) {
		return c.sendTransfer(ctx, key, r, nil)
	}
	return answer, err
}

// currentTransfer returns the current state of a stored transfer.
func (c *Cashier) currentTransfer(ctx context.Context, key string, r *transferRecord) (Transfer, error) {
	switch {
	case r.State == transferFinal:
		return r.answered(), nil
	case r.State == transferLost, time.Since(r.Asked) > maxTransferAge:
		return r.answered(), newError(opQueryTransfer, ErrUnknown, "out_bill_no "+r.Transfer.OutBillNo, "WeChat answers no queries after 30 days")
	}
	return c.refreshTransfer(ctx, key, r)
}

// sendTransfer sends a transfer for a caller. raw is its record if this call created it, else nil.
func (c *Cashier) sendTransfer(ctx context.Context, key string, r *transferRecord, raw []byte) (Transfer, error) {
	t, err := c.requestTransfer(ctx, key, r)
	if err != nil && (isRefused(err) || errors.Is(err, ErrChanged)) && !c.removeTransfer(ctx, key, r, raw, err) {
		err = keptError(opTransfer, "out_bill_no "+r.Transfer.OutBillNo, err)
	}
	return t, err
}

// requestTransfer sends a transfer to its Merchant.
func (c *Cashier) requestTransfer(ctx context.Context, key string, r *transferRecord) (Transfer, error) {
	m, err := c.transfererByName(r.Merchant)
	if err != nil {
		return r.Transfer, err
	}
	answer, err := m.Transfer(ctx, r.Transfer)
	if err != nil {
		return r.Transfer, err
	}
	return c.applyTransfer(ctx, key, r, answer)
}

// removeTransfer removes the record of a refused transfer if this call created it and WeChat does not have the transfer, or has one
// of another system. It reports whether the record is gone.
func (c *Cashier) removeTransfer(ctx context.Context, key string, r *transferRecord, raw []byte, refused error) bool {
	if raw == nil { // an earlier attempt may still arrive
		return false
	}
	if !errors.As(refused, new(*FieldError)) {
		m, err := c.transfererByName(r.Merchant)
		if err != nil {
			return false
		}
		has, err := m.QueryTransfer(ctx, r.Transfer.OutBillNo)
		if err == nil && r.mismatch(has) == "" || err != nil && !errors.Is(err, ErrNotFound) {
			return false
		}
	}
	gone, err := removeRecord(ctx, c.records(), key, raw)
	if err != nil {
		c.report(ctx, err)
	}
	return gone
}

func (c *Cashier) transfererByName(name string) (Transferer, error) {
	m, err := c.merchantByName(name)
	if err != nil {
		return nil, err
	}
	return asTransferer(m)
}

// QueryTransfer returns a stored transfer from WeChat, with Package while the user has not confirmed. It calls OnTransfer if the
// transfer has become final.
func (c *Cashier) QueryTransfer(ctx context.Context, outBillNo string) (Transfer, error) {
	key, r, err := c.findTransfer(ctx, opQueryTransfer, outBillNo)
	if err != nil {
		return Transfer{}, err
	}
	t, err := c.currentTransfer(ctx, key, r)
	if errors.Is(err, ErrNotFound) && r.maySend(time.Now()) { // Run repeats it
		return r.answered(), nil
	}
	return t, err
}

// HasTransfer reports whether a transfer of this App is stored, without a query. One that is not stored is never sent.
func (c *Cashier) HasTransfer(ctx context.Context, outBillNo string) (bool, error) {
	if CheckOutBillNo(outBillNo) != nil {
		return false, nil
	}
	_, r, err := findRecord[transferRecord](ctx, c, kindTransfer, outBillNo)
	return r != nil && r.App == c.App, err
}

// CancelTransfer cancels a transfer that the user has not confirmed (撤销转账). It is final when its State is Cancelled.
func (c *Cashier) CancelTransfer(ctx context.Context, outBillNo string) (Transfer, error) {
	key, r, err := c.findTransfer(ctx, opCancelTransfer, outBillNo)
	if err != nil {
		return Transfer{}, err
	}
	m, err := c.transfererByName(r.Merchant)
	if err != nil {
		return Transfer{}, err
	}
	if r.State == transferSent { // the reply of a cancel has neither amount nor user, so that it could be another's transfer
		if t, err := c.refreshTransfer(ctx, key, r); err != nil || t.Ended() {
			return t, err
		}
	}
	answer, err := m.CancelTransfer(ctx, outBillNo)
	if err != nil {
		return answer, err
	}
	t, err := c.applyTransfer(ctx, key, r, answer)
	if err == nil && !t.Ended() {
		c.schedule(ctx, key, time.Now().Add(firstCheckDelay))
	}
	return t, err
}

func (c *Cashier) findTransfer(ctx context.Context, op, no string) (key string, r *transferRecord, err error) {
	if err := CheckOutBillNo(no); err != nil {
		return "", nil, err
	}
	key, r, err = findRecord[transferRecord](ctx, c, kindTransfer, no)
	if err == nil && (r == nil || r.App != c.App) {
		err = newError(op, ErrNotFound, "out_bill_no "+no, "this transfer has no record")
	}
	return key, r, err
}

// refreshTransfer queries a transfer and applies the reply.
func (c *Cashier) refreshTransfer(ctx context.Context, key string, r *transferRecord) (Transfer, error) {
	m, err := c.transfererByName(r.Merchant)
	if err != nil {
		return r.Transfer, err
	}
	answer, err := m.QueryTransfer(ctx, r.Transfer.OutBillNo)
	if err != nil {
		return r.Transfer, err
	}
	return c.applyTransfer(ctx, key, r, answer)
}

// applyTransfer processes a reply, and returns the transfer for a caller. A reply about another transfer of the same number returns
// ErrChanged.
func (c *Cashier) applyTransfer(ctx context.Context, key string, asked *transferRecord, answer Transfer) (Transfer, error) {
	if field := asked.mismatch(answer); field != "" {
		return asked.answered(), newError(opQueryTransfer, ErrChanged, "out_bill_no "+asked.Transfer.OutBillNo,
			"%s differs from the stored transfer: WeChat has a transfer of another system under this number", field)
	}
	wait, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	r, err := c.processTransfer(wait, key, asked, answer)
	if err != nil {
		c.report(ctx, err)
	}
	if r == nil {
		r = asked
		r.setAnswer(answer, time.Now())
	}
	return r.answered(), nil
}

// processTransfer stores a reply about a transfer, and calls OnTransfer if it is final.
func (c *Cashier) processTransfer(ctx context.Context, key string, asked *transferRecord, answer Transfer) (*transferRecord, error) {
	r, err := changeRecord(ctx, c.records(), key, func(r *transferRecord) (*transferRecord, error) {
		if r == nil {
			copied := *asked
			r = &copied
		}
		r.setAnswer(answer, time.Now())
		return r, nil
	})
	if err != nil || r.State != transferFinal || r.isDone() || c.OnTransfer == nil {
		return r, err
	}
	return r, c.handOverTransfer(ctx, key)
}

// handOverTransfer calls OnTransfer with the transfer of a record, unless that was done or another process is doing it.
func (c *Cashier) handOverTransfer(ctx context.Context, key string) error {
	return c.runWithRetry(ctx, key, func(ctx context.Context) (since time.Time, err error) {
		r, raw, err := readRecord[transferRecord](ctx, c.records(), key)
		if err != nil || r == nil || r.State != transferFinal || r.isDone() {
			return since, err
		}
		if err := callHook(ctx, "OnTransfer", func(ctx context.Context) error { return c.OnTransfer(ctx, r.answered()) }); err != nil {
			return r.Ended, err
		}
		done := func(r *transferRecord) { r.HandedOver = time.Now() }
		recordDone(ctx, c, key, raw, r, done, func(now *transferRecord) bool { return now.State == transferFinal })
		return since, nil
	})
}

// checkTransfer checks a due transfer, and returns the time of the next check, or zero for none.
func (c *Cashier) checkTransfer(ctx context.Context, key string, r *transferRecord, now time.Time) (time.Time, error) {
	later := retryAt(r.Asked, now, maxTransferDelay)
	switch {
	case r.State == transferLost || r.isDone():
		return time.Time{}, nil
	case r.State == transferFinal && c.OnTransfer == nil:
		return time.Time{}, nil
	case r.State == transferFinal:
		if err := c.handOverTransfer(ctx, key); err != nil {
			return retryAt(r.Ended, now, maxRetryDelay), err
		}
		return time.Time{}, nil
	case now.Sub(r.Asked) > maxTransferAge:
		return c.giveUpTransfer(ctx, key, later)
	}
	t, err := c.refreshTransfer(ctx, key, r)
	switch {
	case errors.Is(err, ErrChanged) && r.State == transferSent: // the number is that of another system's transfer
		return later, c.failTransfer(ctx, key, r, err)
	case errors.Is(err, ErrNotFound) && r.maySend(now):
		t, err = c.requestTransfer(ctx, key, r)
		if err != nil && isRefusedForGood(err) && now.Sub(r.Asked) > maxTransferDelay { // no earlier attempt can arrive now
			if _, asked := c.refreshTransfer(ctx, key, r); errors.Is(asked, ErrNotFound) {
				return later, c.failTransfer(ctx, key, r, err)
			}
		}
	}
	switch {
	case err == nil && t.Ended():
		return now.Add(firstCheckDelay), nil // to check that the hook was called
	case errors.Is(err, ErrBusy), errors.Is(err, ErrUnknown):
		return later, nil
	}
	return later, err
}

// failTransfer ends a transfer that WeChat refused for good after an unknown outcome. No money was sent.
func (c *Cashier) failTransfer(ctx context.Context, key string, r *transferRecord, why error) error {
	c.report(ctx, fmt.Errorf("pay: transfer %s, which is stored, was refused: %w", r.Transfer.OutBillNo, why))
	answer := r.Transfer
	answer.State, answer.FailReason = Failed, "REFUSED"
	if e := (*Error)(nil); errors.As(why, &e) && e.Code != "" {
		answer.FailReason = e.Code
	}
	_, err := c.processTransfer(ctx, key, r, answer)
	return err
}

const maxTransferDelay = time.Hour // between two queries

// giveUpTransfer stops querying a transfer that WeChat no longer returns.
func (c *Cashier) giveUpTransfer(ctx context.Context, key string, later time.Time) (time.Time, error) {
	r, err := changeRecord(ctx, c.records(), key, func(r *transferRecord) (*transferRecord, error) {
		if r == nil || r.State == transferFinal {
			return nil, errUnchanged
		}
		r.State = transferLost
		return r, nil
	})
	if err != nil || r == nil || r.State == transferFinal {
		return later, err
	}
	return time.Time{}, fmt.Errorf("pay: transfer %s was not final after 30 days, and WeChat no longer answers queries: a person must look", r.Transfer.OutBillNo)
}
