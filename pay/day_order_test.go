package pay_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// plan is the course of an order.
type plan string

const (
	paidSoon       plan = "paid soon"
	paidUnnoticed  plan = "paid without any notification"
	neverPaid      plan = "never paid"
	closedForGood  plan = "closed for good"
	paidAfterClose plan = "paid after its close"
	closedAndPaid  plan = "closed and paid at the same time"
	paidSlowly     plan = "closed while the payer thinks"
	polled         plan = "paid while the shop asks"
	placedAgain    plan = "placed again and again"
	stranger       plan = "placed by another system"
)

var plans = []plan{
	paidSoon, paidSoon, paidSoon, paidSoon, paidSoon, paidSoon, paidSoon, paidSoon, paidUnnoticed, neverPaid, neverPaid, closedForGood,
	paidAfterClose, paidAfterClose, closedAndPaid, closedAndPaid, paidSlowly, polled, placedAgain, stranger,
}

// life runs one order.
type life struct {
	*day
	*rand.Rand
	home  int // the process and the account that place it
	order pay.Order
}

// live runs order n.
func (d *day) live(n int) {
	l := &life{day: d, Rand: rand.New(rand.NewPCG(*daySeed, uint64(n)))}
	l.home = l.IntN(2)
	l.order = pay.Order{Trade: pay.Native, OutTradeNo: fmt.Sprintf("order-%d", n), Fen: 4 + l.Int64N(100_000), Description: "socks", NotifyURL: notifyAddress}
	does := plans[l.Rand.IntN(len(plans))]
	d.mu.Lock()
	d.plans[l.order.OutTradeNo] = does
	d.mu.Unlock()
	l.begin(n)
	if l.IntN(3) > 0 {
		l.order.ExpiresAt = time.Now().Add(l.seconds(30*time.Minute, 2*time.Hour))
	}
	if does == paidUnnoticed {
		l.order.NotifyURL = "https://shop.example.com/moved"
	}
	if does == stranger {
		if _, err := d.cashier(l.home).Merchants[0].Prepay(d.t.Context(), l.order); err != nil {
			return
		}
	} else if !l.place() {
		return
	}
	if l.pays(does) && l.IntN(3) == 0 {
		l.wait(time.Minute, 3*time.Hour)
		l.refund()
	}
}

// begin waits for the time of the order. Many orders start just before the store fails.
func (l *life) begin(n int) {
	switch n % 10 {
	case 0, 1:
		l.at(awayAt - l.seconds(0, 12*time.Minute))
	case 2:
		l.at(readOnlyAt - l.seconds(0, 12*time.Minute))
	default:
		l.wait(0, l.opens)
	}
}

func (l *life) seconds(from, to time.Duration) time.Duration {
	return (from + time.Duration(l.Int64N(int64(to-from)))).Truncate(time.Second)
}

func (l *life) wait(from, to time.Duration) { time.Sleep(l.seconds(from, to)) }

func (l *life) mchID() string { return l.accounts[l.home].shown.MchID }

// any returns one of the two processes.
func (l *life) any() *pay.Cashier { return l.cashier(l.IntN(2)) }

// place places the order, and repeats this until it succeeds.
func (l *life) place() bool {
	for range 100 {
		_, err := l.cashier(l.home).Prepay(l.t.Context(), l.order)
		if err == nil {
			return true
		}
		if errors.As(err, new(*pay.FieldError)) {
			if time.Now().Before(l.order.ExpiresAt) {
				l.fail("order %s: %v", l.order.OutTradeNo, err)
			}
			return false
		}
		if errors.Is(err, pay.ErrClosed) || errors.Is(err, pay.ErrChanged) || errors.Is(err, pay.ErrPaid) {
			l.fail("order %s: %v", l.order.OutTradeNo, err)
			return false
		}
		l.wait(2*time.Second, 20*time.Second)
	}
	l.fail("order %s could not be placed", l.order.OutTradeNo)
	return false
}

// pays runs the plan, and reports whether the order was paid.
func (l *life) pays(does plan) bool {
	ctx, no := l.t.Context(), l.order.OutTradeNo
	switch does {
	case neverPaid:
		return false
	case closedForGood:
		l.wait(time.Second, 10*time.Minute)
		_ = l.closes()
		return false
	case paidAfterClose:
		l.wait(time.Second, 10*time.Minute)
		if !l.closes() {
			return false
		}
		l.wait(0, 10*time.Minute)
		return l.pay(true)
	case closedAndPaid:
		l.wait(time.Second, 5*time.Minute)
		done := make(chan bool)
		go func() {
			time.Sleep(time.Duration(l.day.intN(300)) * time.Millisecond)
			done <- l.pay(false)
		}()
		err := l.any().Close(ctx, no)
		paid := <-done
		if err == nil && paid && !l.hasClosed() {
			l.fail("order %s was paid, and its close said that it was not", no)
		}
		return paid
	case paidSlowly:
		l.wait(time.Second, 5*time.Minute)
		if l.server.StartPaying(l.mchID(), no) != nil {
			return false
		}
		if err := l.any().Close(ctx, no); err == nil {
			l.fail("order %s was closed while it was being paid", no)
		}
		l.wait(time.Second, time.Minute)
	case polled:
		for range 10 {
			l.wait(time.Second, 4*time.Second)
			_, _ = l.any().Query(ctx, no)
		}
		paid := l.pay(false)
		for range 10 {
			l.wait(time.Second, 4*time.Second)
			_, _ = l.any().Query(ctx, no)
		}
		return paid
	case placedAgain:
		for range 4 {
			l.wait(time.Second, 5*time.Minute)
			_, _ = l.any().Prepay(ctx, l.order)
		}
	default:
		l.wait(time.Second, 25*time.Minute)
	}
	return l.pay(false)
}

