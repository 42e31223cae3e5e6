package wechattest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

const shippingReport = `{"order_key":{"order_number_type":1,"mchid":"19","out_trade_no":"socks-1"},"logistics_type":3,"delivery_mode":1,
	"shipping_list":[{"item_desc":"socks"}],"upload_time":"2026-11-27T10:00:00.120+08:00","payer":{"openid":"o1"}}`

// shipper returns a function that uploads a report to a server that knows one payment.
func shipper(t *testing.T) (wx *wechattest.Server, upload func(report string, changes ...string) answer) {
	wx = miniServer()
	wx.Payments = func(named wechattest.Payment) (wechattest.Payment, bool) {
		paid := wechattest.Payment{MchID: "19", OutTradeNo: "socks-1", TransactionID: "42", OpenID: "o1"}
		if named.OutTradeNo == "gone" {
			return wechattest.Payment{OpenID: "o1", Refunded: true}, true
		}
		return paid, named.TransactionID == "42" || named.OutTradeNo == "socks-1"
	}
	return wx, func(report string, changes ...string) answer {
		t.Helper()
		text := strings.NewReplacer(changes...).Replace(report)
		return post(t, wx, api+"/wxa/sec/order/upload_shipping_info?access_token="+classic(t, wx).Token, text)
	}
}

func TestAReportOfShippingIsChecked(t *testing.T) {
	wx, upload := shipper(t)
	long := strings.Repeat("袜", 121)
	for want, changes := range map[int][]string{
		47001:     {"{\"order_key\"", "[{\"order_key\""},
		268485194: {`"order_number_type":1`, `"order_number_type":3`},
		268485195: {`"order_number_type":1`, `"order_number_type":2`},
		268485196: {`"mchid":"19"`, `"mchid":""`},
		268485197: {`"out_trade_no":"socks-1"`, `"out_trade_no":""`},
		10060005:  {`"logistics_type":3`, `"logistics_type":5`},
		268485224: {`"delivery_mode":1`, `"delivery_mode":0`},
		10060006:  {`"delivery_mode":1`, `"delivery_mode":2`},
		10060007:  {`"logistics_type":3,"delivery_mode":1`, `"logistics_type":1,"delivery_mode":2`},
		268485228: {`{"item_desc":"socks"}`, ``},
		10060014:  {`"openid":"o1"`, `"openid":""`},
		268485216: {`2026-11-27T10:00:00.120+08:00`, `20261127100000`},
		10060008:  {`"item_desc":"socks"`, `"item_desc":""`},
		10060009:  {`"item_desc":"socks"`, `"item_desc":"` + long + `"`},
		268485226: {`"logistics_type":3`, `"logistics_type":1`},
		268485227: {`"logistics_type":3`, `"logistics_type":1`, `"item_desc"`, `"tracking_no":"1","item_desc"`},
		10060001:  {`socks-1`, `socks-2`},
		10060004:  {`socks-1`, `gone`},
		10060031:  {`"openid":"o1"`, `"openid":"o2"`},
	} {
		require.Equal(t, want, upload(shippingReport, changes...).Code, "%q", changes)
	}
	sf := []string{`"logistics_type":3`, `"logistics_type":1`, `"item_desc"`, `"tracking_no":"1","express_company":"SF","item_desc"`}
	require.Equal(t, 10060014, upload(shippingReport, sf...).Code, "SF needs a contact")
	require.Empty(t, wx.Shipments())
}

func TestAnOrderIsReportedAndCorrectedOnce(t *testing.T) {
	wx, upload := shipper(t)
	require.Zero(t, upload(shippingReport).Code)
	require.Equal(t, 10060023, upload(shippingReport).Code, "nothing new")
	later := func(hour int) []string {
		return []string{"T10:", fmt.Sprintf("T%d:", hour), `"socks"`, fmt.Sprintf(`"socks %d"`, hour)}
	}
	byID := strings.Replace(shippingReport, `"order_number_type":1,"mchid":"19","out_trade_no":"socks-1"`, `"order_number_type":2,"transaction_id":"42"`, 1)
	require.Zero(t, upload(byID, later(11)...).Code, "the same payment by its other number")
	require.Equal(t, 10060003, upload(shippingReport, later(12)...).Code)
	require.Len(t, wx.Shipments(), 1)
	require.Equal(t, "socks 11", wx.Shipments()[0].List[0].ItemDesc)
	require.True(t, wx.Shipments()[0].Corrected)
}

func TestASplitOrderIsReportedInParts(t *testing.T) {
	wx, upload := shipper(t)
	part := strings.NewReplacer(`"logistics_type":3,"delivery_mode":1`, `"logistics_type":1,"delivery_mode":2,"is_all_delivered":false`,
		`{"item_desc":"socks"}`, `{"item_desc":"left","tracking_no":"1","express_company":"ZTO"}`).Replace(shippingReport)
	require.Zero(t, upload(part).Code)
	require.Zero(t, upload(part, "T10:", "T11:", `"left"`, `"right"`, "false", "true").Code)
	require.True(t, wx.Shipments()[0].Delivered)
	require.False(t, wx.Shipments()[0].Corrected)
}
