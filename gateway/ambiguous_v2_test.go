package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// A caller chooses an attach that continues with the fields of another order, pays a fen, and posts the signature of that
// payment for the other order.
func TestASignatureOfOnePaymentIsNoneOfAnother(t *testing.T) {
	for _, version := range []string{"", "v2"} {
		for _, app := range []string{"shop", "other"} {
			t.Run(version+app, func(t *testing.T) {
				d := openTillV2With(t, version, func(d *till) {
					m := d.config.Merchants["m1"]
					m.AppIDs = []string{corpID, shopID}
					d.config.Merchants["m1"] = m
					set(&d.config, "other", func(a *gateway.App) { a.Pay.NotifyTo = d.backend.URL + "/other" })
				})
				victimKey, appID := payKey, shopID
				if app == "other" {
					victimKey, appID = otherKey, corpID
				}
				status, got := d.call(t, victimKey, "POST /app/"+app+"/pay/orders", `{"trade":"native","out_trade_no":"victim","fen":100000,"description":"a car"}`)
				require.Equal(t, http.StatusOK, status, got)
				attach := "a&mch_id=" + mchID + "&out_trade_no=victim&return_code=SUCCESS&total_fee=100000&transaction_id=4200&z="
				status, got = d.call(t, payKey, "POST /app/shop/pay/orders", fmt.Sprintf(`{"trade":"native","out_trade_no":"own-01","fen":1,"description":"x","attach":%q,"app_id":%q}`, attach, appID))
				require.Equal(t, http.StatusOK, status, got)
				_, err := d.pay.Pay(mchID, "own-01", "o1")
				require.NoError(t, err)
				reports, _ := d.waitReports(t, 1)
				require.Equal(t, "own-01", reports[0]["out_trade_no"], "the payment itself is true")
				require.Equal(t, attach, reports[0]["attach"])
				status, got = d.call(t, payKey, "GET /app/shop/pay/orders/own-01", "")
				require.Equal(t, http.StatusOK, status, got)
				raw, rest := got["raw"].(map[string]any), ""
				for _, name := range slices.Sorted(maps.Keys(raw)) {
					if name != "sign" && name > "attach" && raw[name] != "" {
						rest += "&" + name + "=" + raw[name].(string)
					}
				}
				forged := "<xml><appid>" + appID + "</appid><attach>a</attach><mch_id>" + mchID + "</mch_id><out_trade_no>victim</out_trade_no><return_code>SUCCESS</return_code>" +
					"<total_fee>100000</total_fee><transaction_id>4200</transaction_id><z><![CDATA[" + rest + "]]></z><sign>" + fmt.Sprint(raw["sign"]) + "</sign></xml>"
				status, _ = d.call(t, "", "POST /app/"+app+"/pay/notify", forged)
				require.Equal(t, http.StatusUnauthorized, status)
				status, got = d.call(t, victimKey, "GET /app/"+app+"/pay/orders/victim", "")
				require.Equal(t, http.StatusOK, status, got)
				require.Equal(t, "NOTPAY", got["state"])
				id, err := d.pay.Pay(mchID, "victim", "o2")
				require.NoError(t, err)
				reports, _ = d.waitReports(t, 2)
				require.Equal(t, []any{"victim", id}, []any{reports[1]["out_trade_no"], reports[1]["transaction_id"]}, "the true payment is not refused")
			})
		}
	}
}

