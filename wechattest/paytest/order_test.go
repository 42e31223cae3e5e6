package paytest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	jsapi  = "/v3/pay/transactions/jsapi"
	native = "/v3/pay/transactions/native"
	byNo   = "/v3/pay/transactions/out-trade-no/"
)

func nativeOrder(no string, fen int) object { return with(order(no, fen), "payer", nil) }

func (c *client) state(no string) string {
	c.t.Helper()
	return c.do("GET", byNo+no+"?mchid="+mchID, nil).text("trade_state")
}

func TestAnOrderIsPlacedPaidAndNotified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := new(inbox)
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		c := shop(t, s)
		r := c.do("POST", jsapi, with(order("order-1", 100), "attach", "a&b<c>"))
		require.Regexp(t, `^wx\d{14}[0-9a-f]{20}$`, r.text("prepay_id"))
		require.Equal(t, object{
			"appid": appID, "mchid": mchID, "out_trade_no": "order-1", "trade_state": "NOTPAY", "trade_state_desc": "订单未支付",
			"amount": object{"total": 100.0, "currency": "CNY"},
		}, c.do("GET", byNo+"order-1?mchid="+mchID, nil).fields)

		_, err := s.Pay(mchID, "order-1", "somebody else")
		require.ErrorContains(t, err, "another openid")
		id, err := s.Pay(mchID, "order-1", "")
		require.NoError(t, err)
		found, err := s.Paid(id)
		require.NoError(t, err)
		require.Equal(t, "order-1", found.OutTradeNo)
		_, err = s.Paid("made-up")
		require.Error(t, err)
		require.Regexp(t, `^4200\d{24}$`, id)
		synctest.Wait()
		got := in.got(c)
		require.Len(t, got, 1)
		require.NoError(t, c.verify(got[0].head, got[0].body))
		require.Contains(t, string(got[0].body), `"resource_type":"encrypt-resource"`)
		require.Equal(t, "TRANSACTION.SUCCESS", got[0].Event)
		require.Equal(t, "transaction", got[0].Seal.OriginalType)
		require.Equal(t, "AEAD_AES_256_GCM", got[0].Seal.Algorithm)
		require.Equal(t, object{
			"appid": appID, "mchid": mchID, "out_trade_no": "order-1", "transaction_id": id, "trade_state": "SUCCESS",
			"trade_state_desc": "支付成功", "trade_type": "JSAPI", "bank_type": "OTHERS", "attach": "a&b<c>",
			"success_time": time.Now().In(time.FixedZone("", 8*3600)).Format(time.RFC3339), "payer": object{"openid": payer},
			"amount": object{"total": 100.0, "payer_total": 100.0, "currency": "CNY", "payer_currency": "CNY"},
		}, got[0].plain)
		require.Equal(t, got[0].plain, c.do("GET", "/v3/pay/transactions/id/"+id+"?mchid="+mchID, nil).fields)
		c.refused(404, "ORDER_NOT_EXIST", "GET", "/v3/pay/transactions/id/4200?mchid="+mchID, nil)

		c.refused(400, "ORDER_PAID", "POST", byNo+"order-1/close", object{"mchid": mchID})
		c.refused(400, "ORDER_PAID", "POST", jsapi, with(order("order-1", 100), "attach", "a&b<c>"))
		_, err = s.Pay(mchID, "order-1", "")
		require.ErrorContains(t, err, "paid already")
		shown, err := s.Order(mchID, "order-1")
		require.NoError(t, err)
		require.Equal(t, "SUCCESS", shown.State)
		require.Equal(t, payer, shown.OpenID)
	})
}

