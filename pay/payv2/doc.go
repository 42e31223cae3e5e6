// Package payv2 implements APIv2 of WeChat Pay (微信支付 APIv2), which is XML: it signs each call, verifies each answer, and
// verifies or confirms notifications. See https://pay.weixin.qq.com/doc/v2/merchant/4011936530 (统一下单). New merchants use
// [github.com/wetoken/wetoken/pay/payv3]; both may serve one merchant while it moves.
//
//	certificate, err := tls.X509KeyPair(apiclientCertPEM, apiclientKeyPEM)
//	shop, err := payv2.New(payv2.Config{
//		AppID: "wx…", MchID: "1900000001", APIKey: "…", Certificate: certificate, NotifyURL: "https://shop.example.com/paid",
//	})
//	prepaid, err := shop.Prepay(ctx, pay.Order{Trade: pay.JSAPI, OutTradeNo: no, Fen: 1200, Description: "socks", OpenID: openID})
//
// Calls for which there is no method go through [Merchant.Do].
package payv2
