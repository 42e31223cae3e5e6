package paytest_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	unified = "/pay/unifiedorder"
	queryV2 = "/pay/orderquery"
	closeV2 = "/pay/closeorder"
)

// bothSigns runs a test for each type of signature.
func bothSigns(t *testing.T, run func(t *testing.T, s *paytest.Server, c *v2Client)) {
	for _, kind := range []string{"", "MD5", "HMAC-SHA256"} {
		t.Run("sign_type "+kind, func(t *testing.T) {
			s := newServer(t)
			c := v2Shop(t, s)
			c.kind = kind
			run(t, s, c)
		})
	}
}

func TestV2OrdersArePlacedQueriedAndPaid(t *testing.T) {
	bothSigns(t, func(t *testing.T, s *paytest.Server, c *v2Client) {
		got := c.do(unified, v2Order("order-1", "100").and("attach", "a]]>&<b", "device_info", "till"))
		require.Regexp(t, `^wx`, got["prepay_id"])
		require.Equal(t, "JSAPI", got["trade_type"])
		require.Equal(t, appID, got["appid"])
		require.Equal(t, "till", got["device_info"])
		require.Equal(t, got["prepay_id"], c.do(unified, v2Order("order-1", "100").and("attach", "a]]>&<b", "device_info", "till", "nonce_str", "other"))["prepay_id"])

		got = c.do(queryV2, texts{"out_trade_no": "order-1"})
		require.Equal(t, "NOTPAY", got["trade_state"])
		require.Equal(t, "100", got["total_fee"])
		require.NotContains(t, got, "transaction_id")

		id, err := s.Pay(mchID, "order-1", payer)
		require.NoError(t, err)
		got = c.do(queryV2, texts{"transaction_id": id, "out_trade_no": "another-1"})
		require.Equal(t, "SUCCESS", got["trade_state"])
		require.Equal(t, "order-1", got["out_trade_no"])
		require.Equal(t, payer, got["openid"])
		require.Equal(t, "a]]>&<b", got["attach"])
		require.Equal(t, "100", got["cash_fee"])
		_, err = time.Parse("20060102150405", got["time_end"])
		require.NoError(t, err)

		c.refused("ORDERPAID", unified, v2Order("order-1", "100").and("attach", "a]]>&<b", "device_info", "till"))
		c.refused("ORDERPAID", closeV2, texts{"out_trade_no": "order-1"})
		c.refused("ORDERNOTEXIST", queryV2, texts{"out_trade_no": "nothing"})
	})
}

func TestV2OrdersFollowWeChatsRulesOfNumbers(t *testing.T) {
	s := newServer(t)
	c := v2Shop(t, s)
	v3 := newClient(t, s, paytest.Merchant{MchID: "1900000002", AppIDs: []string{appID}})
	c.do(unified, v2Native("order-1", "100"))
	require.Contains(t, c.refused("INVALID_REQUEST", unified, v2Native("order-1", "101"))["err_code_des"], "订单重入")
	c.refused("OUT_TRADE_NO_USED", unified, v2Order("order-1", "100"))
	require.NoError(t, s.StartPaying(mchID, "order-1"))
	c.refused("USERPAYING", closeV2, texts{"out_trade_no": "order-1"})
	require.NoError(t, s.CancelPaying(mchID, "order-1"))
	c.do(closeV2, texts{"out_trade_no": "order-1"})
	c.refused("ORDERCLOSED", closeV2, texts{"out_trade_no": "order-1"})
	c.refused("ORDERCLOSED", unified, v2Native("order-1", "100"))
	require.Equal(t, "CLOSED", c.do(queryV2, texts{"out_trade_no": "order-1"})["trade_state"])

	v3.do("POST", jsapi, with(order("order-1", 1), "mchid", "1900000002"))
	other := &v2Client{t: t, http: c.http, m: v3.m, key: v3.m.APIKey}
	other.refused("OUT_TRADE_NO_USED", unified, v2Order("order-1", "1").and("body", "socks"))
	require.Equal(t, "NOTPAY", other.do(queryV2, texts{"out_trade_no": "order-1"})["trade_state"])
	other.do(unified, v2Order("order-2", "1"))
	v3.refused(403, "OUT_TRADE_NO_USED", "POST", jsapi, with(order("order-2", 1), "mchid", "1900000002"))
	require.Equal(t, "NOTPAY", v3.do("GET", "/v3/pay/transactions/out-trade-no/order-2?mchid=1900000002", nil).text("trade_state"))
}

