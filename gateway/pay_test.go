package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestAnOrderIsPlacedShownPaidReportedAndRefunded(t *testing.T) {
	d := openTill(t, nil)
	got := d.place(t, payKey, "shop", "order-1")
	qr := got["qr_url"].(string)
	require.True(t, strings.HasPrefix(qr, d.public+"/app/shop/pay/qr/"), qr)
	resp, err := http.Get(qr)
	require.NoError(t, err)
	image, err := png.Decode(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Greater(t, image.Bounds().Dx(), 100)

	transaction, err := d.pay.Pay(mchID, "order-1", "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(d.backend.got()) == 1 }, 10*time.Second, 10*time.Millisecond)
	report := d.backend.got()[0]
	require.Equal(t, "TRANSACTION.SUCCESS", report["event_type"])
	require.Equal(t, "shop", report["app"])
	require.Equal(t, true, report["known"])
	require.Equal(t, transaction, report["transaction_id"])
	require.Zero(t, d.backend.unsigned)
	require.Equal(t, "TRANSACTION/"+transaction, d.backend.ids[0])

	status, got := d.call(t, payKey, "GET /app/shop/pay/orders?state=SUCCESS", "")
	require.Equal(t, http.StatusOK, status)
	require.Len(t, got["orders"], 1)
	status, got = d.call(t, refundKey, "POST /app/shop/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30,"total_fen":100}`)
	require.Equal(t, http.StatusOK, status, got)
	require.NoError(t, d.pay.FinishRefund(mchID, "r1", "SUCCESS"))
	require.Eventually(t, func() bool { return len(d.backend.got()) == 2 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, "REFUND.SUCCESS", d.backend.got()[1]["event_type"])
	require.Contains(t, d.log.text(), "action=refund number=r1 fen=30 result=ok")
	require.Contains(t, d.log.text(), "caller=pay app=shop action=order number=order-1 fen=100 result=ok")
	for _, key := range []string{payKey, refundKey} {
		status, got = d.call(t, key, "GET /app/shop/pay/refunds/r1", "")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "SUCCESS", got["state"])
	}
}

func TestACallerSeesTheOrdersOfItsOwnAppsAlone(t *testing.T) {
	d := openTill(t, nil)
	d.place(t, payKey, "shop", "order-1")
	_, err := d.pay.Pay(mchID, "order-1", "o1")
	require.NoError(t, err)
	for route, body := range map[string]string{
		"GET /app/other/pay/orders/order-1":          "",
		"POST /app/other/pay/orders/order-1/close":   "",
		"POST /app/other/pay/orders/order-1/reverse": "",
		"POST /app/other/pay/refunds":                `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30}`,
	} {
		status, got := d.call(t, otherKey, route, body)
		require.Equal(t, http.StatusNotFound, status, "%s: %v", route, got)
	}
	status, got := d.call(t, otherKey, "POST /app/other/pay/orders", orderOf("order-1"))
	require.Equal(t, http.StatusConflict, status, got)
	_, got = d.call(t, otherKey, "GET /app/other/pay/orders", "")
	require.Empty(t, got["orders"])
	status, _ = d.call(t, otherKey, "GET /app/shop/pay/orders/order-1", "")
	require.Equal(t, http.StatusForbidden, status)
	// One that was made elsewhere is of the app whose appid it has.
	status, got = d.call(t, apiKey, "POST /app/shop/pay/api/v3/pay/transactions/native",
		`{"appid":"`+shopID+`","mchid":"`+mchID+`","description":"socks","out_trade_no":"order-9","notify_url":"https://elsewhere.example.com/paid","amount":{"total":100}}`)
	require.Equal(t, http.StatusOK, status, got)
	status, _ = d.call(t, payKey, "GET /app/shop/pay/orders/order-9", "")
	require.Equal(t, http.StatusOK, status)
	for route, body := range map[string]string{
		"GET /app/other/pay/orders/order-9": "", "POST /app/other/pay/orders/order-9/close": "", "POST /app/other/pay/orders/order-9/reverse": "",
		"POST /app/other/pay/refunds": `{"out_trade_no":"order-9","out_refund_no":"r1","fen":30}`,
	} {
		status, got = d.call(t, otherKey, route, body)
		require.Equal(t, http.StatusNotFound, status, "%s: %v", route, got)
	}
	require.Zero(t, d.pay.Calls("/v3/refund/domestic/refunds"))
	status, _ = d.call(t, payKey, "GET /app/plain/pay/orders", "")
	require.Equal(t, http.StatusNotFound, status)
}

func TestAnOrderNamesItsOwnBackendOnTheAppsHosts(t *testing.T) {
	d := openTill(t, nil)
	place := func(no, target string) (int, map[string]any) {
		return d.call(t, payKey, "POST /app/shop/pay/orders", fmt.Sprintf(`{"trade":"native","out_trade_no":%q,"fen":100,"description":"socks","notify_to":%q}`, no, target))
	}
	for _, target := range []string{"http://evil.example.com/x", "file:///etc/passwd", "http://" + strings.TrimPrefix(d.backend.URL, "http://") + "@evil.example.com/", "/x"} {
		status, got := place("order-1", target)
		require.Equal(t, http.StatusBadRequest, status, "%s: %v", target, got)
	}
	status, got := place("order-1", d.backend.URL+"/own?a=b")
	require.Equal(t, http.StatusOK, status, got)
	_, err := d.pay.Pay(mchID, "order-1", "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(d.backend.got()) == 1 }, 10*time.Second, 10*time.Millisecond)
}

func TestNotifySyncAnswersWeChatOnceTheBackendHasAccepted(t *testing.T) {
	d := openTill(t, func(d *till) {
		set(&d.config, "shop", func(a *gateway.App) { a.Pay.NotifySync = true })
		d.backend.reply = func(n int) (int, string) {
			if n == 1 {
				return http.StatusOK, `{"errcode":40001,"errmsg":"not now"}`
			}
			return http.StatusOK, `{"errcode":0}`
		}
	})
	d.place(t, payKey, "shop", "order-1")
	_, err := d.pay.Pay(mchID, "order-1", "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(d.pay.Deliveries()) > 0 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, http.StatusServiceUnavailable, d.pay.Deliveries()[0].Status)
	require.Eventually(t, func() bool { return len(d.backend.got()) == 2 }, 10*time.Second, 10*time.Millisecond, "it was added to the outbox")
}

func TestStrangersReadNothing(t *testing.T) {
	d := openTill(t, nil)
	for _, path := range []string{"/app/shop/pay/orders", "/app/shop/pay/orders/order-1", "/app/shop/pay/refused", "/app/shop/pay/bills/2026-01-02"} {
		status, _ := d.call(t, "", "GET "+path, "")
		require.Equal(t, http.StatusNotFound, status, path)
	}
	for _, app := range []string{"shop", "other", "plain", "nobody"} {
		status, _ := d.call(t, "", "GET /app/"+app+"/pay/js/ABCDEFGHIJKLMNOPQRSTUVWXYZ", "")
		require.Equal(t, http.StatusNotFound, status)
	}
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			r, _ := http.NewRequestWithContext(context.Background(), "POST", d.public+"/app/shop/pay/notify", bytes.NewReader(make([]byte, 1<<20)))
			if resp, err := http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
				if resp.StatusCode < 400 {
					t.Errorf("status %d", resp.StatusCode)
				}
			}
		})
	}
	all.Wait()
	status, _ := d.call(t, "", "POST /app/shop/pay/notify", `{"id":"x"}`)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Empty(t, d.backend.got())
}

func TestAShopOfAServiceProviderTakesPayments(t *testing.T) {
	const sub, subAppID = "1900000109", "wxdddddddddddddddd"
	for name, appID := range map[string]string{"the provider's app": shopID, "the shop's app": subAppID} {
		t.Run(name, func(t *testing.T) {
			d := openTill(t, func(d *till) {
				shown := d.pay.AddMerchant(paytest.Merchant{
					MchID: mchID, AppIDs: []string{shopID}, Balance: 1000, Key: payKeys()[0], Subs: []paytest.Sub{{MchID: sub, AppIDs: []string{subAppID}}},
				})
				m := d.config.Merchants["m1"]
				m.SubMchID, m.SubAppID, m.AppIDs = sub, subAppID, []string{shopID}
				m.V3.APIv3Key, m.V3.Cert, m.V3.PublicKeyID, m.V3.PublicKey = shown.APIv3Key, shown.Certificate, shown.PublicKeyID, shown.PublicKey
				d.config.Merchants["m1"] = m
				set(&d.config, "shop", func(a *gateway.App) { a.AppID = appID })
			})
			d.place(t, payKey, "shop", "order-1")
			_, err := d.pay.Pay(sub, "order-1", "o1")
			require.NoError(t, err)
			require.Eventually(t, func() bool { return len(d.backend.got()) == 1 }, 10*time.Second, 10*time.Millisecond)
			require.Equal(t, sub, d.backend.got()[0]["sub_mchid"])
			status, got := d.call(t, refundKey, "POST /app/shop/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30,"total_fen":100}`)
			require.Equal(t, http.StatusOK, status, got)
		})
	}
}
