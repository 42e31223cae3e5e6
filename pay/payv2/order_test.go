package payv2_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

func TestAnOrderWithoutAnAddressHasThatOfTheServer(t *testing.T) {
	f := newFake(func(string, fields) (fields, string) { return ok("prepay_id", "wx1", "code_url", "weixin://x"), "" })
	for server, want := range map[string]string{"": "127.0.0.1", "192.0.2.7": "192.0.2.7", "2001:db8::7": "2001:db8::7"} {
		m := f.merchant(t, func(c *payv2.Config) { c.ServerIP = server })
		o := order(pay.Native)
		for o.ClientIP = range map[string]bool{"": true, "1.2.3.4": true} {
			_, err := m.Prepay(t.Context(), o)
			require.NoError(t, err)
			sent := f.calls[len(f.calls)-1]["spbill_create_ip"]
			if o.ClientIP != "" {
				require.Equal(t, "1.2.3.4", sent)
				continue
			}
			require.Equal(t, want, sent)
		}
	}
	_, err := payv2.New(payv2.Config{AppID: appID, MchID: mchID, APIKey: apiKey, ServerIP: "localhost"})
	require.EqualError(t, err, "pay: Config.ServerIP is no IP address: want one such as 192.0.2.7")
}

func TestOrdersOfEachTrade(t *testing.T) {
	f := newFake(func(path string, in fields) (fields, string) {
		return ok("prepay_id", "wx1", "code_url", "weixin://x", "mweb_url", "https://wx.tenpay.com/x", "trade_type", in["trade_type"]), ""
	})
	for _, by := range []payv2.SignType{payv2.HMACSHA256, payv2.MD5} {
		m := f.merchant(t, func(c *payv2.Config) { c.SignType = by })
		for trade, word := range map[pay.Trade]string{pay.JSAPI: "JSAPI", pay.Native: "NATIVE", pay.APP: "APP", pay.H5: "MWEB"} {
			o := order(trade)
			o.ExpiresAt = time.Now().Add(time.Hour)
			o.Extra = map[string]any{"limit_pay": "no_credit", "detail": map[string]any{"cost": 1}}
			p, err := m.Prepay(t.Context(), o)
			require.NoError(t, err)
			in := f.calls[len(f.calls)-1]
			require.Equal(t, word, in["trade_type"])
			require.Equal(t, o.Description, in["body"], "]]> and a carriage return arrive as they are")
			require.Equal(t, []string{"100", "1.2.3.4", `{"cost":1}`, notifyURL, openID, string(by)}, []string{in["total_fee"], in["spbill_create_ip"], in["detail"], in["notify_url"], in["openid"], in["sign_type"]})
			require.Len(t, in["time_expire"], 14)
			var raw map[string]string
			require.NoError(t, json.Unmarshal(p.Raw, &raw))
			require.Equal(t, "wx1", raw["prepay_id"])
			require.Equal(t, payv2.Sign(raw, by, apiKey), raw["sign"], "it is WeChat's whole reply")
			switch trade {
			case pay.JSAPI:
				require.Equal(t, string(by), p.Params["signType"])
				sign := p.Params["paySign"]
				delete(p.Params, "paySign")
				require.Equal(t, payv2.Sign(p.Params, by, apiKey), sign)
			case pay.APP:
				sign := p.Params["sign"]
				require.Equal(t, payv2.Sign(p.Params, by, apiKey), sign)
			case pay.Native:
				require.Equal(t, "weixin://x", p.CodeURL)
				require.Equal(t, "order-1", in["product_id"])
			case pay.H5:
				require.Equal(t, "https://wx.tenpay.com/x", p.H5URL)
				require.Contains(t, in["scene_info"], "h5_info")
			}
		}
	}
}

func TestShopsNameThemselvesInEachCall(t *testing.T) {
	f := newFake(func(path string, in fields) (fields, string) {
		return ok("prepay_id", "wx1", "out_trade_no", in["out_trade_no"], "trade_state", "NOTPAY", "sub_mch_id", in["sub_mch_id"]), ""
	})
	shop := f.merchant(t).Sub("1900000109", "wxsub")
	require.Equal(t, "v2/1900007291/1900000109", shop.Name())
	p, err := shop.Prepay(t.Context(), order(pay.JSAPI))
	require.NoError(t, err)
	require.Equal(t, "wxsub", p.Params["appId"])
	in := f.calls[0]
	require.Equal(t, []string{appID, mchID, "1900000109", "wxsub", openID, ""}, []string{in["appid"], in["mch_id"], in["sub_mch_id"], in["sub_appid"], in["sub_openid"], in["openid"]})
	_, err = shop.Query(t.Context(), "order-1")
	require.NoError(t, err)
	require.Equal(t, "1900000109", f.calls[1]["sub_mch_id"])
	_, err = f.merchant(t).Sub("x", "").Query(t.Context(), "order-1")
	require.ErrorAs(t, err, new(*pay.FieldError))
}

