package main

import (
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// newMerchants returns the merchants that the environment configures. Without one it simulates WeChat Pay, and returns the URL of its phone.
func newMerchants() (merchants []pay.Merchant, phone string, err error) {
	if os.Getenv("WECHAT_MCH_ID") == "" {
		return simulateWeChat()
	}
	config := payv3.Config{
		AppID: os.Getenv("WECHAT_APP_ID"), MchID: os.Getenv("WECHAT_MCH_ID"), SerialNo: os.Getenv("WECHAT_SERIAL_NO"),
		APIv3Key: os.Getenv("WECHAT_API_V3_KEY"), PublicKeyID: os.Getenv("WECHAT_PUBLIC_KEY_ID"),
		BaseURL: os.Getenv("WECHAT_PAY_URL"),
	}
	key, err := os.ReadFile(os.Getenv("WECHAT_KEY"))
	if err != nil {
		return nil, "", err
	}
	if config.Key, err = payv3.ParseKey(key); err != nil {
		return nil, "", err
	}
	public, err := os.ReadFile(os.Getenv("WECHAT_PUBLIC_KEY"))
	if err != nil {
		return nil, "", err
	}
	if config.PublicKey, err = payv3.ParsePublicKey(public); err != nil {
		return nil, "", err
	}
	m, err := payv3.New(config)
	return []pay.Merchant{m}, "", err
}

// simulateWeChat serves a simulated WeChat Pay on its own address. It returns a merchant and the URL of the phone.
func simulateWeChat() (merchants []pay.Merchant, phone string, err error) {
	const mchID, appID = "1900000001", "wxexample000000000"
	weChat := &paytest.Server{RefundAfter: 2 * time.Second}
	added := weChat.AddMerchant(paytest.Merchant{MchID: mchID, Name: "Example shop", AppIDs: []string{appID}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	go func() { log.Fatal((&http.Server{Handler: weChat, ReadHeaderTimeout: 5 * time.Second}).Serve(l)) }()
	public, err := payv3.ParsePublicKey([]byte(added.PublicKey))
	if err != nil {
		return nil, "", err
	}
	phone = "http://" + l.Addr().String()
	m, err := payv3.New(payv3.Config{
		AppID: appID, MchID: mchID, SerialNo: added.SerialNo, Key: added.Key, APIv3Key: added.APIv3Key,
		PublicKeyID: added.PublicKeyID, PublicKey: public, BaseURL: phone,
	})
	return []pay.Merchant{m}, phone, err
}
