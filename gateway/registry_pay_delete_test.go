package gateway_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
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
