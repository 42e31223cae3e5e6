package pay_test

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

var (
	dayOrders = flag.Int("day.orders", 0, "orders of TestADay, of each version; default 300 of APIv3 in the full form, and 60 of the others")
	daySeed   = flag.Uint64("day.seed", 1, "seed of TestADay")
)

// TestADay runs a day of a shop with two processes and two merchants, with faults of every kind. A seed always produces the same
// events, but not the same order of events at one instant.
//
//	go test ./pay -run TestADay -day.orders 10000 -day.seed 7 -timeout 60m
func TestADay(t *testing.T) {
	orders := 60
	if testform.Full() {
		orders = 300
	}
	testDay(t, onV3, orders)
}

func TestADayOnV2(t *testing.T) { testDay(t, onV2, 60) }

// TestADayOfAMove is a day on which the merchants, which use APIv2, move to APIv3 at noon.
func TestADayOfAMove(t *testing.T) { testDay(t, moving, 60) }

func testDay(t *testing.T, v version, orders int) {
	rsaKeys()
	if *dayOrders > 0 {
		orders = *dayOrders
	}
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(16 * time.Hour) // a bubble starts at 8:00 in Beijing
		d := newDay(t, *daySeed, v, orders)
		var all sync.WaitGroup
		for _, happens := range []func(){d.changeKeys, d.move, d.breakStore, d.disturb, d.forge} {
			all.Go(happens)
		}
		for n := range d.orders {
			all.Go(func() { d.live(n) })
		}
		if v == moving {
			all.Go(d.noteNoon)
			for n := range 4 * len(noonStates) {
				all.Go(func() { d.liveThroughNoon(n) })
			}
		}
		all.Wait()
		d.at(d.opens + d.opens*4/5)
		d.stop()
		d.at(58*time.Hour + 5*time.Minute) // after the last notifications, when the bill of the next day is ready
		d.server.Close()
		d.verify()
	})
	t.Logf("%d orders with seed %d took %v", orders, *daySeed, time.Since(start).Round(time.Millisecond))
}

