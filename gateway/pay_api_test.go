package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestAKeyWithPayAloneMovesNoMoneyOut(t *testing.T) {
	d := openTill(t, nil)
	d.place(t, payKey, "shop", "order-1")
	d.place(t, payKey, "shop", "order-2") // not paid as far as we know
	_, err := d.pay.Pay(mchID, "order-1", "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(d.backend.got()) == 1 }, 10*time.Second, 10*time.Millisecond)
	before := d.pay.Calls("/v3/refund/domestic/refunds") + d.pay.Calls("/v3/fund-app/mch-transfer/transfer-bills")
	refund := `{"out_trade_no":"order-1","out_refund_no":"r1","amount":{"refund":30,"total":100,"currency":"CNY"},"fen":30,"total_fen":100}`
	forms := []string{
		"/pay/refunds", "/pay/transfers", "/pay//refunds", "/pay/./refunds", "/pay/orders/../refunds", "/pay/%72efunds", "/pay/orders/%2e%2e/refunds", "/pay%2frefunds", "/PAY/REFUNDS", "/pay/Refunds",
		"/pay/transfers/t1/cancel", "/pay/refused/x/accept", "/pay/orders/order-1/reverse", "/pay/orders/order-2/reverse",
	}
	for _, p := range []string{
		"/v3/refund/domestic/refunds", "//v3/refund/domestic/refunds", "/v3//refund/domestic/refunds", "/v3/./refund/domestic/refunds", "/v3/certificates/../refund/domestic/refunds",
		"/v3/%72efund/domestic/refunds", "/v3%2Frefund%2Fdomestic%2Frefunds", "/v3/certificates/%2e%2e/refund/domestic/refunds", "/v3/certificates/..%2frefund/domestic/refunds",
		"/v3/%2572efund/domestic/refunds", "/V3/Refund/Domestic/Refunds", "/v3/REFUND/domestic/refunds", "/v3/refund;x=y/domestic/refunds", "/v3/refund%3b/domestic/refunds", "/v3/refund/domestic/refunds/",
		"/v3/refund%00/domestic/refunds", "/v3\\refund\\domestic\\refunds", "/v3/refund/domestic/refunds%3Fa=b", "/v3/%C0%AFrefund/domestic/refunds", "/v3/pay/transactions/out-trade-no/order-1/reverse",
		"/v3/fund-app/mch-transfer/transfer-bills", "/v3/transfer/batches", "/v3/profitsharing/orders", "/v3/ecommerce/fund/withdraw", "/v3/ecommerce/refunds/apply", "/v3/merchant/fund/withdraw", "/v3/marketing/favor/coupons",
	} {
		forms = append(forms, "/pay/api"+p)
	}
	for _, form := range forms {
		for _, key := range []string{payKey, wideKey, apiKey, otherKey} {
			for _, method := range []string{"POST", "PUT"} {
				status, got := d.call(t, key, method+" /app/shop"+form, refund)
				require.True(t, status >= 400 && status < 500, "%s %s: %d %v", key, form, status, got)
				require.NotEmpty(t, got["errmsg"], form)
			}
		}
	}
	for _, p := range []string{"/v3/REFUND/DOMESTIC/X", "/v3/Fund-App/x", "/v3/refund/domestic/refunds", "/v3%2FREFUND%2Fx", "/v3/ProfitSharing/orders"} {
		status, got := d.call(t, apiKey, "POST /app/shop/pay/api"+p, refund)
		require.Equal(t, http.StatusForbidden, status, p)
		require.Contains(t, got["errmsg"], "may move money out", p)
	}
	require.Equal(t, before, d.pay.Calls("/v3/refund/domestic/refunds")+d.pay.Calls("/v3/fund-app/mch-transfer/transfer-bills"))
}

func TestCallsOfTheAPIArePassedOnSigned(t *testing.T) {
	d := openTill(t, nil)
	d.place(t, payKey, "shop", "order-1")
	status, got := d.call(t, apiKey, "GET /app/shop/pay/api/v3/pay/transactions/out-trade-no/order-1?mchid="+mchID, "")
	require.Equal(t, http.StatusOK, status, got)
	require.Equal(t, "NOTPAY", got["trade_state"])
	status, got = d.call(t, apiKey, "POST /app/shop/pay/api/v3/pay/transactions/out-trade-no/order-1/close", `{"mchid":"`+mchID+`"}`)
	require.Equal(t, http.StatusNoContent, status, got)
	status, got = d.call(t, apiKey, "GET /app/shop/pay/api/v3/pay/transactions/out-trade-no/order-x?mchid="+mchID, "")
	require.Equal(t, http.StatusNotFound, status, got)
	require.Equal(t, "not_found", got["cause"])
	require.Contains(t, d.log.text(), "caller=api app=shop action=\"POST /v3/pay/transactions/out-trade-no/order-1/close\"")

	d.place(t, payKey, "shop", "order-2")
	_, err := d.pay.Pay(mchID, "order-2", "o1")
	require.NoError(t, err)
	status, got = d.call(t, bothKey, "POST /app/shop/pay/api/v3/refund/domestic/refunds", `{"out_trade_no":"order-2","out_refund_no":"r2","amount":{"refund":30,"total":100,"currency":"CNY"}}`)
	require.Equal(t, http.StatusOK, status, got)
	require.Contains(t, d.log.text(), "number=r2 fen=30 result=ok")
	for path, want := range map[string]int{
		"/v3/certificates":   http.StatusOK,        // exact
		"/v3/certificates/":  http.StatusForbidden, // refused below
		"/v3/bill/tradebill": http.StatusForbidden,
		"/v3/refund":         http.StatusForbidden,
	} {
		status, _ := d.call(t, bothKey, "GET /app/shop/pay/api"+path, "")
		if want != http.StatusOK {
			require.Contains(t, []int{http.StatusForbidden, http.StatusBadRequest}, status, path)
		} else {
			require.NotContains(t, []int{http.StatusForbidden, http.StatusBadRequest}, status, path)
		}
	}
	status, _ = d.call(t, apiKey, "POST /app/shop/pay/api/v3/payscore/serviceorder", strings.Repeat("a", 1<<20+1))
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, _ = d.call(t, apiKey, "POST /app/shop/pay/api/v3/payscore/serviceorder", "nonsense")
	require.Equal(t, http.StatusUnsupportedMediaType, status)
	status, _ = d.call(t, payKey, "GET /app/shop/pay/api/v3/certificates", "")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = d.call(t, "", "GET /app/shop/pay/api/v3/certificates", "")
	require.Equal(t, http.StatusNotFound, status, "the public side has no such route")
}

func TestAMerchantOfSeveralAppsIsReadByKeysOfAllOfThem(t *testing.T) {
	const shopAPIKey = "a-key-of-this-test-api-of-shop"
	d := openTill(t, func(d *till) {
		d.config.Keys = append(d.config.Keys, gateway.Key{Name: "shop-api", Key: shopAPIKey, Apps: []string{"shop"}, Scopes: []string{"pay", "pay-api"}, Paths: []string{"/v3/*"}})
	})
	d.place(t, wideKey, "other", "order-1")
	for _, route := range []string{
		"GET /app/shop/pay/bills/2026-01-02", "GET /app/shop/pay/api/v3/pay/transactions/out-trade-no/order-1?mchid=" + mchID,
		"GET /app/shop/pay/api/v3/bill/tradebill?bill_date=2026-01-02", "POST /app/shop/pay/api/v3/pay/transactions/out-trade-no/order-1/close",
	} {
		status, got := d.call(t, shopAPIKey, route, "")
		require.Equal(t, http.StatusForbidden, status, route)
		require.Contains(t, got["errmsg"], "this key's apps must include all of them", route)
		require.Contains(t, d.log.text(), "caller=shop-api app=shop action=")
	}
	status, got := d.call(t, apiKey, "GET /app/shop/pay/api/v3/pay/transactions/out-trade-no/order-1?mchid="+mchID, "")
	require.Equal(t, http.StatusOK, status, got)
	status, _ = d.call(t, apiKey, "GET /app/shop/pay/bills/2026-01-02", "")
	require.NotEqual(t, http.StatusForbidden, status)
}

func TestOnlyTheListedWritesNeedNoSecondScope(t *testing.T) {
	d := openTill(t, nil)
	for _, path := range []string{
		"/v3/apply4sub/sub_merchants/1900000109/modify-settlement", "/v3/applyment4sub/applyment/", "/v3/applyment4sub/applyment", "/v3/marketing/favor/coupon-stocks", "/v3/marketing/busifavor/coupons/send",
		"/v3/fund-app/mch-transfer/transfer-bills", "/v3/fund-app/mch-transfer/partner/transfer-bills", "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/1/cancel", "/v3/transfer/batches",
		"/v3/profitsharing/orders", "/v3/profitsharing/orders/unfreeze", "/v3/profitsharing/return-orders", "/v3/profitsharing/receivers/add", "/v3/ecommerce/fund/withdraw", "/v3/merchant/fund/withdraw",
		"/v3/ecommerce/subsidies/create", "/v3/refund/domestic/refunds", "/v3/refund/domestic/refunds/1/apply-abnormal-refund", "/v3/ecommerce/refunds/apply", "/v3/ecommerce/refunds/1/return-advance",
		"/v3/pay/transactions/out-trade-no/order-1/reverse", "/v3/pay/partner/transactions/out-trade-no/order-1/reverse", "/v3/merchant-service/complaints-v2/1/update-refund-progress",
		"/v3/Pay/Transactions/native", "/v3/pay/transactions/native/x", "/v3/pay/transactions", "/v3/payscore/serviceorder/1/direct-complete", "/v3/something/new",
	} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			status, got := d.call(t, apiKey, method+" /app/shop/pay/api"+path, "{}")
			require.Contains(t, []int{http.StatusForbidden, http.StatusBadRequest}, status, "%s %s: %v", method, path, got)
		}
		require.Zero(t, d.pay.Calls(path), path)
	}
	for _, path := range []string{"/v3/pay/transactions/native", "/v3/combine-transactions/jsapi", "/v3/merchant-service/complaints-v2/1/response", "/v3/payscore/serviceorder/1/cancel"} {
		status, got := d.call(t, apiKey, "POST /app/shop/pay/api"+path, "{}")
		require.NotContains(t, got["errmsg"], "may move money out", path)
		require.NotEqual(t, http.StatusForbidden, status, path)
	}
	for _, path := range []string{"/v3/refund/domestic/refunds/r1", "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/1"} {
		status, _ := d.call(t, apiKey, "GET /app/shop/pay/api"+path, "")
		require.NotEqual(t, http.StatusForbidden, status, "reading moves nothing: %s", path)
	}
	for _, method := range []string{"OPTIONS", "TRACE", "HEAD", "PROPFIND"} {
		status, _ := d.call(t, apiKey, method+" /app/shop/pay/api/v3/certificates", "")
		require.Equal(t, http.StatusMethodNotAllowed, status, method)
	}
	require.Zero(t, d.pay.Calls("/v3/certificates"))
}
