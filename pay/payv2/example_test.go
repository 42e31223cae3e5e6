package payv2_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"os"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// A refund needs the API certificate.
func ExampleMerchant_Refund() {
	certificate, err := tls.LoadX509KeyPair("apiclient_cert.pem", "apiclient_key.pem")
	if err != nil {
		log.Fatal(err)
	}
	m, err := payv2.New(payv2.Config{
		AppID: "wxd678efh567hg6787", MchID: "1900007291", APIKey: os.Getenv("API_KEY"), NotifyURL: "https://shop.example.com/paid", Certificate: certificate,
	})
	if err != nil {
		log.Fatal(err)
	}
	f, err := m.Refund(context.Background(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "refund-1", Fen: 30, TotalFen: 100})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.State)
}

// The simulated WeChat Pay takes the calls of a test.
func ExampleMerchant_Prepay() {
	wx := new(paytest.Server)
	defer wx.Close()
	shown := wx.AddMerchant(paytest.Merchant{MchID: "1900007291", AppIDs: []string{"wxd678efh567hg6787"}})
	m, err := payv2.New(payv2.Config{
		AppID: "wxd678efh567hg6787", MchID: "1900007291", APIKey: shown.APIKey, NotifyURL: "https://shop.example.com/paid",
		HTTP: wx.Client(),
	})
	if err != nil {
		log.Fatal(err)
	}
	o := pay.Order{Trade: pay.Native, OutTradeNo: "order-1", Fen: 100, Description: "socks"}
	if _, err := m.Prepay(context.Background(), o); err != nil {
		log.Fatal(err)
	}
	t, err := m.Query(context.Background(), "order-1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.State)
	// Output: NOTPAY
}
