package payv3_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// Money moves once however the answer is lost or forged, and the caller gets the true result or ErrUnknown.
func TestMoneyMovesOnceHoweverTheAnswerFails(t *testing.T) {
	broken := map[string]paytest.Fault{
		"lost":     {Reset: true, AfterWork: true},
		"502":      {Status: http.StatusBadGateway, AfterWork: true},
		"500":      {Code: "SYSTEM_ERROR", AfterWork: true},
		"unsigned": {Sign: paytest.Unsigned},
		"forged":   {Sign: paytest.Forged},
		"probe":    {Sign: paytest.Probe},
	}
	moves := map[string]struct {
		fen int64 // that the balance changes by
		do  func(ctx context.Context, shop *payv3.Merchant, transactionID string) error
	}{
		"refund": {-300, func(ctx context.Context, shop *payv3.Merchant, _ string) error {
			_, err := shop.Refund(ctx, pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r-1", Fen: 300, TotalFen: 1000})
			return err
		}},
		"transfer": {-200, func(ctx context.Context, shop *payv3.Merchant, _ string) error {
			return shop.Do(ctx, "POST", "/v3/fund-app/mch-transfer/transfer-bills", map[string]any{
				"appid": appID, "out_bill_no": "t1", "openid": "o-rider", "user_name": payv3.Secret("张三"), "transfer_amount": 200, "transfer_remark": "x", "transfer_scene_id": "1005",
				"transfer_scene_report_infos": []map[string]string{{"info_type": "岗位类型", "info_content": "骑手"}},
			}, nil)
		}},
		"sharing": {-400, func(ctx context.Context, shop *payv3.Merchant, transactionID string) error {
			return shop.Do(ctx, "POST", "/v3/profitsharing/orders", map[string]any{"appid": appID, "transaction_id": transactionID, "out_order_no": "s1", "unfreeze_unsplit": true,
				"receivers": []map[string]any{{"type": "MERCHANT_ID", "account": shopMchID, "amount": 400, "description": "x"}}}, nil)
		}},
	}
	for name, move := range moves {
		for how, fault := range broken {
			for times, want := range map[int]error{1: nil, 2: pay.ErrUnknown} {
				synctest.Test(t, func(t *testing.T) {
					w, shop := openShop(nil)
					defer w.Close()
					id := sell(w, shop, "order-1", map[string]any{"settle_info": map[string]any{"profit_sharing": true}})
					require.NoError(t, shop.Do(t.Context(), "POST", "/v3/profitsharing/receivers/add",
						map[string]any{"appid": appID, "type": "MERCHANT_ID", "account": shopMchID, "relation_type": "PARTNER"}, nil))
					before, err := w.Merchant(mchID)
					require.NoError(t, err)
					fault.Times = times
					w.AddFault(fault)
					err = move.do(t.Context(), shop, id)
					require.ErrorIs(t, err, want, "%s %s %d", name, how, times)
					after, err := w.Merchant(mchID)
					require.NoError(t, err)
					require.Equal(t, move.fen, after.Balance-before.Balance, "%s %s %d", name, how, times)

					require.NoError(t, move.do(t.Context(), shop, id)) // the same again changes nothing
					after, err = w.Merchant(mchID)
					require.NoError(t, err)
					require.Equal(t, move.fen, after.Balance-before.Balance)
				})
			}
		}
	}
}

func TestAPaymentCodeIsChargedOnceHoweverTheAnswerFails(t *testing.T) {
	for _, fault := range []paytest.Fault{{Reset: true, AfterWork: true}, {Sign: paytest.Forged}, {Status: 502, AfterWork: true}} {
		for _, times := range []int{1, 2} {
			synctest.Test(t, func(t *testing.T) {
				w, shop := openShop(nil)
				defer w.Close()
				fault.Times = times
				fault.Method = "POST"
				w.AddFault(fault)
				o := order(pay.Code)
				o.AuthCode, o.Extra = w.PayCode("o-payer", false), map[string]any{"scene_info": map[string]any{"store_info": map[string]any{"id": "1"}}}
				p, err := shop.Prepay(t.Context(), o)
				require.NoError(t, err)
				require.True(t, p.Transaction.Paid())
				m, err := w.Merchant(mchID)
				require.NoError(t, err)
				require.EqualValues(t, 100_000+100, m.Balance)
			})
		}
	}
}
