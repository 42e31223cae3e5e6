package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestARegisteredMerchantTakesPaymentsInEveryProcess(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		status, _ := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusNotFound, status)
		d.register(t)
		advance(2 * time.Second)
		status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status, got)
		require.Contains(t, got["qr_url"], "https://wx.example.com/app/later/pay/qr/")
		page := httptest.NewRecorder()
		d.first.Public().ServeHTTP(page, httptest.NewRequest("GET", strings.TrimPrefix(got["qr_url"].(string), "https://wx.example.com"), nil))
		require.Equal(t, http.StatusOK, page.Code)

		_, err := d.wx.Pay(mchID, "order-1", "o1")
		require.NoError(t, err)
		advance(5 * time.Second)
		require.Len(t, d.reports(), 1)
		require.Equal(t, "TRANSACTION.SUCCESS", d.reports()[0]["event_type"])
		require.Equal(t, "later", d.reports()[0]["app"])
		require.Nil(t, d.reports()[0]["unsigned"])

		status, got = call(t, d.first, wideKey, "GET /app/later/pay/api/v3/pay/transactions/out-trade-no/order-1?mchid="+mchID, "")
		require.Equal(t, http.StatusOK, status, got)
		for i, want := range []int{http.StatusOK, http.StatusForbidden} { // of 50 fen a day
			body := fmt.Sprintf(`{"out_trade_no":"order-1","out_refund_no":"r%d","fen":%d,"total_fen":100}`, i, 30+i)
			status, got = call(t, d.second, wideKey, "POST /app/later/pay/refunds", body)
			require.Equal(t, want, status, got)
		}
		require.NoError(t, d.wx.FinishRefund(mchID, "r0", "SUCCESS"))
		advance(5 * time.Second)
		require.Len(t, d.reports(), 2)

		// An order without a notification is asked about by either process.
		status, _ = call(t, d.first, wideKey, "POST /app/later/pay/orders", orderOf("order-2"))
		require.Equal(t, http.StatusOK, status)
		d.wx.AddNotificationFault(paytest.NotificationFault{Lost: 100})
		_, err = d.wx.Pay(mchID, "order-2", "o1")
		require.NoError(t, err)
		advance(time.Minute)
		require.Len(t, d.reports(), 3)
	})
}

func TestRecordsThatMayNotHoldMoneyRefusePayments(t *testing.T) {
	var fit atomic.Bool
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		advance(2 * time.Second)
		_, err := d.second.Apps().Put(t.Context(), "more", laterApp("m2"), "")
		require.EqualError(t, err, "gateway: pay: must be unset on this server: records: in memory")
		require.ErrorAs(t, err, new(*gateway.SettingError))
		for _, route := range []string{"POST /app/later/pay/orders", "GET /app/later/pay/orders", "GET /app/later/pay/api/v3/certificates"} {
			status, got := call(t, d.second, wideKey, route, orderOf("order-1"))
			require.Equal(t, http.StatusServiceUnavailable, status, route)
			require.Equal(t, "payments of this app are not served: records: in memory", got["errmsg"])
		}
		status, _ := call(t, d.second, ownShopKey, "GET /app/later/pay/orders", "")
		require.Equal(t, http.StatusForbidden, status)
		w := httptest.NewRecorder()
		d.second.Public().ServeHTTP(w, httptest.NewRequest("POST", "/app/later/pay/notify", strings.NewReader("{}")))
		require.Equal(t, http.StatusServiceUnavailable, w.Code, "WeChat sends it again")
		require.NotContains(t, w.Body.String(), "memory")
		fit.Store(true)
		advance(11 * time.Second)
		_, _ = call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
		status, _ = call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status)
	}, func(o *gateway.Options) {
		o.CheckPayments = func(context.Context) error {
			if fit.Load() {
				return nil
			}
			return errors.New("records: in memory")
		}
	})
}

func TestPaymentsWaitWhileTheRecordsAreAway(t *testing.T) {
	var records *awayStore
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		status, _ := call(t, d.first, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status)
		records.away.Store(true)
		advance(2 * time.Second)
		status, got := call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
		require.Equal(t, http.StatusServiceUnavailable, status, got)
		_, err := d.wx.Pay(mchID, "order-1", "o1")
		require.NoError(t, err)
		advance(10 * time.Second)
		require.Equal(t, http.StatusServiceUnavailable, d.wx.Deliveries()[0].Status, "WeChat sends it again")
		d.wx.Heal()
		records.away.Store(false)
		advance(10 * time.Minute)
		require.Len(t, d.reports(), 1)
	}, func(o *gateway.Options) {
		records = &awayStore{Store: o.Records}
		o.Records = records
	})
}

func TestAppsThatShareAMerchantSeeTheirOwnOrders(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		ask := "GET /app/shop/pay/api/v3/pay/transactions/out-trade-no/order-1?mchid=1900000002"
		place := func(no, appID string) {
			status, got := call(t, d.first, wideKey, "POST /app/shop/pay/api/v3/pay/transactions/native", `{"appid":"`+appID+`","mchid":"1900000002",
				"description":"socks","out_trade_no":"`+no+`","notify_url":"https://elsewhere.example.com/paid","amount":{"total":100}}`)
			require.Equal(t, http.StatusForbidden, status, "%v: day_fen cannot be checked", got)
			status, got = call(t, d.first, ownShopKey, "POST /app/shop/pay/api/v3/pay/transactions/native", `{"appid":"`+appID+`","mchid":"1900000002",
				"description":"socks","out_trade_no":"`+no+`","notify_url":"https://elsewhere.example.com/paid","amount":{"total":100}}`)
			require.Equal(t, http.StatusOK, status, got)
		}
		place("order-1", laterID) // of another system, with the same merchant
		status, _ := call(t, d.second, ownShopKey, "GET /app/shop/pay/orders/order-1", "")
		require.Equal(t, http.StatusOK, status, "no other app uses the merchant")

		_, err := d.first.Apps().Put(t.Context(), "later", laterApp("m1"), "")
		require.NoError(t, err)
		advance(2 * time.Second)
		status, _ = call(t, d.second, ownShopKey, "GET /app/shop/pay/orders/order-1", "")
		require.Equal(t, http.StatusNotFound, status)
		status, _ = call(t, d.second, wideKey, "GET /app/later/pay/orders/order-1", "")
		require.Equal(t, http.StatusOK, status)
		for _, route := range []string{"GET /app/shop/pay/bills/1999-12-31", ask} {
			status, got := call(t, d.second, ownShopKey, route, "")
			require.Equal(t, http.StatusForbidden, status, got)
			require.Contains(t, got["errmsg"], "other apps")
			status, _ = call(t, d.second, wideKey, route, "")
			require.NotEqual(t, http.StatusForbidden, status)
		}

		require.NoError(t, d.first.Apps().Delete(t.Context(), "later", ""))
		advance(2 * time.Second)
		status, _ = call(t, d.second, ownShopKey, ask, "")
		require.Equal(t, http.StatusOK, status)
		status, _ = call(t, d.second, ownShopKey, "GET /app/shop/pay/orders/order-1", "")
		require.Equal(t, http.StatusOK, status)
	})
}