func TestOrdersOfEachTradeArePaid(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	h5 := object{"payer_client_ip": "1.2.3.4", "h5_info": object{"type": "Wap"}}
	for trade, want := range map[string]struct{ field, form, kind string }{
		"jsapi":  {"prepay_id", `^wx[0-9a-f]+$`, "JSAPI"},
		"native": {"code_url", `^weixin://wxpay/bizpayurl\?pr=\w+$`, "NATIVE"},
		"app":    {"prepay_id", `^wx[0-9a-f]+$`, "APP"},
		"h5":     {"h5_url", `^https://wx\.tenpay\.com/cgi-bin/mmpayweb-bin/checkmweb\?prepay_id=wx\w+&package=\d+$`, "MWEB"},
	} {
		body := with(order("order-"+trade, 1), "scene_info", h5)
		r := c.do("POST", "/v3/pay/transactions/"+trade, body)
		require.Len(t, r.fields, 1)
		require.Regexp(t, want.form, r.text(want.field))
		_, err := s.Pay(mchID, "order-"+trade, "")
		require.NoError(t, err)
		require.Equal(t, want.kind, c.do("GET", byNo+"order-"+trade+"?mchid="+mchID, nil).text("trade_type"))
	}
}

func TestAnOrderIsCheckedFieldByField(t *testing.T) {
	c := shop(t, newServer(t))
	for name, test := range map[string]struct {
		path, code string
		body       object
	}{
		"no appid":            {jsapi, "PARAM_ERROR", with(order("order-1", 1), "appid", nil)},
		"another's appid":     {jsapi, "APPID_MCHID_NOT_MATCH", with(order("order-1", 1), "appid", "wx2")},
		"no description":      {jsapi, "PARAM_ERROR", with(order("order-1", 1), "description", nil)},
		"a long description":  {jsapi, "PARAM_ERROR", with(order("order-1", 1), "description", strings.Repeat("长", 128))},
		"no number":           {jsapi, "PARAM_ERROR", with(order("order-1", 1), "out_trade_no", nil)},
		"a short number":      {jsapi, "PARAM_ERROR", order("12345", 1)},
		"a long number":       {jsapi, "PARAM_ERROR", order(strings.Repeat("1", 33), 1)},
		"a number with a dot": {jsapi, "PARAM_ERROR", order("order.1", 1)},
		"no amount":           {jsapi, "PARAM_ERROR", with(order("order-1", 1), "amount", nil)},
		"nothing to pay":      {jsapi, "PARAM_ERROR", order("order-1", 0)},
		"dollars":             {jsapi, "PARAM_ERROR", with(order("order-1", 1), "amount", object{"total": 1, "currency": "USD"})},
		"half a fen":          {jsapi, "PARAM_ERROR", with(order("order-1", 1), "amount", object{"total": 1.5})},
		"no payer":            {jsapi, "PARAM_ERROR", with(order("order-1", 1), "payer", nil)},
		"no notify_url":       {jsapi, "PARAM_ERROR", with(order("order-1", 1), "notify_url", nil)},
		"a query":             {jsapi, "PARAM_ERROR", with(order("order-1", 1), "notify_url", hook+"?a=1")},
		"a relative URL":      {jsapi, "PARAM_ERROR", with(order("order-1", 1), "notify_url", "/paid")},
		"a long attach":       {jsapi, "PARAM_ERROR", with(order("order-1", 1), "attach", strings.Repeat("a", 129))},
		"a time in v2's form": {jsapi, "PARAM_ERROR", with(order("order-1", 1), "time_expire", "20220421191948")},
		"no scene":            {"/v3/pay/transactions/h5", "PARAM_ERROR", order("order-1", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.refused(400, test.code, "POST", test.path, test.body)
		})
	}
	c.t = t
	r := c.refused(400, "PARAM_ERROR", "POST", jsapi, with(order("order-1", 1), "amount", object{"total": 1, "currency": "XYZ"}))
	require.Equal(t, object{"field": "/amount/currency", "value": "XYZ", "issue": "Currency code is invalid", "location": "body"}, r.fields["detail"])
	c.refused(404, "ORDER_NOT_EXIST", "GET", byNo+"order-1?mchid="+mchID, nil)
}

func TestAnOrderMayBePlacedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := shop(t, s)
		first := c.do("POST", native, nativeOrder("order-1", 1)).text("code_url")
		time.Sleep(2*time.Hour - time.Second)
		require.Equal(t, first, c.do("POST", native, nativeOrder("order-1", 1)).text("code_url"))
		shown, err := s.Prepaid(first)
		require.NoError(t, err)
		require.Equal(t, "order-1", shown.OutTradeNo)
		time.Sleep(time.Second)
		_, err = s.Prepaid(first)
		require.Error(t, err)
		_, err = s.Pay(mchID, "order-1", "")
		require.ErrorContains(t, err, "prepay_id has expired")
		require.NotEqual(t, first, c.do("POST", native, nativeOrder("order-1", 1)).text("code_url"))

		r := c.refused(400, "INVALID_REQUEST", "POST", native, nativeOrder("order-1", 2))
		require.Contains(t, r.text("message"), "订单重入")
		c.refused(403, "OUT_TRADE_NO_USED", "POST", jsapi, order("order-1", 1))
		_, err = s.Pay(mchID, "order-1", "")
		require.NoError(t, err)
	})
}

func TestAClosedOrderCannotBePaid(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	c.do("POST", native, nativeOrder("order-2", 5))
	for range 2 {
		r := c.do("POST", byNo+"order-2/close", object{"mchid": mchID})
		require.Equal(t, 204, r.status)
		require.Empty(t, r.body)
	}
	require.Equal(t, "CLOSED", c.state("order-2"))
	_, err := s.Pay(mchID, "order-2", "")
	require.ErrorContains(t, err, "CLOSED")
	c.refused(400, "ORDER_CLOSED", "POST", native, nativeOrder("order-2", 5))
	c.refused(404, "ORDER_NOT_EXIST", "POST", byNo+"order-3/close", object{"mchid": mchID})
	_, err = s.PayLate(mchID, "order-2", "")
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", c.state("order-2"))
}

func TestAnOrderThatIsBeingPaidCannotBeClosed(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	c.do("POST", native, nativeOrder("order-1", 5))
	require.NoError(t, s.StartPaying(mchID, "order-1"))
	r := c.refused(202, "USER_PAYING", "POST", byNo+"order-1/close", object{"mchid": mchID})
	require.NoError(t, c.verify(r.header, r.body))
	require.Equal(t, "NOTPAY", c.state("order-1"))
	require.NoError(t, s.CancelPaying(mchID, "order-1"))
	require.Equal(t, 204, c.do("POST", byNo+"order-1/close", object{"mchid": mchID}).status)
	require.Error(t, s.StartPaying(mchID, "order-1"))
}

func TestAnExpiredOrderStaysNotPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := shop(t, s)
		soon := time.Now().Add(10 * time.Minute).Format(time.RFC3339)
		c.do("POST", jsapi, with(order("order-1", 5), "time_expire", soon))
		c.do("POST", jsapi, with(order("order-2", 5), "time_expire", time.Now().Add(-time.Hour).Format(time.RFC3339)))
		c.do("POST", jsapi, with(order("order-3", 5), "time_expire", time.Now().AddDate(1, 0, 0).Format(time.RFC3339)))
		c.do("POST", jsapi, order("order-4", 5))
		for no, d := range map[string]time.Duration{
			"order-1": 10 * time.Minute, "order-2": time.Minute, "order-3": 90 * 24 * time.Hour, "order-4": 7 * 24 * time.Hour,
		} {
			shown, err := s.Order(mchID, no)
			require.NoError(t, err)
			require.WithinDuration(t, time.Now().Add(d), shown.Expires, time.Second, no)
		}
		time.Sleep(10 * time.Minute)
		_, err := s.Pay(mchID, "order-1", "")
		require.ErrorContains(t, err, "expired")
		require.Equal(t, "NOTPAY", c.state("order-1"))
		require.Equal(t, 204, c.do("POST", byNo+"order-1/close", object{"mchid": mchID}).status)
	})
}

