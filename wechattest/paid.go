package wechattest

import "github.com/wetoken/wetoken/wechattest/paytest"

// PaidBy returns a function for [Server.FindPayment] that finds the payments of a simulated WeChat Pay.
func PaidBy(pay *paytest.Server) func(Payment) (Payment, bool) {
	return func(named Payment) (Payment, bool) {
		var o paytest.Order
		var err error
		if named.TransactionID != "" {
			o, err = pay.Paid(named.TransactionID)
		} else {
			o, err = pay.Order(named.MchID, named.OutTradeNo)
		}
		if err != nil || o.TransactionID == "" {
			return Payment{}, false
		}
		return Payment{
			MchID: o.MchID, OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID, OpenID: o.OpenID, Refunded: o.Refunded >= o.Total,
		}, true
	}
}
