package paytest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const codepay = "/v3/pay/transactions/codepay"

func codeOrder(no, code string) object {
	return object{
		"appid": appID, "mchid": mchID, "description": "socks", "out_trade_no": no, "amount": object{"total": 5},
		"payer": object{"auth_code": code}, "scene_info": object{"store_info": object{"out_id": "1"}},
	}
}

func TestAPaymentCodePaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := new(inbox)
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		c := shop(t, s)
		code := s.PayCode(payer, false)
		require.Regexp(t, `^1[0-5]\d{16}$`, code)
		r := c.do("POST", codepay, codeOrder("order-1", code))
		require.Equal(t, "SUCCESS", r.text("trade_state"))
		require.Equal(t, "MICROPAY", r.text("trade_type"))
		require.Equal(t, object{"openid": payer}, r.fields["payer"])
		c.refused(400, "ORDER_PAID", "POST", codepay, codeOrder("order-1", code))
		c.refused(400, "AUTH_CODE_INVALID", "POST", codepay, codeOrder("order-2", code))
		c.refused(400, "AUTH_CODE_INVALID", "POST", codepay, codeOrder("order-2", "130000000000000000"))
		c.refused(400, "AUTH_CODE_INVALID", "POST", codepay, codeOrder("order-2", "99"))
		c.refused(404, "ORDER_NOT_EXIST", "GET", byNo+"order-2?mchid="+mchID, nil)
		old := s.PayCode(payer, false)
		time.Sleep(time.Minute)
		c.refused(400, "AUTHCODEEXPIRE", "POST", codepay, codeOrder("order-2", old))
		c.refused(400, "PARAM_ERROR", "POST", codepay, with(codeOrder("order-2", old), "payer", nil))
		c.refused(400, "PARAM_ERROR", "POST", codepay, with(codeOrder("order-2", old), "scene_info", nil))
		require.Empty(t, in.all(), "a payment by code is not notified")
	})
}

func TestAnOrderIsUserPayingUntilThePasswordIsEntered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := shop(t, s)
		for no, end := range map[string]string{"order-1": "SUCCESS", "order-2": "PAYERROR", "order-3": "REVOKED"} {
			body := codeOrder(no, s.PayCode("", true))
			for range 2 {
				c.refused(202, "USER_PAYING", "POST", codepay, body)
			}
			require.Equal(t, "USERPAYING", c.state(no))
			c.refused(202, "USER_PAYING", "POST", byNo+no+"/close", object{"mchid": mchID})
			time.Sleep(45 * time.Second)
			require.Equal(t, "USERPAYING", c.state(no))
			switch end {
			case "SUCCESS":
				_, err := s.Pay(mchID, no, "")
				require.NoError(t, err)
			case "PAYERROR":
				require.NoError(t, s.CancelPaying(mchID, no))
			case "REVOKED":
				time.Sleep(time.Second)
			}
			require.Equal(t, end, c.state(no))
		}
	})
}

func TestAnOrderByCodeIsReversed(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	reverse := object{"appid": appID, "mchid": mchID}
	c.do("POST", codepay, codeOrder("order-1", s.PayCode("", false)))
	c.refused(400, "PARAM_ERROR", "POST", byNo+"order-1/reverse", with(reverse, "appid", nil))
	for range 2 {
		r := c.do("POST", byNo+"order-1/reverse", reverse)
		require.Equal(t, 200, r.status)
		require.Equal(t, object{"appid": appID, "mchid": mchID, "out_trade_no": "order-1"}, r.fields)
	}
	require.Equal(t, "REVOKED", c.state("order-1"))
	balance, err := s.Deposit(mchID, 0)
	require.NoError(t, err)
	require.Zero(t, balance)
	c.refused(400, "ORDER_REVERSED", "POST", codepay, codeOrder("order-1", s.PayCode("", false)))
	c.refused(403, "OUT_TRADE_NO_USED", "POST", jsapi, order("order-1", 5))
	c.refused(400, "ORDER_REVERSED", "POST", byNo+"order-1/close", object{"mchid": mchID})
	c.paid(s, "order-2", 5)
	c.refused(400, "INVALID_REQUEST", "POST", byNo+"order-2/reverse", reverse)
	c.refused(404, "ORDER_NOT_EXIST", "POST", byNo+"order-9/reverse", reverse)

	const provider, sub = "1900000100", "1900000101"
	p := newClient(t, s, paytest.Merchant{MchID: provider, Subs: []paytest.Sub{{MchID: sub}}})
	body := with(codeOrder("order-1", s.PayCode("", true)), "appid", nil, "mchid", nil, "sp_appid", appID, "sp_mchid", provider, "sub_mchid", sub)
	p.refused(202, "USER_PAYING", "POST", "/v3/pay/partner/transactions/codepay", body)
	r := p.do("POST", "/v3/pay/partner/transactions/out-trade-no/order-1/reverse", object{"sp_appid": appID, "sp_mchid": provider, "sub_mchid": sub})
	require.Equal(t, object{"sp_appid": appID, "sp_mchid": provider, "sub_mchid": sub, "out_trade_no": "order-1"}, r.fields)
}
