package pay_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func ExampleCashier() {
	mux := http.NewServeMux()
	weChat := &paytest.Server{Transport: paytest.InMemory(mux)} // WeChat Pay in memory
	defer weChat.Close()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		fmt.Println(err)
		return
	}
	account := weChat.AddMerchant(paytest.Merchant{MchID: "1900000001", Key: key})
	public, err := payv3.ParsePublicKey([]byte(account.PublicKey))
	if err != nil {
		fmt.Println(err)
		return
	}
	merchant, err := payv3.New(payv3.Config{
		AppID: "wx1234567890abcdef", MchID: account.MchID, SerialNo: account.SerialNo, Key: key, APIv3Key: account.APIv3Key,
		PublicKeyID: account.PublicKeyID, PublicKey: public, HTTP: weChat.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	settled := make(chan string)
	shop := &pay.Cashier{
		Merchants: []pay.Merchant{merchant}, URL: "https://shop.example.com", Store: new(store.Memory),
		OnPaid: func(_ context.Context, t pay.Transaction) error {
			settled <- fmt.Sprintf("%s: %d fen, known %t", t.OutTradeNo, t.Fen, t.Known)
			return nil
		},
	}
	for pattern, handler := range shop.Routes() { // as wetoken.Bind does
		mux.Handle(pattern, handler)
	}

	ctx := context.Background()
	order := pay.Order{Trade: pay.Native, OutTradeNo: "order-1", Fen: 1200, Description: "socks"}
	if _, err := shop.Prepay(ctx, order); err != nil {
		fmt.Println(err)
		return
	}
	order.Fen = 1300
	_, err = shop.Prepay(ctx, order)
	fmt.Println(err)
	if _, err := weChat.Pay(account.MchID, "order-1", "openid-of-the-payer"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-settled)
	// Output:
	// pay: prepay: number was used with other values: Order.Fen differs from the stored order
	// order-1: 1200 fen, known true
}
