package wechattest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

const shippingBody = `{"order_key":{"order_number_type":2,"transaction_id":"t1"},"logistics_type":1,"delivery_mode":1,` +
	`"shipping_list":[{"tracking_no":"ZT1","express_company":"ZTO","item_desc":"socks"}],` +
	`"upload_time":"2026-01-02T03:04:05.678+08:00","payer":{"openid":"o1"}}`

// shipper returns a Server with two payments, and a call of upload_shipping_info by the mini program or the official account.
func shipper(t *testing.T) (wx *wechattest.Server, upload func(body string, edits ...string) int, official func(body string) int) {
	wx, officialToken, mini, _ := trio(t)
	payments := []wechattest.Payment{
		{TransactionID: "t1", MchID: "m1", OutTradeNo: "no1", OpenID: "o1"},
		{TransactionID: "t2", MchID: "m1", OutTradeNo: "no2", OpenID: "o1", Refunded: true},
	}
	wx.FindPayment = func(key wechattest.Payment) (wechattest.Payment, bool) {
		for _, p := range payments {
			if p.TransactionID == key.TransactionID || key.MchID == p.MchID && key.OutTradeNo == p.OutTradeNo {
				return p, true
			}
		}
		return wechattest.Payment{}, false
	}
	call := func(token, body string) int {
		return post(t, wx, api+"/wxa/sec/order/upload_shipping_info?access_token="+token, body).Code
	}
	upload = func(body string, edits ...string) int {
		edited := strings.NewReplacer(edits...).Replace(body)
		require.True(t, len(edits) == 0 || edited != body, "%q", edits)
		return call(mini, edited)
	}
	return wx, upload, func(body string) int { return call(officialToken, body) }
}

func TestShippingInformationIsCheckedAsOnWeChatsPage(t *testing.T) {
	wx, upload, official := shipper(t)
	require.Equal(t, 48001, official(shippingBody), "an official account")
	for code, edits := range map[int][]string{
		268485194: {`"order_number_type":2`, `"order_number_type":3`},
		268485195: {`"transaction_id":"t1"`, `"transaction_id":""`},
		268485196: {`"order_number_type":2`, `"order_number_type":1`},
		268485197: {`"order_number_type":2`, `"order_number_type":1,"mchid":"m1"`},
		10060005:  {`"logistics_type":1`, `"logistics_type":5`},
		268485224: {`"delivery_mode":1`, `"delivery_mode":3`},
		10060006:  {`"logistics_type":1,"delivery_mode":1`, `"logistics_type":2,"delivery_mode":2`},
		10060007:  {`"delivery_mode":1`, `"delivery_mode":2`},
		268485228: {`{"tracking_no"`, `{"item_desc":"hat"},{"tracking_no"`},
		10060008:  {`"socks"`, `""`},
		10060009:  {`socks`, strings.Repeat("袜", 121)},
		268485226: {`"ZT1"`, `""`},
		268485227: {`"ZTO"`, `""`},
		10060025:  {`"ZTO"`, `"` + strings.Repeat("Z", 129) + `"`},
		10060026:  {`"ZT1"`, `"` + strings.Repeat("1", 129) + `"`},
		10060014:  {`"ZTO"`, `"SF"`},
		268485216: {`2026-01-02T03:04:05.678+08:00`, `1767294245`},
		10060001:  {`"t1"`, `"t3"`},
		10060031:  {`"o1"`, `"o2"`},
		10060004:  {`"t1"`, `"t2"`},
		10060024:  {`"delivery_mode":1`, `"is_all_delivered":true,"delivery_mode":2`, `{"tracking_no"`, strings.Repeat(`{"item_desc":"hat"},`, 15) + `{"tracking_no"`},
		47001:     {`"logistics_type":1`, `"logistics_type":"1"`},
	} {
		require.Equal(t, code, upload(shippingBody, edits...), "%q", edits)
	}
	require.Empty(t, wx.Shipments())
	require.Equal(t, 0, upload(shippingBody, `"order_number_type":2,"transaction_id":"t1"`, `"order_number_type":1,"mchid":"m1","out_trade_no":"no1"`))
	require.Equal(t, "t1", wx.Shipments()[0].Payment.TransactionID)

	wx.FindPayment = nil
	require.Equal(t, 10060001, upload(shippingBody))
}

func TestShippingInformationChangesOnce(t *testing.T) {
	wx, upload, _ := shipper(t)
	later := func(second, number string) []string {
		return []string{"04:05.678", "04:" + second + ".678", `"ZT1"`, `"` + number + `"`}
	}
	require.Equal(t, 0, upload(shippingBody))
	require.Equal(t, 10060023, upload(shippingBody, "04:05.678", "04:06.678"), "the same again")
	require.Equal(t, 10060014, upload(shippingBody, `"ZT1"`, `"ZT2"`), "upload_time is not newer")
	require.Equal(t, 0, upload(shippingBody, later("06", "ZT2")...))
	require.Equal(t, 10060003, upload(shippingBody, later("07", "ZT3")...))
	require.Len(t, wx.Shipments(), 1)
	require.Equal(t, 2, wx.Shipments()[0].Uploads)
	require.Contains(t, string(wx.Shipments()[0].Body), "ZT2")
}

func TestParcelsAreAddedUntilAllIsDelivered(t *testing.T) {
	_, upload, _ := shipper(t)
	parcel := func(second, number, all string) []string {
		return []string{`"delivery_mode":1`, `"delivery_mode":2,"is_all_delivered":` + all, "04:05.678", "04:" + second + ".678", `"ZT1"`, `"` + number + `"`}
	}
	require.Equal(t, 0, upload(shippingBody, parcel("06", "ZT1", "false")...))
	require.Equal(t, 0, upload(shippingBody, parcel("07", "ZT2", "false")...))
	require.Equal(t, 0, upload(shippingBody, parcel("08", "ZT3", "true")...))
	require.Equal(t, 0, upload(shippingBody, parcel("09", "ZT4", "true")...), "the second chance")
	require.Equal(t, 10060003, upload(shippingBody, parcel("10", "ZT5", "true")...))
}