func TestV2RefusesWhatWeChatRefusesUnsigned(t *testing.T) {
	c := v2Shop(t, newServer(t))
	for name, v := range map[string]texts{
		"no body":          v2Order("order-1", "1").and("body", "-"),
		"an empty body":    v2Order("order-1", "1").and("body", ""),
		"a long body":      v2Order("order-1", "1").and("body", strings.Repeat("长", 129)),
		"an emoji":         v2Order("order-1", "1").and("body", "💖"),
		"a long attach":    v2Order("order-1", "1").and("attach", strings.Repeat("a", 128)),
		"a long nonce":     v2Order("order-1", "1").and("nonce_str", strings.Repeat("a", 33)),
		"no nonce":         v2Order("order-1", "1").and("nonce_str", ""),
		"no number":        v2Order("order-1", "1").and("out_trade_no", "-"),
		"a short number":   v2Order("order", "1"),
		"a long number":    v2Order(strings.Repeat("1", 33), "1"),
		"a spaced number":  v2Order("order 1", "1"),
		"no fee":           v2Order("order-1", "1").and("total_fee", "-"),
		"nothing to pay":   v2Order("order-1", "0"),
		"a negative fee":   v2Order("order-1", "-1"),
		"yuan":             v2Order("order-1", "0.01"),
		"a huge fee":       v2Order("order-1", "99999999999999999999"),
		"dollars":          v2Order("order-1", "1").and("fee_type", "USD"),
		"no address":       v2Order("order-1", "1").and("spbill_create_ip", "-"),
		"a host's name":    v2Order("order-1", "1").and("spbill_create_ip", "localhost"),
		"no notify_url":    v2Order("order-1", "1").and("notify_url", "-"),
		"a query":          v2Order("order-1", "1").and("notify_url", hook+"?a=b"),
		"no trade_type":    v2Order("order-1", "1").and("trade_type", "-"),
		"H5 as in v3":      v2Order("order-1", "1").and("trade_type", "H5"),
		"no openid":        v2Order("order-1", "1").and("openid", "-"),
		"no product_id":    v2Native("order-1", "1").and("product_id", "-"),
		"MWEB alone":       v2Order("order-1", "1").and("trade_type", "MWEB"),
		"a broken scene":   v2Order("order-1", "1").and("scene_info", "{"),
		"a local time":     v2Order("order-1", "1").and("time_expire", "2030-01-01 00:00:00"),
		"a wrong start":    v2Order("order-1", "1").and("time_start", "now"),
		"a wrong limit":    v2Order("order-1", "1").and("limit_pay", "no_debit"),
		"a wrong sharing":  v2Order("order-1", "1").and("profit_sharing", "true"),
		"an unknown mchid": v2Order("order-1", "1").and("mch_id", "1900009999"),
		"no mch_id":        v2Order("order-1", "1").and("mch_id", ""),
		"another's appid":  v2Order("order-1", "1").and("appid", "wx2222222222222222"),
		"no appid":         v2Order("order-1", "1").and("appid", ""),
	} {
		t.Run(name, func(t *testing.T) {
			c := *c
			c.t = t
			c.unread(unified, v)
		})
	}
	c.refused("INVALID_REQUEST", unified, v2Order("order-1", "1").and("time_expire", time.Now().Add(-time.Hour).In(time.FixedZone("", 8*3600)).Format("20060102150405")))
	c.refused("ORDERNOTEXIST", queryV2, texts{"out_trade_no": "order-1"})
}

func TestV2TakesWhatWeChatTakes(t *testing.T) {
	c := v2Shop(t, newServer(t))
	in := time.Now().Add(90 * time.Second).In(time.FixedZone("", 8*3600)).Format("20060102150405")
	for name, v := range map[string]texts{
		"all characters of a number": v2Order("a_b-c|d*e@f", "1"),
		"a number of 6":              v2Order("123456", "1"),
		"an empty field":             v2Order("order-01", "1").and("detail", "", "attach", ""),
		"an unknown field":           v2Order("order-02", "1").and("op_user_id", "1", "Zeta", "2", "coupon_id_0", "3"),
		"IPv6":                       v2Order("order-03", "1").and("spbill_create_ip", "2001:db8::1"),
		"http":                       v2Order("order-04", "1").and("notify_url", "http://shop.example/paid"),
		"an end":                     v2Order("order-05", "1").and("time_expire", in),
		"the longest body":           v2Order("order-06", "1").and("body", strings.Repeat("长", 127)),
		"blanks around":              v2Order("order-07", "1").and("body", " a "),
		"an app":                     v2Order("order-08", "1").and("trade_type", "APP", "openid", "-"),
		"a store":                    v2Order("order-09", "1").and("scene_info", `{"store_info":{"id":"1","name":"店"}}`),
		"a wap page": v2Order("order-10", "1").and("trade_type", "MWEB", "openid", "-",
			"scene_info", `{"h5_info":{"type":"Wap","wap_url":"https://shop.example","wap_name":"店"}}`),
		"no credit": v2Order("order-11", "1").and("limit_pay", "no_credit", "receipt", "Y", "profit_sharing", "N", "fee_type", "CNY"),
	} {
		t.Run(name, func(t *testing.T) {
			c := *c
			c.t = t
			c.do(unified, v)
		})
	}
}