// verify compares the books of the shop with WeChat.
func (d *day) verify() {
	t, b := d.t, d.books
	require.Empty(t, d.wrong, "seed %d", *daySeed)
	require.Empty(t, b.wrong, "seed %d", *daySeed)

	paid := make(map[string]int64)
	open, late, unknown := 0, 0, 0
	for _, a := range d.accounts {
		for _, o := range d.server.Orders(a.shown.MchID) {
			if o.TransactionID == "" {
				open++
				if time.Since(o.Expires) > 2*time.Hour && d.plans[o.OutTradeNo] != stranger {
					require.Equal(t, "CLOSED", o.State, "order %s has expired", o.OutTradeNo)
				}
				continue
			}
			paid[o.TransactionID] = o.Total
			got, ok := b.settled[o.TransactionID]
			if !ok {
				t.Errorf("order %s is paid, and not settled: %+v", o.OutTradeNo, o)
				continue
			}
			require.Equal(t, o.OutTradeNo, got.OutTradeNo)
			require.Equal(t, d.plans[o.OutTradeNo] != stranger, got.Known, o.OutTradeNo)
			if d.plans[o.OutTradeNo] == paidAfterClose {
				require.Equal(t, "closed", got.Late, o.OutTradeNo)
			}
			if got.Late != "" {
				late++
			}
			if !got.Known {
				unknown++
			}
		}
	}
	for id, got := range b.settled {
		require.Contains(t, paid, id, "order %s is settled, and not paid", got.OutTradeNo)
	}
	d.verifyBills(paid)
	d.verifyDeliveries()
	d.verifyVersions()
	list, err := d.cashier(0).Refused(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
	t.Logf("%d paid, of which %d late and %d not placed here; %d not paid; %d refunds; %d calls of hooks, %d of them repeated in an outage; %d attempts to notify; %d operations of the store",
		len(paid), late, unknown, open, len(b.refunds), b.calls, b.repeated, len(d.server.Deliveries()), d.store.ops)
	require.NotEmpty(t, paid)
	require.NotEmpty(t, b.refunds)
}

// verifyBills compares the books with the bills of both days.
func (d *day) verifyBills(paid map[string]int64) {
	t, b := d.t, d.books
	billed, back := make(map[string]int64), make(map[string]int64)
	for _, a := range d.accounts {
		for day := range 2 {
			var text strings.Builder
			err := a.merchants(d)[0].Bill(t.Context(), "ALL", d.begun.AddDate(0, 0, day), &text)
			if day == 1 && err != nil {
				require.ErrorIs(t, err, pay.ErrNotFound)
				continue
			}
			require.NoError(t, err)
			for _, row := range rowsOf(t, text.String()) {
				if row["商户退款单号"] == "0" {
					billed[row["微信订单号"]] += fen(t, row["订单金额"])
					continue
				}
				no := row["商户退款单号"]
				back[no] = fen(t, row["退款金额"])
				require.Equal(t, b.asked[no], back[no], no)
				require.Contains(t, []string{"SUCCESS", "CLOSED", "ABNORMAL"}, row["退款状态"], no)
				require.Equal(t, row["退款状态"], string(b.refunds[no].State), "refund %s", no)
			}
		}
	}
	require.Equal(t, paid, billed)
	for no := range b.asked {
		if _, ok := back[no]; !ok {
			t.Errorf("refund %s was accepted, and never reached WeChat: %s", no, d.describeRefund(no))
		}
	}
	require.Len(t, b.refunds, len(back), "OnRefund was called for each final refund")
}

// describeRefund returns the records of a refund and of its order.
func (d *day) describeRefund(no string) string {
	order, _, _ := strings.Cut(no, "-r")
	text := fmt.Sprintf("order of the plan %q, placed with %v, asked for with %v; ", d.plans[order], d.placed[order], d.refunded[no])
	for _, a := range d.accounts {
		for _, key := range []string{"/refund/" + no, "/order/" + order} {
			if raw, ok, _ := d.store.Store.Get(d.t.Context(), "pay/"+a.shown.MchID+key); ok {
				text += a.shown.MchID + key + ": " + string(raw) + "; "
			}
		}
	}
	return text
}

// rowsOf returns the rows of a bill as maps by column name.
func rowsOf(t *testing.T, bill string) (rows []map[string]string) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(bill, "\ufeff")))
	r.FieldsPerRecord = -1
	all, err := r.ReadAll()
	require.NoError(t, err)
	for _, values := range all[1:] {
		if len(values) != len(all[0]) { // the rows of sums
			break
		}
		row := make(map[string]string)
		for i, v := range values {
			row[all[0][i]] = strings.TrimPrefix(v, "`")
		}
		rows = append(rows, row)
	}
	return rows
}

func fen(t *testing.T, yuan string) (n int64) {
	for _, c := range strings.Replace(yuan, ".", "", 1) {
		require.True(t, c >= '0' && c <= '9', yuan)
		n = n*10 + int64(c-'0')
	}
	return n
}

// verifyDeliveries checks that each valid notification was acknowledged.
func (d *day) verifyDeliveries() {
	t := d.t
	acknowledged, statuses := make(map[string]bool), make(map[int]int)
	for _, a := range d.server.Deliveries() {
		if a.URL != notifyAddress {
			continue
		}
		acknowledged[a.ID] = acknowledged[a.ID] || isTaken(a.Status)
		statuses[a.Status]++
		if a.Status >= 400 && a.Status < 500 {
			require.False(t, d.isTrue(a), "%+v", a)
		}
		if isTaken(a.Status) {
			require.True(t, d.isTrue(a), "%+v", a)
		}
	}
	for id, ok := range acknowledged {
		require.True(t, ok, "notification %s was never acknowledged", id)
	}
	t.Logf("statuses of the answers to WeChat: %v", statuses)
}

func isTaken(status int) bool { return status == 204 || status == 200 }

// isTrue reports whether WeChat signed an attempt, over APIv3 within 5 minutes.
func (d *day) isTrue(a paytest.Delivery) bool {
	if isXML(a.Body) {
		return d.isTrueV2(a.Body)
	}
	return verifies(d.theirKeys[a.Header.Get("Wechatpay-Serial")], a)
}

// run runs a Cashier until stop is called.
func run(c *pay.Cashier) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
