// Package payv3 implements APIv3 of WeChat Pay (微信支付 APIv3), which is JSON: it signs each call, verifies each answer,
// and decrypts notifications. See https://pay.weixin.qq.com/doc/v3/merchant/4012365336 (签名).
//
//	key, err := payv3.ParseKey(apiclientKeyPEM)
//	public, err := payv3.ParsePublicKey(pubKeyPEM)
//	shop, err := payv3.New(payv3.Config{
//		AppID: "wx…", MchID: "1900000001", SerialNo: "…", Key: key, APIv3Key: "…",
//		PublicKeyID: "PUB_KEY_ID_…", PublicKey: public, NotifyURL: "https://shop.example.com/paid",
//	})
//	prepaid, err := shop.Prepay(ctx, pay.Order{Trade: pay.JSAPI, OutTradeNo: no, Fen: 1200, Description: "socks", OpenID: openID})
//
// Calls for which there is no method go through [Merchant.Do].
package payv3