func TestV2ServiceProvidersPlaceOrdersForSubMerchants(t *testing.T) {
	in := new(v2Inbox)
	s := newServer(t)
	s.Transport = paytest.InMemory(in)
	c := newV2(t, s, paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, Subs: []paytest.Sub{{MchID: "1900000011", AppIDs: []string{"wx3"}}}})
	sub := v2Order("order-1", "5").and("sub_mch_id", "1900000011", "sub_appid", "wx3", "openid", "-", "sub_openid", "o-sub")
	require.Contains(t, c.refused("PARAM_ERROR", unified, sub.and("sub_mch_id", "-"))["err_code_des"], "sub_mch_id")
	c.refused("NOAUTH", unified, sub.and("sub_mch_id", "1900000012"))
	require.Contains(t, c.unread(unified, sub.and("sub_appid", "wx4")), "sub_appid")
	c.unread(unified, sub.and("sub_appid", "-"))
	require.Equal(t, "1900000011", c.do(unified, sub)["sub_mch_id"])
	_, err := s.Pay("1900000011", "order-1", "o-sub")
	require.NoError(t, err)
	got := c.do(queryV2, texts{"out_trade_no": "order-1", "sub_mch_id": "1900000011"})
	require.Equal(t, "SUCCESS", got["trade_state"])
	require.Equal(t, "o-sub", got["sub_openid"])
	require.Eventually(t, func() bool { return len(in.all(t)) == 1 }, 10*time.Second, time.Millisecond)
	note := in.all(t)[0]
	require.Equal(t, signV2(note, "", c.key), note["sign"])
	require.Equal(t, []string{mchID, "1900000011", "wx3"}, []string{note["mch_id"], note["sub_mch_id"], note["sub_appid"]})
}

// The vectors of the signature are of WeChat's documentation.
func TestV2SignsAsTheDocumentationDoes(t *testing.T) {
	require.Equal(t, "9A0A8659F005D6984697E2CA0A9CF3B7", paytest.SignV2(docFields, "MD5", docKey))
	require.Equal(t, "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6", paytest.SignV2(docFields, "HMAC-SHA256", docKey))
	more := docFields.and("attach", "", "sign", "IGNORED", "sign_type", "HMAC-SHA256", "zeta", "1", "Alpha", "2")
	require.Equal(t, "F6284130396E6672E5EBD44E4FBF56999D65B9BCB1DA6F347D97A9D0F079F526", paytest.SignV2(more, "HMAC-SHA256", docKey))
	pay := texts{"appId": "wxd678efh567hg6787", "timeStamp": "1414561699", "nonceStr": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", "package": "prepay_id=wx2017033010242291fcfe0db70013231072", "signType": "MD5"}
	require.Equal(t, "ECB7875E525BA5236CB3C7D3C4E23E10", paytest.SignV2(pay, "MD5", "qazwsxedcrfvtgbyhnujmikolp111111"))

	file, err := os.ReadFile("testdata/v2/req_info.json")
	require.NoError(t, err)
	var vector struct{ Key, Plain, ReqInfo string }
	require.NoError(t, json.Unmarshal(file, &vector))
	require.Equal(t, vector.ReqInfo, paytest.SealRefund(vector.Key, []byte(vector.Plain)))
}

const docKey = "192006250b4c09247ec02edce69f6a2d"

var docFields = texts{"appid": "wxd930ea5d5a258f4f", "mch_id": "10000100", "device_info": "1000", "body": "test", "nonce_str": "ibuaiVcKdpRxkhJA"}

func TestAnOrderOfV2ExpiresForThePayerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := v2Shop(t, s)
		end := time.Now().Add(5 * time.Minute).In(time.FixedZone("", 8*3600)).Format("20060102150405")
		c.do(unified, v2Native("order-1", "1").and("time_expire", end))
		time.Sleep(5 * time.Minute)
		_, err := s.Pay(mchID, "order-1", "")
		require.ErrorContains(t, err, "expired")
		require.Equal(t, "NOTPAY", c.do(queryV2, texts{"out_trade_no": "order-1"})["trade_state"])
	})
}
