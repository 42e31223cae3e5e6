package payv2

import (
	"context"
	"errors"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	codeTime   = 45 * time.Second // after that WeChat reverses the order
	codePoll   = 5 * time.Second
	maxReverse = 5 // tries
)

// payByCode places an order with a payment code (付款码支付), and waits until it is paid.
func (m *Merchant) payByCode(ctx context.Context, o pay.Order, fields message) (pay.Prepaid, error) {
	start := time.Now()
	r := newRequest("/pay/micropay", fields)
	r.once = true
	p := pay.Prepaid{OutTradeNo: o.OutTradeNo}
	answer, failure := m.do(ctx, r)
	if failure == nil {
		t, err := m.readTransaction(r, answer, pay.Success, o.OutTradeNo)
		if failure = err; err == nil {
			p.Transaction, failure = &t, codeEnd(r, t)
		}
	}
	ctx, cancel := context.WithDeadline(ctx, start.Add(codeTime+codePoll))
	defer cancel()
	for pending(failure) && time.Since(start)+codePoll <= codeTime && wait(ctx, codePoll) {
		t, err := m.Query(ctx, o.OutTradeNo)
		if err != nil {
			continue
		}
		p.Transaction, failure = &t, codeEnd(r, t)
	}
	return p, failure
}

// pending reports whether a payment may still come.
func pending(err error) bool { return errors.Is(err, pay.ErrPaying) || errors.Is(err, pay.ErrUnknown) }

// codeEnd returns nil for a payment that is made, and an error for any other state.
func codeEnd(r *request, t pay.Transaction) error {
	e := &pay.Error{Op: r.op(), Number: r.number(), Code: string(t.State)}
	switch t.State {
	case pay.Success, pay.Refunded:
		return nil
	case pay.Closed, pay.Reversed, pay.PayError:
		e.Cause = pay.ErrClosed
	default:
		e.Cause = pay.ErrPaying
	}
	return e
}

// wait waits for d, and reports whether ctx lasted as long.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Reverse ends an order of a payment code, and gives the money back if it was paid (撤销订单). While WeChat asks for another call
// (recall) Reverse makes it, every 5 s and 5 times at most; then it returns pay.ErrUnknown.
func (m *Merchant) Reverse(ctx context.Context, outTradeNo string) error {
	if err := pay.CheckOutTradeNo(outTradeNo); err != nil {
		return err
	}
	for try := 1; ; try++ {
		r := m.orderRequest("/secapi/pay/reverse", outTradeNo)
		answer, err := m.do(ctx, r)
		switch {
		case answer.get("recall") != "Y":
			return err
		case try == maxReverse || !wait(ctx, codePoll):
			return &pay.Error{Op: r.op(), Cause: pay.ErrUnknown, Number: r.number(), Message: "WeChat asks for another call", Err: errors.Join(err, ctx.Err())}
		}
	}
}
