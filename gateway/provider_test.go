package gateway_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	subA = "1900000108"
	subB = "1900000109"
)

// openProvider serves shop with shop A of a provider, other with shop B, and prov with the provider's own number.
func openProvider(t *testing.T) *till {
	return openTill(t, func(d *till) {
		shown := d.pay.AddMerchant(paytest.Merchant{
			MchID: mchID, AppIDs: []string{shopID, corpID}, Balance: 1000, Key: payKeys()[0], Subs: []paytest.Sub{{MchID: subA}, {MchID: subB}},
		})
		m := d.config.Merchants["m1"]
		m.V3.APIv3Key, m.V3.Cert, m.V3.PublicKeyID, m.V3.PublicKey = shown.APIv3Key, shown.Certificate, shown.PublicKeyID, shown.PublicKey
		own := m
		m.SubMchID = subA
		b := m
		b.SubMchID = subB
		d.config.Merchants["m1"], d.config.Merchants["m2"], d.config.Merchants["m3"] = m, b, own
		set(&d.config, "other", func(a *gateway.App) {
			a.AppID = shopID
			a.Pay.Merchant = "m2"
			a.Pay.NotifyTo = d.backend.URL + "/paid"
		})
		d.config.Apps["prov"] = gateway.App{AppID: shopID, Secret: secret, SignKey: signKey, Pay: &gateway.Pay{Merchant: "m3", NotifyTo: d.backend.URL + "/paid"}}
		d.config.Keys = append(d.config.Keys, gateway.Key{Name: "prov", Key: "a-key-of-this-test-for-the-provider", Apps: []string{"prov"}, Scopes: []string{"pay", "refund"}})
	})
}

func notifyOfShop(d *till, t *testing.T, app, sub, no, id string) {
	require.NoError(t, d.pay.Notify(paytest.Notification{
		MchID: mchID, URL: d.public + "/app/" + app + "/pay/notify", Event: "TRANSACTION.SUCCESS", OriginalType: "transaction",
		Plain: []byte(fmt.Sprintf(`{"sp_appid":%q,"sp_mchid":%q,"sub_mchid":%q,"out_trade_no":%q,"transaction_id":%q,"trade_type":"NATIVE","trade_state":"SUCCESS","success_time":"2026-01-01T08:00:00+08:00","payer":{"sp_openid":"o1"},"amount":{"total":100,"payer_total":100,"currency":"CNY","payer_currency":"CNY"}}`,
			shopID, mchID, sub, no, id)),
	}))
}

// TestShopsOfAProviderAreSeparate held: equal numbers, a notification at the URL of another shop, refunds.
func TestShopsOfAProviderAreSeparate(t *testing.T) {
	d := openProvider(t)
	d.place(t, payKey, "shop", "order-1")
	d.place(t, otherKey, "other", "order-1")
	_, err := d.pay.Pay(subA, "order-1", "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(d.backend.got()) == 1 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, "shop", d.backend.got()[0]["app"])
	status, got := d.call(t, otherKey, "GET /app/other/pay/orders/order-1", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "NOTPAY", got["state"])
	sent := len(d.pay.Deliveries())
	notifyOfShop(d, t, "other", subA, "order-1", "4200000000000000001")
	require.Eventually(t, func() bool { return len(d.pay.Deliveries()) > sent }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, http.StatusForbidden, d.pay.Deliveries()[sent].Status)
	status, got = d.call(t, otherKey, "POST /app/other/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30}`)
	require.Equal(t, http.StatusBadRequest, status, got)
	status, got = d.call(t, refundKey, "POST /app/shop/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30}`)
	require.Equal(t, http.StatusOK, status, got)
	require.NoError(t, d.pay.FinishRefund(subA, "r1", "SUCCESS"))
	require.Eventually(t, func() bool { return len(d.backend.got()) == 2 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, "REFUND.SUCCESS", d.backend.got()[1]["event_type"])
	require.Equal(t, "shop", d.backend.got()[1]["app"])
}