func TestStatesAreThoseOfAPIv3(t *testing.T) {
	var answer fields
	f := newFake(func(string, fields) (fields, string) { return answer, "" })
	m := f.merchant(t)
	answer = ok("out_trade_no", "order-1", "trade_state", "NOTPAY", "trade_type", "MWEB")
	got, err := m.Query(t.Context(), "order-1")
	require.NoError(t, err)
	require.Equal(t, []any{pay.NotPaid, pay.H5}, []any{got.State, got.Trade})
	for word, want := range map[string]pay.State{"SUCCESS": pay.Success, "CHANGE": pay.Abnormal, "REFUNDCLOSE": pay.Closed, "PROCESSING": pay.Processing} {
		answer = atWeChat("refund_status_1", word)
		f, err := m.QueryRefund(t.Context(), "refund-1")
		require.NoError(t, err)
		require.Equal(t, want, f.State)
	}
	answer = ok("out_trade_no", "order-2", "trade_state", "SUCCESS", "total_fee", "1")
	_, err = m.Query(t.Context(), "order-1")
	require.ErrorIs(t, err, pay.ErrUnknown)
	answer = refused("ORDERPAID", "paid")
	require.ErrorIs(t, m.Close(t.Context(), "order-1"), pay.ErrPaid)
}

func TestRefundsPresentTheCertificate(t *testing.T) {
	f := newFake(func(path string, in fields) (fields, string) {
		return ok("out_trade_no", "order-1", "out_refund_no", in["out_refund_no"], "refund_id", "5", "refund_fee", in["refund_fee"], "total_fee", in["total_fee"]), ""
	})
	ask := pay.Refund{OutTradeNo: "order-1", OutRefundNo: "refund-1", Fen: 30, TotalFen: 100, Reason: "late"}
	got, err := f.merchant(t).Refund(t.Context(), ask)
	require.NoError(t, err)
	require.Equal(t, pay.Processing, got.State)
	require.Equal(t, "/secapi/pay/refund", f.paths[0])
	require.Equal(t, 1, f.certs[0])
	require.Equal(t, "late", f.calls[0]["refund_desc"])
	_, err = f.merchant(t, func(c *payv2.Config) { c.Certificate.Certificate, c.Certificate.PrivateKey = nil, nil }).Refund(t.Context(), ask)
	require.ErrorIs(t, err, pay.ErrSettings)
	require.ErrorContains(t, err, "not sent")
	require.Len(t, f.paths, 1, "nothing was sent")
	require.EqualValues(t, 7*time.Second, payv2.DefaultHTTP.Transport.(*http.Transport).IdleConnTimeout)
}

func TestPaymentCodesArePolledAndReversed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queries, recalls := 0, 0
		until := 3
		f := newFake(nil)
		f.answer = func(path string, in fields) (fields, string) {
			switch path {
			case "/pay/micropay":
				return refused("USERPAYING", "需要用户输入支付密码"), ""
			case "/secapi/pay/reverse":
				if recalls++; recalls < 3 {
					return ok("result_code", "FAIL", "err_code", "BIZERR_NEED_RETRY", "recall", "Y"), ""
				}
				return ok("recall", "N"), ""
			}
			if queries++; queries < until {
				return ok("out_trade_no", "order-1", "trade_state", "USERPAYING"), ""
			}
			return ok("out_trade_no", "order-1", "trade_state", "SUCCESS", "total_fee", "100", "transaction_id", "4", "trade_type", "MICROPAY"), ""
		}
		c := config()
		c.HTTP = f.client()
		m := newMerchant(t, c)
		p, err := m.Prepay(t.Context(), order(pay.Code))
		require.NoError(t, err)
		require.Equal(t, []any{pay.Success, pay.Code}, []any{p.Transaction.State, p.Transaction.Trade})
		require.NotContains(t, f.calls[0], "notify_url")
		queries, until = 0, 1000
		start := time.Now()
		_, err = m.Prepay(t.Context(), order(pay.Code))
		require.ErrorIs(t, err, pay.ErrPaying)
		require.Equal(t, 45*time.Second, time.Since(start))
		require.NoError(t, m.Reverse(t.Context(), "order-1"))
		require.Equal(t, 3, recalls)
	})
}
