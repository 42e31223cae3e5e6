package pay_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// noonState is the state of an order when its merchant moves to APIv3.
type noonState string

const (
	noonUnpaid noonState = "unpaid"
	noonPaid   noonState = "paid"
	noonHalf   noonState = "half refunded"
)

var noonStates = []noonState{noonUnpaid, noonPaid, noonHalf}

func noonStateOf(o paytest.Order) noonState {
	switch {
	case o.TransactionID == "":
		return noonUnpaid
	case o.Refunded == 0:
		return noonPaid
	case o.Refunded < o.Total:
		return noonHalf
	}
	return "refunded"
}

func noonNumber(n int) string { return fmt.Sprintf("noon-%d", n) }

// liveThroughNoon runs an order that is placed in the morning and has one of noonStates at noon. It is paid, or refunded by the
// rest, in the afternoon.
func (d *day) liveThroughNoon(n int) {
	l := &life{day: d, Rand: rand.New(rand.NewPCG(*daySeed, 1<<62+uint64(n))), home: n % 2}
	l.order = pay.Order{Trade: pay.Native, OutTradeNo: noonNumber(n), Fen: 4 + l.Int64N(100_000), Description: "socks", NotifyURL: notifyAddress}
	d.mu.Lock()
	d.plans[l.order.OutTradeNo] = paidSoon
	d.mu.Unlock()
	state, half := noonStates[n/2%len(noonStates)], l.order.Fen/2
	refund := func(part int, fen int64) {
		l.requestRefund(pay.Refund{OutTradeNo: l.order.OutTradeNo, OutRefundNo: fmt.Sprintf("%s-r%d", l.order.OutTradeNo, part), Fen: fen})
	}
	pays := func() {
		if !l.pay(false) {
			l.fail("order %s could not be paid", l.order.OutTradeNo)
		}
	}
	l.at(moveAt - 3*time.Hour + l.seconds(0, time.Hour))
	if !l.place() {
		return
	}
	if state != noonUnpaid {
		l.wait(time.Minute, 20*time.Minute)
		pays()
	}
	if state == noonHalf {
		l.wait(time.Minute, 20*time.Minute)
		refund(0, half)
	}
	l.at(moveAt + 15*time.Minute + l.seconds(0, time.Hour))
	switch state {
	case noonUnpaid: // its QR code has expired, so it is placed again
		if l.place() {
			pays()
		}
	case noonPaid:
		refund(0, l.order.Fen)
	case noonHalf:
		refund(1, l.order.Fen-half)
	}
}

// noteNoon stores all orders when the merchants move.
func (d *day) noteNoon() {
	d.at(moveAt)
	all := make(map[string]paytest.Order)
	for _, a := range d.accounts {
		for _, o := range d.server.Orders(a.shown.MchID) {
			all[o.OutTradeNo] = o
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.noon = all
}

// verifyNoon checks the orders that the merchants had when they moved. form is the version that placed each order.
func (d *day) verifyNoon(form map[string]version) {
	t, counts := d.t, make(map[noonState]int)
	for _, o := range d.noon {
		counts[noonStateOf(o)]++
	}
	inV2 := make(map[string]bool) // the orders whose payment was notified in the form of APIv2 after the move
	for _, a := range d.server.Deliveries() {
		if fields := readV2(a.Body); isXML(a.Body) && a.At.After(d.begun.Add(moveAt)) && fields["transaction_id"] != "" {
			inV2[fields["out_trade_no"]] = true
		}
	}
	for n := range 4 * len(noonStates) {
		no, state := noonNumber(n), noonStates[n/2%len(noonStates)]
		require.Equal(t, state, noonStateOf(d.noon[no]), no)
		require.Equal(t, onV2, form[no], no)
		now, err := d.server.Order(d.noon[no].MchID, no)
		require.NoError(t, err)
		require.NotEmpty(t, now.TransactionID, no)
		if state == noonUnpaid {
			require.True(t, now.PaidAt.After(d.begun.Add(moveAt)), no)
			require.True(t, inV2[no], "order %s was not notified in the form of APIv2", no)
			continue
		}
		require.Equal(t, now.Total, now.Refunded, no)
		last := no + "-r0"
		if state == noonHalf {
			last = no + "-r1"
		}
		require.Equal(t, map[version]bool{onV2: true}, d.refunded[last], "refund %s was asked for after the move", last)
		require.Equal(t, pay.Success, d.books.refunds[last].State, last)
	}
	t.Logf("orders at the time of the move: %v", counts)
}
