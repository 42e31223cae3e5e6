package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// placeElsewhere places an order of the shop's appid without a record, as another system of the merchant does.
func placeElsewhere(t *testing.T, d *till, no string, fen int) {
	status, got := d.call(t, apiKey, "POST /app/shop/pay/api/v3/pay/transactions/native", fmt.Sprintf(
		`{"appid":%q,"mchid":%q,"description":"socks","out_trade_no":%q,"notify_url":"https://elsewhere.example.com/paid","amount":{"total":%d}}`, shopID, mchID, no, fen))
	require.Equal(t, http.StatusOK, status, got)
}

// TestAttackAnAppTakesAPaymentOfAnotherByPlantingItsNumber: a paid order of the appid of shop, placed elsewhere, is that of shop
// (TestACallerSeesTheOrdersOfItsOwnAppsAlone). The key of the other app plants an order with its number and amount.
func TestAttackAnAppTakesAPaymentOfAnotherByPlantingItsNumber(t *testing.T) {
	d := openTill(t, func(d *till) {
		set(&d.config, "other", func(a *gateway.App) { a.Pay.NotifyTo = d.backend.URL + "/paid" })
	})
	placeElsewhere(t, d, "order-9", 100)
	_, err := d.pay.Pay(mchID, "order-9", "o1")
	require.NoError(t, err)
	status, got := d.call(t, otherKey, "GET /app/other/pay/orders/order-9", "")
	require.Equal(t, http.StatusNotFound, status, got)
	status, got = d.call(t, otherKey, "POST /app/other/pay/orders", orderOf("order-9"))
	t.Logf("plant: %d %v", status, got)
	status, got = d.call(t, otherKey, "GET /app/other/pay/orders/order-9", "")
	t.Logf("GET: %d %v", status, got)
	refunded, got2 := d.call(t, otherKey, "POST /app/other/pay/refunds", `{"out_trade_no":"order-9","out_refund_no":"r1","fen":100}`)
	t.Logf("refund: %d %v", refunded, got2)
	time.Sleep(time.Second)
	t.Logf("reports: %v", d.backend.got())
	require.Zero(t, d.pay.Calls("/v3/refund/domestic/refunds"), "another app's money was returned")
	require.Empty(t, d.backend.got(), "another app's payment was reported as this app's")
	require.Equal(t, http.StatusNotFound, status)
}

// TestAttackAReversalOfAPlantedOrderPassesTheLimits: the order of 10 000 fen, placed elsewhere, is reversed by a key with max_fen 80.
func TestAttackAReversalOfAPlantedOrderPassesTheLimits(t *testing.T) {
	d := openTill(t, nil)
	status, got := d.call(t, apiKey, "POST /app/shop/pay/api/v3/pay/transactions/codepay", fmt.Sprintf(
		`{"appid":%q,"mchid":%q,"description":"socks","out_trade_no":"order-9","payer":{"auth_code":%q},"amount":{"total":10000},"scene_info":{"store_info":{"id":"1"}}}`, shopID, mchID, d.pay.PayCode("o1", false)))
	require.Equal(t, http.StatusOK, status, got)
	status, got = d.call(t, refundKey, "POST /app/shop/pay/orders/order-9/reverse", "")
	require.Equal(t, http.StatusForbidden, status, got)
	status, got = d.call(t, payKey, "POST /app/shop/pay/orders", fmt.Sprintf(
		`{"trade":"code","out_trade_no":"order-9","fen":1,"description":"socks","auth_code":%q,"extra":{"scene_info":{"store_info":{"id":"1"}}}}`, d.pay.PayCode("o1", false)))
	t.Logf("plant: %d %v", status, got)
	status, got = d.call(t, refundKey, "POST /app/shop/pay/orders/order-9/reverse", "")
	t.Logf("reverse: %d %v", status, got)
	order, err := d.pay.Order(mchID, "order-9")
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", order.State, "10000 fen were returned by a key with max_fen 80")
}

// TestAttackAnAppClosesAnOrderOfAnotherByPlantingItsNumber: as above, with an order that is not paid yet, and another amount.
func TestAttackAnAppClosesAnOrderOfAnotherByPlantingItsNumber(t *testing.T) {
	d := openTill(t, nil)
	placeElsewhere(t, d, "order-9", 70)
	status, got := d.call(t, otherKey, "POST /app/other/pay/orders/order-9/close", "")
	require.Equal(t, http.StatusNotFound, status, got)
	status, got = d.call(t, otherKey, "POST /app/other/pay/orders", orderOf("order-9"))
	t.Logf("plant: %d %v", status, got)
	status, got = d.call(t, otherKey, "POST /app/other/pay/orders/order-9/close", "")
	t.Logf("close: %d %v", status, got)
	order, err := d.pay.Order(mchID, "order-9")
	require.NoError(t, err)
	require.Equal(t, "NOTPAY", order.State, "another app's order was closed")
}

// pickyBackend is a backend that always refuses the reports of one order.
type pickyBackend struct {
	mu   sync.Mutex
	bad  string
	took map[string]time.Time
}

func (p *pickyBackend) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	w := httptest.NewRecorder()
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Contains(body, []byte(p.bad)) {
		w.WriteHeader(http.StatusInternalServerError)
	} else {
		for _, part := range strings.Split(string(body), `"`) {
			if strings.HasPrefix(part, "order-") {
				p.took[part] = time.Now()
			}
		}
	}
	return w.Result(), nil
}