// Notifications of other kinds have no number in APIv2.
func TestEachNotificationOfAnotherKindIsReported(t *testing.T) {
	d := openTillV2(t, "")
	down := true
	d.backend.reply = func(int) (int, string) {
		if down {
			return http.StatusServiceUnavailable, ""
		}
		return http.StatusOK, ""
	}
	post := func(code string) {
		body := signedXML(map[string]string{"appid": shopID, "mch_id": mchID, "return_code": "SUCCESS", "result_code": "SUCCESS", "contract_code": code, "contract_id": "2015" + code, "change_type": "ADD"},
			"HMAC-SHA256", d.config.Merchants["m1"].V2.APIKey)
		status, _, reply := d.notify(t, strings.NewReader(body))
		require.Equal(t, http.StatusOK, status, reply)
	}
	for _, code := range []string{"contract-1", "contract-2", "contract-3", "contract-1"} {
		post(code)
	}
	d.backend.mu.Lock()
	down = false
	d.backend.mu.Unlock()
	ids := func() map[any]map[string]bool {
		all := make(map[any]map[string]bool)
		d.backend.mu.Lock()
		defer d.backend.mu.Unlock()
		for i, r := range d.backend.reports {
			if all[r["contract_code"]] == nil {
				all[r["contract_code"]] = make(map[string]bool)
			}
			all[r["contract_code"]][d.backend.ids[i]] = true
		}
		return all
	}
	require.Eventually(t, func() bool { return len(ids()) == 3 }, 30*time.Second, 10*time.Millisecond)
	seen := make(map[string]bool)
	for code, list := range ids() {
		require.Len(t, list, 1, "a repeated message has the same Wetoken-Delivery: %v", code)
		for id := range list {
			require.False(t, seen[id])
			seen[id] = true
		}
	}
}

func TestAReportOfAPIv2HasTheFieldsOfItsNotificationThoughItWasFoundByAQuery(t *testing.T) {
	d := openTillV2(t, "")
	for _, no := range []string{"order-1", "order-2"} {
		d.place(t, payKey, "shop", no)
		_, err := d.pay.Pay(mchID, no, "")
		require.NoError(t, err)
	}
	d.waitReports(t, 2)
	refund := func(order, no string) {
		status, got := d.call(t, refundKey, "POST /app/shop/pay/refunds", `{"out_trade_no":"`+order+`","out_refund_no":"`+no+`","fen":30}`)
		require.Equal(t, http.StatusOK, status, got)
	}
	refund("order-1", "refund-1")
	require.NoError(t, d.pay.FinishRefund(mchID, "refund-1", "SUCCESS"))
	reports, _ := d.waitReports(t, 3)
	notified := reports[2]
	refund("order-2", "refund-2")
	d.pay.AddNotificationFault(paytest.NotificationFault{MchID: mchID, Times: 9, Lost: 99})
	require.NoError(t, d.pay.FinishRefund(mchID, "refund-2", "SUCCESS"))
	status, got := d.call(t, refundKey, "GET /app/shop/pay/refunds/refund-2", "")
	require.Equal(t, http.StatusOK, status, got)
	reports, headers := d.waitReports(t, 4)
	found := reports[3]
	require.Equal(t, "REFUND.SUCCESS", headers[3].Get("Wetoken-Event"))
	require.Equal(t, []any{"refund-2", "order-2", "30", "SUCCESS"}, []any{found["out_refund_no"], found["out_trade_no"], found["refund_fee"], found["refund_status"]})
	for name, value := range found {
		require.IsType(t, "", value, name)
		require.False(t, strings.HasSuffix(name, "_0"), name)
	}
	for _, name := range []string{"sign", "nonce_str", "refund_count", "result_code"} {
		require.NotContains(t, found, name)
	}
	for _, name := range []string{"transaction_id", "refund_id", "total_fee", "success_time"} {
		require.NotEmpty(t, notified[name], name)
		require.NotEmpty(t, found[name], name)
	}

	// One that was refunded before it was found.
	d.place(t, payKey, "shop", "order-3")
	_, err := d.pay.Pay(mchID, "order-3", "")
	require.NoError(t, err)
	no, err := d.pay.RefundInConsole(mchID, "order-3", 100)
	require.NoError(t, err)
	require.NoError(t, d.pay.FinishRefund(mchID, no, "SUCCESS"))
	status, got = d.call(t, payKey, "GET /app/shop/pay/orders/order-3", "")
	require.Equal(t, http.StatusOK, status, got)
	require.Equal(t, "REFUND", got["state"])
	reports, _ = d.waitReports(t, 5)
	require.Equal(t, "REFUND", reports[4]["trade_state"], "the money is back")
}
