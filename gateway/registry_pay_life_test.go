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

func TestARenamedAppTakesNotificationsUnderItsOldName(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		status, _ := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status)
		_, err := d.first.Apps().Rename(t.Context(), "later", "renamed", "")
		require.NoError(t, err)
		advance(2 * time.Second)
		_, err = d.wx.Pay(mchID, "order-1", "o1")
		require.NoError(t, err)
		advance(5 * time.Second)
		require.Equal(t, "https://wx.example.com/app/later/pay/notify", d.wx.Deliveries()[0].URL)
		require.Equal(t, http.StatusNoContent, d.wx.Deliveries()[0].Status)
		require.Len(t, d.reports(), 1)
		require.Equal(t, "renamed", d.reports()[0]["app"])
		status, _ = call(t, d.second, wideKey, "GET /app/renamed/pay/orders/order-1", "")
		require.Equal(t, http.StatusOK, status)
	})
}

func TestDeleteWaitsForOpenPayments(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		ctx := t.Context()
		d.register(t)
		status, _ := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status)
		err := d.first.Apps().Delete(ctx, "later", "")
		var unfinished *gateway.UnfinishedError
		require.ErrorAs(t, err, &unfinished)
		require.Equal(t, 1, unfinished.Orders)
		require.ErrorContains(t, err, `app "later" has unfinished payments: 1 orders (out_trade_no order-1)`)
		without := laterApp("m2")
		without.Pay = nil
		_, err = d.first.Apps().Put(ctx, "later", without, "")
		require.ErrorAs(t, err, &unfinished, "the order needs the merchant")
		_, err = d.first.Apps().Put(ctx, "later", laterApp("m1"), "")
		require.ErrorAs(t, err, &unfinished)
		err = d.first.Merchants().Delete(ctx, "m2", "")
		var used *gateway.InUseError
		require.ErrorAs(t, err, &used)
		require.Equal(t, []string{"later"}, used.Apps)
		status, _ = call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
		require.Equal(t, http.StatusOK, status, "it is still served")

		d.refuseReports(true)
		_, err = d.wx.Pay(mchID, "order-1", "o1")
		require.NoError(t, err)
		advance(time.Minute)
		err = d.first.Apps().Delete(ctx, "later", "")
		require.ErrorAs(t, err, &unfinished)
		require.Equal(t, 0, unfinished.Orders)
		require.Equal(t, 1, unfinished.Reports)
		d.refuseReports(false)
		advance(11 * time.Minute)
		require.Len(t, d.reports(), 1)

		began := time.Now()
		require.NoError(t, d.first.Apps().Delete(ctx, "later", ""))
		require.Equal(t, 3*time.Second, time.Since(began), "other processes have seen its end")
		_, err = d.first.Apps().Get(ctx, "later")
		require.ErrorIs(t, err, gateway.ErrNotRegistered)
		status, _ = call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
		require.Equal(t, http.StatusNotFound, status)
		require.NoError(t, d.first.Merchants().Delete(ctx, "m2", ""))
		_, err = d.second.Merchants().Get(ctx, "m2")
		require.ErrorIs(t, err, gateway.ErrNotRegistered)
		require.ErrorIs(t, d.first.Merchants().Delete(ctx, "m1", ""), gateway.ErrInFile)
	})
}

func TestAnOrderDuringTheDeletionKeepsTheApp(t *testing.T) {
	s := new(unsureStore)
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		status, _ := call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
		require.Equal(t, http.StatusOK, status)
		placed := s.placeLate(t, d.second, "order-1")
		deleted := make(chan error, 1)
		go func() { deleted <- d.first.Apps().Delete(t.Context(), "later", "") }()
		synctest.Wait()
		placed()
		require.ErrorAs(t, <-deleted, new(*gateway.UnfinishedError))
		r, err := d.first.Apps().Get(t.Context(), "later")
		require.NoError(t, err)
		require.True(t, r.App.ExpiresAt.IsZero())
		advance(2 * time.Second)
		status, _ = call(t, d.second, wideKey, "POST /app/later/pay/orders/order-1/close", "")
		require.Equal(t, http.StatusOK, status)
	}, func(o *gateway.Options) { s.Store = o.Records; o.Records = s })
}

func TestAnEndedAppFinishesItsPayments(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		for no, lives := range map[string]time.Duration{"order-1": 2 * time.Hour, "order-2": 4 * time.Hour} {
			body := strings.TrimSuffix(orderOf(no), "}") + `,"expires_at":"` + time.Now().Add(lives).Format(time.RFC3339) + `"}`
			status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", body)
			require.Equal(t, http.StatusOK, status, got)
		}
		ended := laterApp("m2")
		ended.ExpiresAt = time.Now().Add(-22 * time.Hour)
		for _, name := range []string{"later", "idle"} {
			_, err := d.first.Apps().Put(t.Context(), name, ended, "")
			require.NoError(t, err)
		}
		advance(time.Hour)
		status, _ := call(t, d.second, wideKey, "GET /app/later/pay/orders/order-1", "")
		require.Equal(t, http.StatusNotFound, status, "it is hidden")
		_, err := d.wx.Pay(mchID, "order-1", "o1")
		require.NoError(t, err)
		advance(5 * time.Second)
		require.Equal(t, http.StatusNoContent, d.wx.Deliveries()[0].Status)
		require.Len(t, d.reports(), 1)
		_, err = d.first.Apps().Get(t.Context(), "idle")
		require.NoError(t, err)

		advance(2 * time.Hour)
		_, err = d.first.Apps().Get(t.Context(), "idle")
		require.ErrorIs(t, err, gateway.ErrNotRegistered)
		_, err = d.first.Apps().Get(t.Context(), "later")
		require.NoError(t, err, "order-2 may still be paid")
		require.ErrorAs(t, d.first.Merchants().Delete(t.Context(), "m2", ""), new(*gateway.InUseError))
		advance(2 * time.Hour)
		_, err = d.wx.Order(mchID, "order-2")
		require.NoError(t, err)
		_, err = d.first.Apps().Get(t.Context(), "later")
		require.ErrorIs(t, err, gateway.ErrNotRegistered, "order-2 was closed")
		require.NoError(t, d.first.Merchants().Delete(t.Context(), "m2", ""))
	})
}