func TestAProviderOrdersForItsShops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := new(inbox)
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		const provider, sub, sub2 = "1900000100", "1900000101", "1900000102"
		c := newClient(t, s, paytest.Merchant{MchID: provider, AppIDs: []string{"wxsp"}, Subs: []paytest.Sub{{MchID: sub, AppIDs: []string{"wxsub"}}, {MchID: sub2}}})
		const path = "/v3/pay/partner/transactions/"
		body := object{
			"sp_appid": "wxsp", "sp_mchid": provider, "sub_appid": "wxsub", "sub_mchid": sub, "description": "socks", "out_trade_no": "order-1",
			"notify_url": hook, "amount": object{"total": 5}, "payer": object{"sub_openid": payer},
		}
		c.refused(400, "PARAM_ERROR", "POST", path+"jsapi", with(body, "sub_mchid", nil))
		c.refused(400, "PARAM_ERROR", "POST", path+"jsapi", with(body, "sub_appid", nil))
		c.refused(400, "PARAM_ERROR", "POST", path+"jsapi", with(body, "payer", nil))
		c.refused(400, "APPID_MCHID_NOT_MATCH", "POST", path+"jsapi", with(body, "sub_appid", "wxsp"))
		c.refused(403, "NO_AUTH", "POST", path+"jsapi", with(body, "sub_mchid", mchID))
		direct := with(order("order-1", 5), "mchid", provider, "appid", "wxsp")
		require.Contains(t, c.refused(400, "PARAM_ERROR", "POST", jsapi, direct).text("message"), "受理机构必须传入sub_mch_id")
		c.do("POST", path+"jsapi", body)
		c.do("POST", path+"jsapi", with(body, "sub_mchid", sub2)) // a number is of one shop

		query := path + "out-trade-no/order-1?sp_mchid=" + provider
		c.refused(400, "PARAM_ERROR", "GET", query, nil)
		require.Equal(t, "NOTPAY", c.do("GET", query+"&sub_mchid="+sub, nil).text("trade_state"))
		id, err := s.Pay(sub, "order-1", "")
		require.NoError(t, err)
		synctest.Wait()
		got := in.got(c)
		require.Len(t, got, 1)
		require.NoError(t, c.verify(got[0].head, got[0].body))
		plain := got[0].plain
		require.Equal(t, plain, c.do("GET", path+"id/"+id+"?sp_mchid="+provider+"&sub_mchid="+sub, nil).fields)
		require.Equal(t, []any{"wxsp", provider, "wxsub", sub}, []any{plain["sp_appid"], plain["sp_mchid"], plain["sub_appid"], plain["sub_mchid"]})
		require.NotContains(t, plain, "mchid")
		require.Equal(t, payer, plain["payer"].(object)["sub_openid"])

		refund := object{"out_trade_no": "order-1", "out_refund_no": "r1", "amount": object{"refund": 5, "total": 5, "currency": "CNY"}, "notify_url": hook}
		require.Contains(t, c.refused(400, "PARAM_ERROR", "POST", refunds, refund).text("message"), "受理机构必须传入sub_mch_id")
		require.Equal(t, "PROCESSING", c.do("POST", refunds, with(refund, "sub_mchid", sub)).text("status"))
		c.refused(400, "PARAM_ERROR", "GET", refunds+"/r1", nil)
		require.Equal(t, id, c.do("GET", refunds+"/r1?sub_mchid="+sub, nil).text("transaction_id"))
		require.NoError(t, s.FinishRefund(sub, "r1", "SUCCESS"))
		synctest.Wait()
		require.Equal(t, sub, in.got(c)[1].plain["sub_mchid"])

		require.Equal(t, 204, c.do("POST", path+"out-trade-no/order-1/close", object{"sp_mchid": provider, "sub_mchid": sub2}).status)
		other := newClient(t, s, paytest.Merchant{MchID: "1900000200", Subs: []paytest.Sub{{MchID: sub}}})
		other.refused(404, "ORDER_NOT_EXIST", "GET", path+"out-trade-no/order-1?sp_mchid=1900000200&sub_mchid="+sub, nil)
		other.refused(404, "RESOURCE_NOT_EXISTS", "POST", refunds, with(refund, "sub_mchid", sub))
	})
}
