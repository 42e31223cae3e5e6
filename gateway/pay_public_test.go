package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
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

// A stranger without cookies is another browser for each request, and must not fill the store once the address has no room.
func TestRefusedOrdersOfNewBrowsersLeaveNothingInTheStore(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 1000 })
		advance(2 * time.Second)
		order := pay.Order{Trade: pay.Native, Description: "socks", Fen: 1}
		_, _, err := visitFrom(t, d.first, "203.0.113.7:1", "later", "", order)
		require.NoError(t, err)
		var full string // the list of the address
		for key, err := range d.shared.Keys(t.Context(), "pay/public/later/address/") {
			require.NoError(t, err)
			full = key
		}
		var list []map[string]any
		for n := range 200 {
			list = append(list, map[string]any{"no": fmt.Sprint("order-", n), "until": time.Now().Add(2 * time.Hour).Unix()})
		}
		require.NoError(t, d.shared.Set(t.Context(), full, must(json.Marshal(list)), time.Hour))
		count := func() (n int) {
			for _, err := range d.shared.Keys(t.Context(), "pay/public/") {
				require.NoError(t, err)
				n++
			}
			return n
		}
		before := count()
		for range 10 {
			_, _, err := visitFrom(t, d.second, "203.0.113.7:1", "later", "", order)
			require.ErrorIs(t, err, pay.ErrBusy)
		}
		require.Equal(t, before, count())
	}, withProxy)
}

// cutStore is away from the moment at which a stranger's request has stored an order, as for a request that the stranger cuts off there.
type cutStore struct {
	store.Store
	cut, away atomic.Bool
}

func (s *cutStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if s.away.Load() {
		return nil, false, context.Canceled
	}
	return s.Store.Get(ctx, key)
}

func (s *cutStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if s.away.Load() {
		return false, context.Canceled
	}
	if s.cut.Load() && strings.Contains(key, "/made/") {
		s.away.Store(true)
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

func TestOrdersThatAreCutOffBeforeTheyCountDoNotStay(t *testing.T) {
	s := new(cutStore)
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 1000 })
		advance(2 * time.Second)
		order := pay.Order{Trade: pay.Native, Description: "socks", Fen: 1}
		s.cut.Store(true)
		for range 10 {
			_, _, err := visitFrom(t, d.second, "203.0.113.7:1", "later", "", order)
			require.ErrorIs(t, err, context.Canceled)
			s.away.Store(false)
		}
		s.cut.Store(false)
		advance(2 * time.Minute)
		for key, err := range d.shared.Keys(t.Context(), "pay/public/") {
			require.NoError(t, err)
			require.Fail(t, "stays", key)
		}
	}, withProxy, func(o *gateway.Options) { s.Store = o.Store; o.Store = s })
}

// A stranger who knows which number the merchant's program takes next must not have it.
func TestAStrangerTakesNoNumberOfTheMerchant(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 1000 })
		advance(2 * time.Second)
		_, got := call(t, d.second, wideKey, "POST /app/later/pay/links", `{"fee":100,"name":"socks"}`)
		link := linkOf(t, got)
		for i, given := range []string{"", link} {
			no := []string{"order-77", "order-78"}[i]
			order := pay.Order{Trade: pay.Native, OutTradeNo: no, Description: "socks", Fen: 100}
			p, _, err := visit(t, d.second, "later", given, order)
			require.NoError(t, err)
			require.NotEqual(t, no, p.OutTradeNo)
			same, _, err := visit(t, d.first, "later", given, order)
			require.NoError(t, err)
			require.Equal(t, p.OutTradeNo, same.OutTradeNo, "the number names the order again, for all")
			order.Fen, order.Attach = 101, "mine"
			other, _, err := visit(t, d.first, "later", given, order)
			require.NoError(t, err)
			require.NotEqual(t, p.OutTradeNo, other.OutTradeNo, "nobody keeps others from a number")
			_, err = d.wx.Order(mchID, no)
			require.Error(t, err)
			status, placed := call(t, d.first, wideKey, "POST /app/later/pay/orders", orderOf(no))
			require.Equal(t, http.StatusOK, status, placed)
			_, _, err = visit(t, d.second, "later", given, pay.Order{Trade: pay.Native, OutTradeNo: "a", Description: "socks", Fen: 100})
			require.ErrorContains(t, err, "OutTradeNo")
		}
	}, withProxy)
}

