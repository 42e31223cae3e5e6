package compat_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestARefusedPaymentCallIsAudited(t *testing.T) {
	d := openPayment(t)
	got := d.post(onePayKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":1,"refund_fee":1}`)
	require.Equal(t, http.StatusForbidden, got.status)
	list, _, err := d.gateway.Audits().Page(t.Context(), gateway.AuditFilter{App: "shop"}, "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "payment call", list[0].Event)
	require.Equal(t, "POST /apis/v1/wepay/refund", list[0].Action)
	require.Equal(t, "refused", list[0].Details["result"])
}