// hasClosed reports whether WeChat closed the order before it was paid, which the simulator allows a late payer only.
func (l *life) hasClosed() bool {
	o, err := l.server.Order(l.mchID(), l.order.OutTradeNo)
	return err == nil && o.TransactionID == ""
}

// closes closes the order, repeats this until it is certain, and reports whether the order is closed.
func (l *life) closes() bool {
	for range 50 {
		err := l.any().Close(l.t.Context(), l.order.OutTradeNo)
		switch {
		case err == nil:
			return true
		case errors.Is(err, pay.ErrPaid):
			l.fail("order %s: %v", l.order.OutTradeNo, err)
			return false
		}
		l.wait(2*time.Second, 20*time.Second)
	}
	l.fail("order %s could not be closed", l.order.OutTradeNo)
	return false
}

// pay pays the order, with a fault for its notification.
func (l *life) pay(late bool) bool {
	if l.day.intN(2) == 0 {
		f := l.notificationFault()
		f.MchID, f.Event, f.Times = l.mchID(), "TRANSACTION.SUCCESS", 1
		l.server.AddNotificationFault(f)
	}
	pay := l.server.Pay
	if late {
		pay = l.server.PayLate
	}
	_, err := pay(l.mchID(), l.order.OutTradeNo, "")
	return err == nil
}

// notificationFault returns a fault of a notification. At least one attempt arrives.
func (d *day) notificationFault() paytest.NotificationFault {
	second := func(most int) time.Duration { return time.Duration(d.intN(most)) * time.Second }
	switch d.intN(10) {
	case 0, 1:
		return paytest.NotificationFault{Lost: 1 + d.intN(3)}
	case 2:
		return paytest.NotificationFault{Lost: 1 + d.intN(13)}
	case 3:
		return paytest.NotificationFault{Delay: second(120)}
	case 4:
		return paytest.NotificationFault{Delay: second(3 * 3600)}
	case 5, 6:
		return paytest.NotificationFault{Copies: 1 + d.intN(3), Delay: second(3)}
	case 7:
		return paytest.NotificationFault{Copies: 1 + d.intN(3), Apart: second(10)}
	}
	signs := []paytest.Signing{
		paytest.Unsigned, paytest.Forged, paytest.Probe, paytest.Stale, paytest.Unknown, paytest.Altered, paytest.Truncated,
	}
	return paytest.NotificationFault{Sign: signs[d.intN(len(signs))], Attempts: 1 + d.intN(2)}
}

// refund refunds the order, in whole or in up to four parts at once.
func (l *life) refund() {
	left := l.order.Fen
	if l.IntN(2) == 0 {
		left = 1 + l.Int64N(left) // not all of it
	}
	parts := 1 + l.IntN(4)
	for i := range parts {
		fen := left
		if i < parts-1 {
			fen = left / int64(parts-i)
		}
		if fen == 0 {
			continue
		}
		left -= fen
		l.refundPart(pay.Refund{OutTradeNo: l.order.OutTradeNo, OutRefundNo: fmt.Sprintf("%s-r%d", l.order.OutTradeNo, i), Fen: fen})
	}
}

// refundPart requests one refund, which may fail after it was accepted.
func (l *life) refundPart(f pay.Refund) {
	if l.requestRefund(f) {
		l.endRefund(f.OutRefundNo)
	}
}

// requestRefund requests one refund, repeats this until it is accepted, and reports whether it is.
func (l *life) requestRefund(f pay.Refund) bool {
	for range 200 {
		_, err := l.any().Refund(l.t.Context(), f)
		if errors.As(err, new(*pay.FieldError)) || errors.Is(err, pay.ErrChanged) || errors.Is(err, pay.ErrNotEnough) {
			l.fail("refund %s: %v", f.OutRefundNo, err)
			return false
		}
		if err == nil {
			l.books.mu.Lock()
			l.books.asked[f.OutRefundNo] = f.Fen
			l.books.mu.Unlock()
			return true
		}
		l.wait(2*time.Second, 20*time.Second)
	}
	l.fail("refund %s was never accepted", f.OutRefundNo)
	return false
}

// endRefund makes some refunds end as closed or abnormal.
func (l *life) endRefund(no string) {
	end := ""
	switch l.IntN(10) {
	case 0:
		end = "CLOSED"
	case 1, 2:
		end = "ABNORMAL"
	}
	if end == "" {
		return
	}
	l.wait(0, 4*time.Minute)
	if l.server.FinishRefund(l.mchID(), no, end) == nil && end == "ABNORMAL" && l.IntN(2) == 0 {
		l.wait(time.Second, time.Hour)
		_ = l.server.FinishRefund(l.mchID(), no, "SUCCESS")
	}
}
