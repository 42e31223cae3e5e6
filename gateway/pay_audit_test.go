package gateway_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuditLinesOfMoneyAreWrittenAtAnyLevelAndBounded(t *testing.T) {
	d := openTill(t, func(d *till) { d.level = slog.LevelError })
	d.place(t, payKey, "shop", "order-1")
	require.Contains(t, d.log.text(), "action=order number=order-1 fen=100 result=ok")
	status, _ := d.call(t, payKey, "POST /app/shop/pay/orders/order-1/close", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, d.log.text(), "action=close number=order-1 result=ok", "it has no amount")
	status, got := d.call(t, transferKey, "POST /app/shop/pay/transfers",
		`{"out_bill_no":"t1","openid":"o1","fen":30,"scene_id":"1000","remark":"thanks","report_infos":[{"info_type":"活动名称","info_content":"x"},{"info_type":"奖励说明","info_content":"x"}]}`)
	require.Equal(t, http.StatusOK, status, got)
	status, got = d.call(t, transferKey, "POST /app/shop/pay/transfers/t1/cancel", "")
	require.Equal(t, http.StatusOK, status, got)
	require.Contains(t, d.log.text(), "action=cancel number=t1 fen=30 result=ok")

	for range 50 {
		for _, route := range []string{"POST /app/shop/pay/refunds", "GET /app/shop/pay/api/v3/certificates"} {
			status, _ = d.call(t, payKey, route, "{}")
			require.Equal(t, http.StatusForbidden, status)
		}
		status, _ = d.call(t, bothKey, "POST /app/shop/pay/api/v3/marketing/x", "{}")
		require.Equal(t, http.StatusForbidden, status)
		status, _ = d.call(t, refundKey, "POST /app/shop/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"r1","fen":90}`)
		require.Equal(t, http.StatusForbidden, status)
	}
	for _, reason := range []string{"no scope refund", "no scope pay-api", "paths do not include", "at most max_fen"} {
		require.Equal(t, 1, strings.Count(d.log.text(), reason), "%s in\n%s", reason, d.log.text())
	}

	long := strings.Repeat("a", 900)
	d.call(t, apiKey, "POST /app/shop/pay/api/v3/payscore/serviceorder/"+long+"/cancel?phone=13800000000", `{"out_order_no":"name of a person"}`)
	lines := strings.Split(strings.TrimSpace(d.log.text()), "\n")
	last := lines[len(lines)-1]
	require.Contains(t, last, "POST /v3/payscore/serviceorder/aaa")
	require.Less(t, len(last), 500)
	require.NotContains(t, last, "13800000000")
	require.NotContains(t, last, "person")
}
