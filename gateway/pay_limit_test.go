package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestAKeyHasLimits(t *testing.T) {
	d := openTill(t, nil)
	for _, no := range []string{"order-1", "order-2", "order-3"} {
		d.place(t, payKey, "shop", no)
		_, err := d.pay.Pay(mchID, no, "o1")
		require.NoError(t, err)
	}
	refund := func(order, no string, fen int) (int, map[string]any) {
		return d.call(t, refundKey, "POST /app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"fen":%d}`, order, no, fen))
	}
	status, got := refund("order-1", "r1", 81)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, "denied", got["cause"])
	status, got = refund("order-1", "r1", 60)
	require.Equal(t, http.StatusOK, status, got)
	status, _ = refund("order-1", "r1", 60)
	require.Equal(t, http.StatusOK, status, "the same refund counts once")
	status, got = refund("order-2", "r2", 41)
	require.Equal(t, http.StatusForbidden, status, got)
	status, got = refund("order-9", "r9", 40)
	require.Equal(t, http.StatusNotFound, status, got)
	status, got = refund("order-3", "r3", 40)
	require.Equal(t, http.StatusOK, status, "what was not done does not count: %v", got)
	status, _ = refund("order-2", "r4", 1)
	require.Equal(t, http.StatusForbidden, status)
}

// slowStore is a store far away: each call takes a while, so that concurrent calls overlap.
type slowStore struct{ store.Store }

func (s slowStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	time.Sleep(10 * time.Millisecond)
	return s.Store.Get(ctx, key)
}

func (s slowStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	time.Sleep(10 * time.Millisecond)
	return s.Store.Swap(ctx, key, old, new, ttl)
}

func (s slowStore) Delete(ctx context.Context, key string) error {
	time.Sleep(10 * time.Millisecond)
	return s.Store.Delete(ctx, key)
}

func TestNoCopyOfACallBeyondTheDayIsSent(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		b.buy(t, "order-1")
		<-time.After(time.Second)
		refund := func(no string, fen int) int {
			return b.callWith(refundKey, "POST", "/app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":"order-1","out_refund_no":%q,"fen":%d}`, no, fen)).Code
		}
		require.Equal(t, http.StatusOK, refund("r1", 60))
		before := b.pay.Calls("/v3/refund/domestic/refunds")
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				assert.Contains(t, []int{http.StatusForbidden, http.StatusTooManyRequests}, refund("r2", 30))
			})
		}
		all.Wait()
		<-time.After(5 * time.Minute) // nor by the server itself, later
		require.Equal(t, before, b.pay.Calls("/v3/refund/domestic/refunds"))
		require.Equal(t, http.StatusNotFound, b.callWith(refundKey, "GET", "/app/shop/pay/refunds/r2", "").Code)
	}, func(o *gateway.Options) {
		o.Records = slowStore{o.Records}
		o.Config.Keys = append(o.Config.Keys, gateway.Key{Name: "refund", Key: refundKey, Apps: []string{"shop"}, Scopes: []string{"refund"}, DayFen: 80})
	})
}

func TestAReversalCountsForTheDay(t *testing.T) {
	d := openTill(t, nil)
	placeByCode := func(no string, fen int) {
		status, got := d.call(t, payKey, "POST /app/shop/pay/orders", fmt.Sprintf(`{"trade":"code","out_trade_no":%q,"fen":%d,"description":"socks","auth_code":%q,"extra":{"scene_info":{"store_info":{"id":"1"}}}}`, no, fen, d.pay.PayCode("o1", false)))
		require.Equal(t, http.StatusOK, status, got)
		require.Equal(t, true, got["transaction"].(map[string]any)["known"], "it is paid at once")
	}
	placeByCode("order-1", 70)
	placeByCode("order-2", 31)
	placeByCode("order-3", 81)
	reverse := func(no string) (int, map[string]any) {
		return d.call(t, refundKey, "POST /app/shop/pay/orders/"+no+"/reverse", "")
	}
	status, got := reverse("order-3")
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, got["errmsg"], "max_fen")
	status, got = reverse("order-1")
	require.Equal(t, http.StatusOK, status, got)
	status, got = reverse("order-2")
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, got["errmsg"], "after 70 fen today")
	order, err := d.pay.Order(mchID, "order-2")
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", order.State)

	// One that was placed elsewhere, too.
	status, got = d.call(t, apiKey, "POST /app/shop/pay/api/v3/pay/transactions/codepay", fmt.Sprintf(
		`{"appid":%q,"mchid":%q,"description":"socks","out_trade_no":"order-9","payer":{"auth_code":%q},"amount":{"total":40},"scene_info":{"store_info":{"id":"1"}}}`, shopID, mchID, d.pay.PayCode("o1", false)))
	require.Equal(t, http.StatusOK, status, got)
	status, got = reverse("order-9")
	require.Equal(t, http.StatusForbidden, status, got)
}

func TestASumOfADayThatIsNegativeIsRefused(t *testing.T) {
	d := openTill(t, nil)
	d.place(t, payKey, "shop", "order-1")
	_, err := d.pay.Pay(mchID, "order-1", "o1")
	require.NoError(t, err)
	refund := func(no string) int {
		status, _ := d.call(t, refundKey, "POST /app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":"order-1","out_refund_no":%q,"fen":30}`, no))
		return status
	}
	require.Equal(t, http.StatusOK, refund("r1"))
	var sums []string
	for key, err := range d.records.Keys(t.Context(), "pay/day/") {
		require.NoError(t, err)
		if strings.Count(key, "/") == 3 {
			sums = append(sums, key)
		}
	}
	require.Len(t, sums, 1)
	for _, value := range []string{"-1", "-9223372036854775808", "9223372036854775807", "9223372036854775808", "", "1e3"} {
		require.NoError(t, d.records.Set(t.Context(), sums[0], []byte(value), time.Hour))
		require.GreaterOrEqual(t, refund("r2"), 400, value)
	}
	require.Equal(t, 1, d.pay.Calls("/v3/refund/domestic/refunds"))
}

