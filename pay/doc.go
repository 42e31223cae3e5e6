// Package pay defines the types of WeChat Pay (微信支付): orders, transactions, refunds and notifications. They are the same
// for both versions of its API. A [Merchant] implements one version: package payv3 implements APIv3, which is JSON.
//
//	shop, err := payv3.New(payv3.Config{
//		AppID: "wx…", MchID: "1900000001", SerialNo: "…", Key: key, APIv3Key: "…",
//		PublicKeyID: "PUB_KEY_ID_…", PublicKey: public, NotifyURL: "https://shop.example.com/paid",
//	})
//	…
//	prepaid, err := shop.Prepay(ctx, pay.Order{Trade: pay.Native, OutTradeNo: "order-1", Fen: 1200, Description: "socks"})
//	if errors.Is(err, pay.ErrUnknown) {
//		// the outcome is unknown: repeat the call with the same number
//	}
//
// Amounts are int64 fen (分), states are those of APIv3, and instants are time.Time.
package pay
