package compat_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheCallOfAnOrderGetsTheFlatStringsOfAPIv2(t *testing.T) {
	d := openDesk(t)
	call := url.QueryEscape(strings.TrimPrefix(d.backend.URL, "http://") + "/own?a=b")
	for app, mchID := range map[string]string{"shop": oldMchID, "modern": newMchID} {
		o := d.scanned(d.ask(nil, input{path: "/app/" + app + "/pay?fee=100&attach=me&device_info=d1&call=" + call, key: payKey}))
		transaction, err := d.pay.Pay(mchID, o.OutTradeNo, "o1")
		require.NoError(t, err)
		got := d.report()
		require.Equal(t, "/own?a=b", got.path, "it wins over notify_to")
		require.True(t, got.hasSignature(signKey))
		require.Equal(t, "TRANSACTION/"+transaction, got.header.Get("Wetoken-Delivery"))
		require.Equal(t, "TRANSACTION.SUCCESS", got.header.Get("Wetoken-Event"))
		require.Equal(t, app, got.header.Get("Wetoken-App"))
		want := map[string]string{
			"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": mchID, "openid": "o1", "trade_type": "NATIVE", "bank_type": "OTHERS",
			"total_fee": "100", "cash_fee": "100", "fee_type": "CNY", "transaction_id": transaction, "out_trade_no": o.OutTradeNo, "attach": "me",
		}
		for name, value := range want {
			require.Equal(t, value, got.body[name], "%s of %s: %s", name, app, got.raw)
		}
		for name, value := range got.body {
			require.IsType(t, "", value, name)
		}
		require.Regexp(t, `^20\d{12}$`, got.body["time_end"])
		require.Equal(t, app == "shop", got.body["sign"] != nil, "APIv3 has no sign")
	}
	o := d.scanned(d.ask(nil, input{path: "/app/shop/pay?fee=100", key: payKey}))
	_, err := d.pay.Pay(oldMchID, o.OutTradeNo, "o1")
	require.NoError(t, err)
	require.Equal(t, "/all", d.report().path, "without a call, notify_to gets it")
}

func TestACallOfThisServerIsServedInThisProcess(t *testing.T) {
	d := openDesk(t, func(d *cashDesk) { d.options.Config.Apps["modern"].Pay.NotifySync = true })
	for _, app := range []string{"shop", "modern"} {
		o := d.scanned(d.ask(nil, input{path: "/app/" + app + "/pay?fee=100&call=" + url.QueryEscape("/own/page?a=b"), key: payKey}))
		_, err := d.pay.Pay(o.MchID, o.OutTradeNo, "o1")
		require.NoError(t, err)
		select {
		case got := <-d.inner:
			require.Equal(t, "/own/page?a=b", got.path)
			require.Equal(t, o.OutTradeNo, got.body["out_trade_no"])
			require.Equal(t, "100", got.body["total_fee"])
			require.True(t, got.hasSignature(signKey))
		case <-time.After(30 * time.Second):
			t.Fatal(d.log.String())
		}
	}
	require.Empty(t, d.reports)
}

func TestAnOldNotificationIsOfAnOrderOfTheOldSystem(t *testing.T) {
	d := openDesk(t)
	// The old system placed the order, with its own address, which now leads here.
	const other = "old-system-1"
	d.placeElsewhere(d.public+"/app/shop/pay", other)
	_, err := d.pay.Pay(oldMchID, other, "o1")
	require.NoError(t, err)
	got := d.report()
	require.Equal(t, "/all", got.path)
	require.Equal(t, other, got.body["out_trade_no"])
	require.Equal(t, "false", got.header.Get("Wetoken-Known"))
	require.Eventually(t, func() bool { return len(d.pay.Deliveries()) == 1 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, http.StatusOK, d.pay.Deliveries()[0].Status)

	for _, path := range []string{"/app/shop/pay", "/app/shop/pay/"} {
		got := d.ask(nil, input{method: "POST", path: path, body: d.pay.Deliveries()[0].Body})
		require.Equal(t, http.StatusOK, got.status)
		require.Equal(t, map[string]string{"": "xml", "return_code": "SUCCESS", "return_msg": "OK"}, withoutRest(readFlat([]byte(got.text))), "repeated: %s", got.text)
	}
	require.Empty(t, d.reports, "reported once")
}

func withoutRest(fields map[string]string) map[string]string {
	delete(fields, "-")
	return fields
}
