package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
)

func withPayment(o *gateway.Options) {
	o.Config.Compat = gateway.Compat{Systems: []string{"payment"}}
	o.PrivateFallback, o.PublicFallback = compat.Private(o.Config.Compat), compat.Public(o.Config.Compat)
}

const oldOrder = `{"appid":"` + laterID + `","id":"order-1","fee":100,"openid":"o1","body":"tea"}`

// As TestRecordsThatMayNotHoldMoneyRefusePayments, at the old route: payments are served again once the reason has gone.
func TestOldRoutesServePaymentsAgain(t *testing.T) {
	var fit atomic.Bool
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		advance(2 * time.Second)
		_, got := call(t, d.second, wideKey, "POST /apis/v1/wepay/get_pay_request_params", oldOrder)
		if got["xOrigMsg"] == "the app takes no payments" {
			t.Error("the reason is hidden: the own route says that records are in memory")
		}
		notice := httptest.NewRecorder()
		d.second.Public().ServeHTTP(notice, httptest.NewRequest("POST", "/apis/v1/wepay/pay_notify", strings.NewReader("<xml><appid>"+laterID+"</appid><mch_id>"+mchID+"</mch_id></xml>")))
		if notice.Code != http.StatusServiceUnavailable {
			t.Errorf("pay_notify: %d %s", notice.Code, notice.Body)
		}
		fit.Store(true)
		for range 5 {
			advance(time.Minute)
			_, got = call(t, d.second, wideKey, "POST /apis/v1/wepay/get_pay_request_params", oldOrder)
		}
		require.EqualValues(t, 0, got["errcode"], got)
	}, withPayment, func(o *gateway.Options) {
		o.CheckPayments = func(context.Context) error {
			if fit.Load() {
				return nil
			}
			return errors.New("records: in memory")
		}
	})
}

// A refund that was accepted to be sent later, and that WeChat refused then, is not a success when it is asked for again.
func TestARefundThatWeChatHasRefusedIsNoSuccess(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		advance(2 * time.Second)
		status, got := call(t, d.second, wideKey, "POST /apis/v1/wepay/get_pay_request_params", oldOrder)
		require.Equal(t, http.StatusOK, status)
		require.EqualValues(t, 0, got["errcode"], got)
		_, err := d.wx.Pay(mchID, "order-1", "o1")
		require.NoError(t, err)
		advance(5 * time.Second)
		first := `{"appid":"` + laterID + `","out_refund_no":"r1","out_trade_no":"order-1","total_fee":100,"refund_fee":10}`
		second := `{"appid":"` + laterID + `","out_refund_no":"r2","out_trade_no":"order-1","total_fee":100,"refund_fee":20}`
		for _, body := range []string{first, second} {
			_, got = call(t, d.second, wideKey, "POST /apis/v1/wepay/refund", body)
			require.EqualValues(t, 0, got["errcode"], got)
		}
		advance(60500 * time.Millisecond)
		_, err = d.wx.RefundInConsole(mchID, "order-1", 90) // nothing is left for r2
		require.NoError(t, err)
		advance(3 * time.Hour)
		_, native := call(t, d.second, wideKey, "GET /app/later/pay/refunds/r2", "")
		require.Equal(t, "CLOSED", native["state"])
		_, got = call(t, d.second, wideKey, "POST /apis/v1/wepay/refund", second)
		require.NotEqualValues(t, 0, got["errcode"], "no money was returned: %v", got)
	}, withPayment)
}
