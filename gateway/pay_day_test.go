package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// It moves no more money, and was counted before midnight in Beijing.
func TestARepeatOfAnUnknownRefundAfterMidnightIsNotDenied(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		b.buy(t, "order-1")
		b.buy(t, "order-2")
		<-time.After(15*time.Hour + 59*time.Minute + 50*time.Second) // 23:59:50 in Beijing
		refund := func(order, no string) int {
			w := b.callWith(refundKey, "POST", "/app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"fen":60}`, order, no))
			return w.Code
		}
		b.pay.AddFault(paytest.Fault{Path: "/v3/refund/domestic/refunds", Code: "SYSTEM_ERROR"})
		require.Equal(t, http.StatusServiceUnavailable, refund("order-1", "r1"))
		b.pay.Heal()
		<-time.After(11 * time.Second)
		require.Equal(t, http.StatusOK, refund("order-2", "r2"), "another day")
		require.NotEqual(t, http.StatusForbidden, refund("order-1", "r1"), "it was counted yesterday, and is only asked about")
	}, func(o *gateway.Options) {
		o.Config.Keys = append(o.Config.Keys, gateway.Key{Name: "refund", Key: refundKey, Apps: []string{"shop"}, Scopes: []string{"refund"}, DayFen: 100})
	})
}

// Many calls at once, at two gateways with one store, around midnight in Beijing.
func TestTheDayOfTwoProcesses(t *testing.T) {
	const orders = 40
	var second *gateway.Gateway
	inBubble(t, false, func(t *testing.T, b *bubble) {
		for i := range orders {
			b.buy(t, fmt.Sprintf("order-%d", i))
		}
		time.Sleep(time.Until(time.Date(2000, 1, 1, 23, 59, 59, 900_000_000, time.FixedZone("", 8*3600))))
		var all sync.WaitGroup
		for i := range orders {
			for _, g := range []*gateway.Gateway{b.gateway, second} {
				all.Go(func() {
					time.Sleep(time.Duration(i) * 5 * time.Millisecond)
					r := httptest.NewRequest("POST", "/app/shop/pay/refunds", strings.NewReader(fmt.Sprintf(`{"out_trade_no":"order-%d","out_refund_no":"r%d","fen":10}`, i, i)))
					r.Header.Set("Authorization", "Bearer "+refundKey)
					w := httptest.NewRecorder()
					g.Private().ServeHTTP(w, r)
				})
			}
		}
		all.Wait()
		require.LessOrEqual(t, b.pay.Calls("/v3/refund/domestic/refunds")*10, 200)
	}, func(o *gateway.Options) {
		o.Records = slowStore{o.Records}
		o.Config.Keys = append(o.Config.Keys, gateway.Key{Name: "refund", Key: refundKey, Apps: []string{"shop"}, Scopes: []string{"refund"}, DayFen: 100})
		g, err := gateway.New(*o)
		if err != nil {
			panic(err)
		}
		second = g
	})
}
