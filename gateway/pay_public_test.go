package gateway_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const nativePath = "/v3/pay/transactions/native"

// A browser's order whose answer is lost may have been placed, so the same request repeats it, in any process and at any later time.
func TestAnOrderOfABrowserWhoseAnswerIsLostIsRepeated(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 1000 })
		advance(2 * time.Second)
		for _, no := range []string{"", "order-77"} {
			_, cookies, err := visit(t, d.second, "later", "", pay.Order{Trade: pay.Native, Description: "first", Fen: 1})
			require.NoError(t, err)
			before := len(d.wx.Orders(mchID))
			order := pay.Order{Trade: pay.Native, OutTradeNo: no, Description: "socks", Fen: 50}
			d.wx.AddFault(paytest.Fault{Path: nativePath, Reset: true, AfterWork: true, Times: 2}) // the call is repeated once
			_, _, err = visit(t, d.second, "later", "", order, cookies...)
			require.ErrorIs(t, err, pay.ErrUnknown)
			for _, g := range []*gateway.Gateway{d.first, d.second} {
				advance(7 * time.Second)
				_, _, err = visit(t, g, "later", "", order, cookies...)
				require.NoError(t, err, "%q", no)
			}
			require.Len(t, d.wx.Orders(mchID), before+1, "%q", no)
			d.wx.Heal()
		}
	})
}

// Both requests have the cookie, as an image and a script of one page have.
func TestABrowserThatAsksTwiceAtOnceGetsOneOrder(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 1000 })
		advance(2 * time.Second)
		_, cookies, err := visit(t, d.second, "later", "", pay.Order{Trade: pay.Native, Description: "first", Fen: 1})
		require.NoError(t, err)
		for fen := int64(2); fen <= 5; fen++ { // the last one takes the fifth slot
			before := len(d.wx.Orders(mchID))
			numbers := make([]string, 8)
			failed := make([]error, len(numbers))
			var all sync.WaitGroup
			for i := range numbers {
				all.Go(func() {
					var p pay.Prepaid
					p, _, failed[i] = visit(t, []*gateway.Gateway{d.first, d.second}[i%2], "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: fen}, cookies...)
					numbers[i] = p.OutTradeNo
				})
			}
			all.Wait()
			for i, no := range numbers {
				require.NoError(t, failed[i])
				require.Equal(t, numbers[0], no)
			}
			require.Len(t, d.wx.Orders(mchID), before+1)
		}
		_, _, err = visit(t, d.first, "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: 6}, cookies...)
		require.ErrorIs(t, err, pay.ErrBusy, "five orders are open")
	})
}

func TestARefusedOrderOfABrowserCanBeCorrected(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 1000 })
		advance(2 * time.Second)
		order := pay.Order{Trade: pay.Native, OutTradeNo: "order-77", Description: "socks", Fen: 50}
		d.wx.AddFault(paytest.Fault{Path: nativePath, Code: "PARAM_ERROR", Times: 1})
		_, cookies, err := visit(t, d.first, "later", "", order)
		require.Error(t, err)
		advance(3 * time.Second)
		p, _, err := visit(t, d.second, "later", "", order, cookies...)
		require.NoError(t, err)
		placed, err := d.wx.Order(mchID, p.OutTradeNo)
		require.NoError(t, err)
		require.WithinDuration(t, time.Now().Add(2*time.Hour), placed.Expires, 2*time.Second, "the refused one is forgotten, with its end")
	})
}

// An order that its address has no room for takes no place of its browser.
func TestAnOrderThatIsOneTooManyTakesNoPlace(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 1000 })
		advance(2 * time.Second)
		_, got := call(t, d.second, wideKey, "POST /app/later/pay/links", `{"fee":300}`)
		link := linkOf(t, got)
		_, cookies, err := visitFrom(t, d.first, "203.0.113.7:1", "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: 1})
		require.NoError(t, err)
		for range 199 {
			_, _, err := visitFrom(t, d.first, "203.0.113.7:1", "later", link, pay.Order{Trade: pay.Native})
			require.NoError(t, err)
		}
		for fen := range int64(6) {
			_, _, err = visitFrom(t, d.second, "203.0.113.7:1", "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: 10 + fen}, cookies...)
			require.ErrorIs(t, err, pay.ErrBusy)
			require.ErrorContains(t, err, "200 orders")
		}
		for fen := range int64(4) {
			_, _, err = visitFrom(t, d.second, "203.0.113.8:1", "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: 10 + fen}, cookies...)
			require.NoError(t, err)
		}
		_, _, err = visitFrom(t, d.second, "203.0.113.8:1", "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: 20}, cookies...)
		require.ErrorContains(t, err, "5 orders")
	}, withProxy)
}
