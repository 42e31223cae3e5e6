package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

// orderPaidLate places order-1 at the second gateway at once, and requires that it is refused, or that its payment is reported.
func orderPaidLate(t *testing.T, d *tills) {
	t.Helper()
	status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
	if status != http.StatusOK {
		return
	}
	advance(5 * time.Second) // all processes have seen the change
	_, err := d.wx.Pay(mchID, "order-1", "o1")
	if err != nil {
		_, err = d.wx.Pay(d.filed.MchID, "order-1", "o1")
	}
	require.NoError(t, err, got)
	advance(30 * time.Minute)
	require.Len(t, d.reports(), 1, "the order was taken (%v), and paid: notification answered %d", got, d.wx.Deliveries()[0].Status)
}

// A DELETE that is repeated, such as by a client that has waited for less than 3 seconds.
func TestASecondDeleteWaitsForOtherProcesses(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		status, _ := call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
		require.Equal(t, http.StatusOK, status)
		deleted := make(chan error, 1)
		go func() { deleted <- d.first.Apps().Delete(t.Context(), "later", "") }()
		synctest.Wait()
		require.NoError(t, d.first.Apps().Delete(t.Context(), "later", ""))
		orderPaidLate(t, d)
		<-deleted
	})
}

// An end in the past hides the app, and then it is deleted.
func TestADeleteAfterAnEndInThePastWaitsForOtherProcesses(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		status, _ := call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
		require.Equal(t, http.StatusOK, status)
		ended := laterApp("m2")
		ended.ExpiresAt = time.Now().Add(-time.Minute)
		_, err := d.first.Apps().Put(t.Context(), "later", ended, "")
		require.NoError(t, err)
		_ = d.first.Apps().Delete(t.Context(), "later", "")
		orderPaidLate(t, d)
	})
}

// A payment that does not match its order was taken, and somebody has to accept or refund it, which needs the app.
func TestARefusedPaymentKeepsItsApp(t *testing.T) {
	for _, decision := range []string{"accept", "refund"} {
		t.Run(decision, func(t *testing.T) {
			runTills(t, func(t *testing.T, d *tills) {
				d.register(t)
				status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
				require.Equal(t, http.StatusOK, status, got)
				const record = "pay/" + mchID + "/order/order-1"
				value, ok, err := d.records.Get(t.Context(), record)
				require.NoError(t, err)
				require.True(t, ok)
				other := strings.Replace(string(value), `"fen":100`, `"fen":90`, 1)
				require.NotEqual(t, string(value), other)
				require.NoError(t, d.records.Set(t.Context(), record, []byte(other), 0))
				_, err = d.wx.Pay(mchID, "order-1", "o1")
				require.NoError(t, err)
				advance(time.Minute)
				status, got = call(t, d.second, wideKey, "GET /app/later/pay/refused", "")
				require.Equal(t, http.StatusOK, status)
				require.Len(t, got["refused"], 1)
				id := got["refused"].([]any)[0].(map[string]any)["id"].(string)

				err = d.first.Apps().Delete(t.Context(), "later", "")
				var unfinished *gateway.UnfinishedError
				require.ErrorAs(t, err, &unfinished)
				require.Equal(t, 1, unfinished.Refused)
				require.ErrorContains(t, err, `1 refused payments (refused payment `+id+`)`)
				next := laterApp("m2")
				next.Pay = nil
				_, err = d.first.Apps().Put(t.Context(), "later", next, "")
				require.ErrorAs(t, err, &unfinished)

				if decision == "accept" {
					status, got = call(t, d.second, wideKey, "POST /app/later/pay/refused/"+id+"/accept", "")
					require.Equal(t, http.StatusNoContent, status, got)
				} else {
					status, got = call(t, d.second, createKey(t, d.second, shopKey(func(k *gateway.Key) { k.Apps, k.Scopes = []string{"later"}, []string{"refund"} })), "POST /app/later/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"r1","fen":100,"total_fen":100}`)
					require.Equal(t, http.StatusOK, status, got)
					require.NoError(t, d.wx.FinishRefund(mchID, "r1", "SUCCESS"))
				}
				advance(time.Hour)
				require.NoError(t, d.first.Apps().Delete(t.Context(), "later", ""))
			})
		})
	}
}