// TestAttackOneReportThatIsAlwaysRefusedDelaysTheNextPayment: the backend fails on the report of order-bad alone, and answers all
// others at once.
func TestAttackOneReportThatIsAlwaysRefusedDelaysTheNextPayment(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		p := &pickyBackend{bad: "order-bad", took: map[string]time.Time{}}
		gateway.SetBackends(b.gateway, &http.Client{Transport: p})
		b.buy(t, "order-bad")
		var worst time.Duration
		for i := range 5 {
			<-time.After(2*time.Hour + 7*time.Minute)
			begun, no := time.Now(), fmt.Sprintf("order-%d", i)
			b.buy(t, no)
			<-time.After(15 * time.Minute)
			p.mu.Lock()
			worst = max(worst, p.took[no].Sub(begun))
			p.mu.Unlock()
		}
		t.Logf("worst: reported after %s", worst)
		require.Less(t, worst, 10*time.Second)
	})
}

// TestAttackARepeatOfAnUnknownRefundAfterMidnightIsDenied: docs/http.md says of 503 unknown: repeat the same call. It moves no more
// money, but counts again after midnight in Beijing.
func TestAttackARepeatOfAnUnknownRefundAfterMidnightIsDenied(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		b.buy(t, "order-1")
		b.buy(t, "order-2")
		<-time.After(15*time.Hour + 59*time.Minute + 50*time.Second) // 23:59:50 in Beijing
		refund := func(order, no string) int {
			w := b.callWith(refundKey, "POST", "/app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":%q,"out_refund_no":%q,"fen":60}`, order, no))
			t.Logf("%s %s: %d %s", time.Now().In(time.FixedZone("", 8*3600)).Format(time.DateTime), no, w.Code, w.Body)
			return w.Code
		}
		b.pay.AddFault(paytest.Fault{Path: "/v3/refund/domestic/refunds", Code: "SYSTEM_ERROR"})
		require.Equal(t, http.StatusServiceUnavailable, refund("order-1", "r1"))
		b.pay.Heal()
		<-time.After(11 * time.Second)
		require.Equal(t, http.StatusOK, refund("order-2", "r2"), "another day")
		require.NotEqual(t, http.StatusForbidden, refund("order-1", "r1"), "it was counted yesterday, and is only asked about")
	}, func(o *gateway.Options) {
		m := o.Config.Merchants["m1"]
		o.Config.Merchants["m1"] = m
		o.Config.Keys = append(o.Config.Keys, gateway.Key{Name: "refund", Key: refundKey, Apps: []string{"shop"}, Scopes: []string{"refund"}, DayFen: 100})
	})
}

// TestAttackAPaymentInAnotherCurrencyIsReported: the order is of 100 fen, the notification of 100 dong.
func TestAttackAPaymentInAnotherCurrencyIsReported(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		require.Equal(t, http.StatusOK, b.call("POST", "/app/shop/pay/orders", orderOf("order-1")).Code)
		require.NoError(t, b.pay.Notify(paytest.Notification{
			MchID: mchID, URL: "https://wx.example.com/app/shop/pay/notify", Event: "TRANSACTION.SUCCESS", OriginalType: "transaction",
			Plain: []byte(`{"appid":"` + shopID + `","mchid":"` + mchID + `","out_trade_no":"order-1","transaction_id":"4200000001","trade_type":"NATIVE","trade_state":"SUCCESS","success_time":"2000-01-01T08:00:00+08:00","payer":{"openid":"o1"},"amount":{"total":100,"payer_total":100,"currency":"VND","payer_currency":"VND"}}`),
		}))
		<-time.After(time.Minute)
		_, booked := b.service.count()
		require.Zero(t, booked, "100 VND are reported as TRANSACTION.SUCCESS of an order of 100 fen")
	})
}

// TestAttackTheDayOfTwoProcesses: many keys' calls at once, at two gateways with one store, around midnight in Beijing.
func TestAttackTheDayOfTwoProcesses(t *testing.T) {
	const orders = 40
	var second *gateway.Gateway
	inBubble(t, false, func(t *testing.T, b *bubble) {
		for i := range orders {
			b.buy(t, fmt.Sprintf("order-%d", i))
		}
		time.Sleep(time.Until(time.Date(2000, 1, 1, 23, 59, 59, 900_000_000, time.FixedZone("", 8*3600))))
		var sum [2]atomic.Int64
		var all sync.WaitGroup
		begun := time.Now().In(time.FixedZone("", 8*3600)).Day()
		for i := range orders {
			for _, g := range []*gateway.Gateway{b.gateway, second} {
				all.Go(func() {
					time.Sleep(time.Duration(i) * 5 * time.Millisecond)
					day := 0
					if time.Now().In(time.FixedZone("", 8*3600)).Day() != begun {
						day = 1
					}
					r := httptest.NewRequest("POST", "/app/shop/pay/refunds", strings.NewReader(fmt.Sprintf(`{"out_trade_no":"order-%d","out_refund_no":"r%d","fen":10}`, i, i)))
					r.Header.Set("Authorization", "Bearer "+refundKey)
					w := httptest.NewRecorder()
					g.Private().ServeHTTP(w, r)
					if w.Code == http.StatusOK {
						sum[day].Add(10)
					}
				})
			}
		}
		all.Wait()
		t.Logf("sums %d %d", sum[0].Load(), sum[1].Load())
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
