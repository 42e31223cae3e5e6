package pay

import (
	"context"
	"time"
)

// keepRefund keeps the call that created the record of a refund from removing it after a refusal, since another call relies on it. It
// returns the record, or nil if it was removed before.
func (c *Cashier) keepRefund(ctx context.Context, key string) (*refundRecord, error) {
	return changeRecord(context.WithoutCancel(ctx), c.records(), key, func(r *refundRecord) (*refundRecord, error) {
		if r == nil || r.State != refundWaiting || !r.Kept.IsZero() {
			return nil, errUnchanged
		}
		r.Kept = time.Now()
		return r, nil
	})
}

// acceptRefund returns a refund that Run sends later.
func (c *Cashier) acceptRefund(ctx context.Context, key string, r *refundRecord) (Refund, error) {
	kept, err := c.keepRefund(ctx, key)
	if err == nil && kept == nil {
		err = newError(opRefund, ErrBusy, "out_refund_no "+r.Refund.OutRefundNo, "another call for it was refused")
	}
	if err != nil {
		return r.Refund, err
	}
	return kept.answered(), nil
}

// keepTransfer keeps the call that created the record of a transfer from removing it, as keepRefund does.
func (c *Cashier) keepTransfer(ctx context.Context, key string) (*transferRecord, error) {
	return changeRecord(context.WithoutCancel(ctx), c.records(), key, func(r *transferRecord) (*transferRecord, error) {
		if r == nil || r.State != transferSent || !r.Kept.IsZero() {
			return nil, errUnchanged
		}
		r.Kept = time.Now()
		return r, nil
	})
}