func TestACallThatWeChatRefusesDoesNotCount(t *testing.T) {
	d := openTill(t, nil)
	refund := func(no string, fen int) (int, map[string]any) {
		d.place(t, payKey, "shop", "order-"+no)
		_, err := d.pay.Pay(mchID, "order-"+no, "o1")
		require.NoError(t, err)
		return d.call(t, refundKey, "POST /app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"fen":%d}`, "order-"+no, no, fen))
	}
	for i, fault := range []paytest.Fault{
		{Code: "SOMETHING_NEW", Status: http.StatusBadRequest}, {Code: "NOT_ENOUGH"}, {Code: "PARAM_ERROR"}, {Code: "OUT_TRADE_NO_USED", Status: http.StatusForbidden}, {Code: "INVALID_REQUEST", Status: http.StatusBadRequest},
	} {
		fault.Path = "/v3/refund/domestic/refunds"
		d.pay.AddFault(fault)
		status, got := refund(fmt.Sprint("refused", i), 80)
		require.GreaterOrEqual(t, status, 400, got)
		d.pay.Heal()
	}
	d.pay.AddFault(paytest.Fault{Path: "/v3/refund/domestic/refunds", Code: "SYSTEM_ERROR"})
	status, got := refund("unknown", 70)
	require.Equal(t, http.StatusServiceUnavailable, status, got)
	d.pay.Heal()
	for _, no := range []string{"again-1", "again-2"} {
		status, got = d.call(t, refundKey, "POST /app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":"order-unknown","out_refund_no":%q,"fen":70}`, no))
		require.Equal(t, http.StatusForbidden, status, got)
	}
	before := d.pay.Calls("/v3/refund/domestic/refunds")
	d.place(t, payKey, "shop", "order-small")
	_, err := d.pay.Pay(mchID, "order-small", "o1")
	require.NoError(t, err)
	small := func(no string) (int, map[string]any) {
		return d.call(t, refundKey, "POST /app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":"order-small","out_refund_no":%q,"fen":10}`, no))
	}
	d.pay.AddFault(paytest.Fault{Path: "/v3/refund/domestic/refunds", Code: "SYSTEM_ERROR"})
	status, got = small("small-1")
	require.Equal(t, http.StatusServiceUnavailable, status, got)
	sent := d.pay.Calls("/v3/refund/domestic/refunds")
	require.Greater(t, sent, before)
	for _, no := range []string{"small-2", "small-3", "small-4"} { // refused before they are sent, as the outcome of the first is unknown
		status, got = small(no)
		require.Equal(t, http.StatusServiceUnavailable, status, got)
		require.Contains(t, got["errmsg"], "small-1")
	}
	require.Equal(t, sent, d.pay.Calls("/v3/refund/domestic/refunds"))
	d.pay.Heal()
	status, got = refund("more", 31)
	require.Equal(t, http.StatusForbidden, status, got)
	require.Contains(t, got["errmsg"], "after 80 fen today", "the unknown one counts, the refused ones do not")
}

func TestARefundThatIsRefusedHereDoesNotCountWhileWeChatIsAway(t *testing.T) {
	d := openTill(t, nil)
	for _, no := range []string{"order-1", "order-2", "order-3"} {
		d.place(t, payKey, "shop", no)
		_, err := d.pay.Pay(mchID, no, "o1")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(d.backend.got()) == 3 }, time.Minute, 10*time.Millisecond)
	refund := func(order, no string, fen int) (int, map[string]any) {
		return d.call(t, refundKey, "POST /app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"fen":%d}`, order, no, fen))
	}
	d.pay.AddFault(paytest.Fault{Code: "SYSTEM_ERROR"}) // everything
	status, got := refund("order-1", "r1", 30)
	require.Equal(t, http.StatusServiceUnavailable, status, got)
	sent := d.pay.Calls("/v3/refund/domestic/refunds")
	for _, no := range []string{"r2", "r3", "r4"} {
		status, got = refund("order-1", no, 30) // the outcome of r1 is unknown
		require.Equal(t, http.StatusServiceUnavailable, status, got)
		require.Contains(t, got["errmsg"], "r1")
		status, got = refund("order-elsewhere", "elsewhere-"+no, 30) // it cannot be asked about
		require.Equal(t, http.StatusServiceUnavailable, status, got)
	}
	require.Equal(t, sent, d.pay.Calls("/v3/refund/domestic/refunds"))
	d.pay.Heal()
	status, got = refund("order-2", "r5", 70)
	require.Equal(t, http.StatusOK, status, "30 of 100 are in doubt: %v", got)
	status, got = refund("order-3", "r6", 1)
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, got["errmsg"], "after 100 fen today")
}
