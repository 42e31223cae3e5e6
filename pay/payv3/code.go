package payv3

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	codeTime = 45 * time.Second // after that WeChat reverses the order
	codePoll = 5 * time.Second
)

// payByCode places an order with a payment code (付款码支付), and waits until it is paid.
func (m *Merchant) payByCode(ctx context.Context, o pay.Order, fields map[string]any) (pay.Prepaid, error) {
	start := time.Now()
	r, err := m.newRequest(ctx, http.MethodPost, m.orders()+"/codepay", fields)
	if err != nil {
		return pay.Prepaid{}, err
	}
	r.once = true
	p := pay.Prepaid{OutTradeNo: o.OutTradeNo}
	body, failure := m.do(ctx, r)
	if failure == nil {
		t, err := m.readTransaction(r, body, o.OutTradeNo)
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
	e := &pay.Error{Op: r.op, Number: r.number, Code: string(t.State)}
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

// Reverse ends an order of a payment code, and gives the money back if it was paid (撤销订单).
// A merchant with several appids asks WeChat first which one the order has.
func (m *Merchant) Reverse(ctx context.Context, outTradeNo string) error {
	if err := pay.CheckOutTradeNo(outTradeNo); err != nil {
		return err
	}
	_, fields, err := m.parties(m.appOf(ctx, outTradeNo))
	if err != nil {
		return err
	}
	return m.Do(ctx, http.MethodPost, m.orderPath(outTradeNo)+"/reverse", fields, nil)
}

// appOf returns the appid of an order, or "" for the default one. A merchant with several appids asks WeChat.
func (m *Merchant) appOf(ctx context.Context, outTradeNo string) string {
	if len(m.appIDs) == 1 && m.sub.mchID == "" {
		return ""
	}
	t, err := m.Query(ctx, outTradeNo)
	if err != nil {
		return ""
	}
	return firstOf(t.SubAppID, t.AppID)
}