func TestALinkWithANumberIsOneOrder(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 1000 })
		advance(2 * time.Second)
		link := func(more string) string {
			status, got := call(t, d.second, wideKey, "POST /app/later/pay/links", `{"fee":100,"name":"socks"`+more+`}`)
			require.Equal(t, http.StatusOK, status, got)
			return linkOf(t, got)
		}
		number := `,"out_trade_no":"order-77","attach":"of the merchant","expires_at":"` + time.Now().Add(4*time.Hour).Format(time.RFC3339) + `"`
		asked := pay.Order{Trade: pay.Native, OutTradeNo: "mine-1", Attach: "mine"}
		for range 2 { // each page has a link of its own, and each request comes from another browser and another address
			for i, g := range []*gateway.Gateway{d.first, d.second} {
				asked.ExpiresAt = time.Now().Add(2 * time.Minute) // nobody ends it for others
				p, _, err := visitFrom(t, g, []string{"203.0.113.7:1", "203.0.113.8:1"}[i], "later", link(number), asked)
				require.NoError(t, err)
				require.Equal(t, "order-77", p.OutTradeNo)
			}
			advance(100 * time.Minute)
		}
		require.Len(t, d.wx.Orders(mchID), 1)
		// A stranger cannot have another order in its place.
		p, _, err := visit(t, d.first, "later", "", pay.Order{Trade: pay.Native, OutTradeNo: "order-78", Description: "socks", Fen: 100})
		require.NoError(t, err)
		same, _, err := visit(t, d.first, "later", link(`,"out_trade_no":"order-78"`), asked)
		require.NoError(t, err)
		require.Equal(t, "order-78", same.OutTradeNo)
		require.NotEqual(t, "order-78", p.OutTradeNo)

		_, _, err = visit(t, d.first, "later", link(number), asked) // WeChat's code works for two hours
		require.NoError(t, err)
		_, err = d.wx.Pay(mchID, "order-77", "o1")
		require.NoError(t, err)
		advance(time.Minute)
		require.Equal(t, "of the merchant", d.reports()[0]["attach"])
		_, _, err = visit(t, d.first, "later", link(number), asked)
		require.ErrorIs(t, err, pay.ErrPaid)
		advance(3 * time.Hour)
		_, _, err = visit(t, d.first, "later", link(`,"out_trade_no":"order-78"`), asked)
		require.ErrorIs(t, err, pay.ErrClosed, "the number is used up")
		_, _, err = visit(t, d.first, "later", link(`,"out_trade_no":"order-77"`), asked)
		require.ErrorIs(t, err, pay.ErrPaid, "nobody pays twice, ever")
	}, withProxy)
}

func TestAnAttachOfALinkCountsAlone(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		advance(2 * time.Second)
		for given, want := range map[string]string{``: "mine", `,"attach":""`: "", `,"attach":"yours"`: "yours"} {
			_, got := call(t, d.second, wideKey, "POST /app/later/pay/links", `{"fee":100,"name":"socks"`+given+`}`)
			p, _, err := visit(t, d.second, "later", linkOf(t, got), pay.Order{Trade: pay.Native, Attach: "mine"})
			require.NoError(t, err)
			before := len(d.reports())
			_, err = d.wx.Pay(mchID, p.OutTradeNo, "o1")
			require.NoError(t, err)
			advance(time.Minute)
			reports := d.reports()
			require.Len(t, reports, before+1)
			attach, _ := reports[before]["attach"].(string)
			require.Equal(t, want, attach, given)
		}
	}, withProxy)
}
