package paytest_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const combine = "/v3/combine-transactions/"

func part(no string, fen int) object {
	return object{"mchid": mchID, "attach": "a", "description": "socks", "out_trade_no": no, "amount": object{"total_amount": fen, "currency": "CNY"}}
}

func combined(no string, parts ...object) object {
	return object{
		"combine_appid": appID, "combine_mchid": mchID, "combine_out_trade_no": no, "sub_orders": parts,
		"combine_payer_info": object{"openid": payer}, "notify_url": hook,
	}
}

func TestACombinedOrderIsPaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := new(inbox)
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		c := shop(t, s)
		newClient(t, s, paytest.Merchant{MchID: "1900000009"})
		newClient(t, s, paytest.Merchant{MchID: "1900000100", Subs: []paytest.Sub{{MchID: "1900000101"}}})
		body := combined("combined-1", part("part-1", 1), with(part("part-2", 2), "mchid", "1900000009"),
			with(part("part-1", 3), "mchid", "1900000100", "sub_mchid", "1900000101"))
		id := c.do("POST", combine+"jsapi", body).text("prepay_id")
		require.Equal(t, id, c.do("POST", combine+"jsapi", body).text("prepay_id"))
		c.refused(400, "INVALID_REQUEST", "POST", combine+"jsapi", with(body, "notify_url", hook+"2"))
		c.refused(403, "OUT_TRADE_NO_USED", "POST", combine+"jsapi", combined("combined-2", part("part-1", 1)))
		c.refused(403, "OUT_TRADE_NO_USED", "POST", jsapi, order("part-1", 1))
		c.refused(400, "INVALID_REQUEST", "POST", byNo+"part-1/close", object{"mchid": mchID})
		require.NoError(t, s.StartPaying("1900000009", "part-2"))
		c.refused(202, "USER_PAYING", "POST", combine+"out-trade-no/combined-1/close", body)

		_, err := s.Pay("1900000101", "part-1", "")
		require.NoError(t, err)
		synctest.Wait()
		got := in.got(c)
		require.Len(t, got, 1)
		require.NoError(t, c.verify(got[0].head, got[0].body))
		require.Equal(t, "TRANSACTION.SUCCESS", got[0].Event)
		require.NotContains(t, got[0].plain, "out_trade_no")
		shown := c.do("GET", combine+"out-trade-no/combined-1", nil).fields
		require.Equal(t, shown, got[0].plain)
		require.Equal(t, object{"openid": payer}, shown["combine_payer_info"])
		subs := shown["sub_orders"].([]any)
		require.Len(t, subs, 3)
		ids := map[any]bool{}
		for i, fen := range []float64{1, 2, 3} {
			sub := subs[i].(object)
			require.Equal(t, "SUCCESS", sub["trade_state"])
			require.Equal(t, fen, sub["amount"].(object)["total_amount"])
			ids[sub["transaction_id"]] = true
		}
		require.Len(t, ids, 3)
		require.Equal(t, "1900000101", subs[2].(object)["sub_mchid"])

		c.refused(400, "ORDER_PAID", "POST", combine+"out-trade-no/combined-1/close", body)
		c.refused(400, "ORDER_PAID", "POST", combine+"jsapi", body)
		c.do("POST", refunds, refund("r1", "part-1", 1, 1))
		c.refused(404, "ORDER_NOT_EXIST", "GET", combine+"out-trade-no/combined-9", nil)
	})
}

func TestACombinedOrderIsClosedWhole(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	body := combined("combined-1", part("part-1", 1), part("part-2", 2))
	c.do("POST", combine+"native", body)
	path := combine + "out-trade-no/combined-1/close"
	c.refused(400, "PARAM_ERROR", "POST", path, with(body, "sub_orders", []object{part("part-1", 1)}))
	c.refused(400, "PARAM_ERROR", "POST", path, with(body, "sub_orders", []object{part("part-1", 1), part("part-2", 1), part("part-3", 1)}))
	c.refused(400, "PARAM_ERROR", "POST", path, with(body, "combine_appid", nil))
	c.refused(404, "ORDER_NOT_EXIST", "POST", combine+"out-trade-no/combined-9/close", body)
	for range 2 {
		require.Equal(t, 204, c.do("POST", path, object{"combine_appid": appID, "sub_orders": []object{
			{"mchid": mchID, "out_trade_no": "part-1"}, {"mchid": mchID, "out_trade_no": "part-2"},
		}}).status)
	}
	_, err := s.Pay(mchID, "part-1", "")
	require.Error(t, err)
	c.refused(400, "ORDER_CLOSED", "POST", combine+"native", body)
}

func TestACombinedOrderIsCheckedPartByPart(t *testing.T) {
	c := shop(t, newServer(t))
	one := part("part-1", 1)
	many := make([]object, 51)
	for i := range many {
		many[i] = part(fmt.Sprintf("part-%d", i), 1)
	}
	for name, body := range map[string]object{
		"no appid":       with(combined("combined-1", one), "combine_appid", nil),
		"no mchid":       with(combined("combined-1", one), "combine_mchid", nil),
		"another's":      with(combined("combined-1", one), "combine_mchid", "1900000009"),
		"no number":      with(combined("combined-1", one), "combine_out_trade_no", nil),
		"bad number":     combined("c.1", one),
		"no parts":       combined("combined-1"),
		"51 parts":       combined("combined-1", many...),
		"no notify_url":  with(combined("combined-1", one), "notify_url", nil),
		"bad notify_url": with(combined("combined-1", one), "notify_url", "paid"),
		"no payer":       with(combined("combined-1", one), "combine_payer_info", nil),
		"bad expiry":     with(combined("combined-1", one), "time_expire", "soon"),
		"no attach":      combined("combined-1", with(one, "attach", nil)),
		"no description": combined("combined-1", with(one, "description", nil)),
		"no part number": combined("combined-1", with(one, "out_trade_no", nil)),
		"no amount":      combined("combined-1", with(one, "amount", nil)),
		"no currency":    combined("combined-1", with(one, "amount", object{"total_amount": 1})),
		"no part mchid":  combined("combined-1", with(one, "mchid", nil)),
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.refused(400, "PARAM_ERROR", "POST", combine+"jsapi", body)
		})
	}
	c.t = t
	c.refused(400, "PARAM_ERROR", "POST", combine+"h5", combined("combined-1", one))
	c.refused(400, "APPID_MCHID_NOT_MATCH", "POST", combine+"jsapi", with(combined("combined-1", one), "combine_appid", "wx9"))
	c.refused(400, "MCH_NOT_EXISTS", "POST", combine+"jsapi", combined("combined-1", with(one, "mchid", "1900000009")))
	c.refused(403, "OUT_TRADE_NO_USED", "POST", combine+"jsapi", combined("combined-1", one, one))
	c.do("POST", combine+"app", combined("combined-1", many[:50]...))
}
