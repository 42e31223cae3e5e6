package main

import (
	"crypto/rand"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	simulatedMchID = "1900000001"
	simulatedAppID = "wxexample000000000"
)

// simulate makes a WeChat in this process, with a merchant. Its phone is served on an address of its own. Other processes cannot use it.
func simulate(version string, shared store.Store) (w weChat, err error) {
	bank := &paytest.Server{RefundAfter: 2 * time.Second}
	added := bank.AddMerchant(paytest.Merchant{MchID: simulatedMchID, Name: "Example shop", AppIDs: []string{simulatedAppID}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return w, err
	}
	w.appID, w.phone = simulatedAppID, "http://"+l.Addr().String()
	go func() { log.Fatal((&http.Server{Handler: bank, ReadHeaderTimeout: 5 * time.Second}).Serve(l)) }()

	m, err := simulatedMerchant(version, bank, added)
	w.merchants = []pay.Merchant{m}
	secret := rand.Text()
	wx := &wechattest.Server{FindPayment: findPayment(bank)}
	wx.Add(wechattest.App{ID: simulatedAppID, Secret: secret, Kind: wechattest.Mini})
	w.client = newClient(&wechat.Client{HTTP: wx.Client()}, simulatedAppID, secret, new(store.Memory)) // a token of the last run is not valid
	return w, err
}

// simulatedMerchant returns the merchant that was added to a simulated WeChat Pay.
func simulatedMerchant(version string, bank *paytest.Server, added *paytest.Merchant) (pay.Merchant, error) {
	if version == "v2" {
		certificate, err := tls.X509KeyPair([]byte(added.Certificate), []byte(added.PrivateKey))
		if err != nil {
			return nil, err
		}
		return payv2.New(payv2.Config{
			AppID: simulatedAppID, MchID: added.MchID, APIKey: added.APIKey, Certificate: certificate, HTTP: bank.TLSClient(certificate),
		})
	}
	public, err := payv3.ParsePublicKey([]byte(added.PublicKey))
	if err != nil {
		return nil, err
	}
	return payv3.New(payv3.Config{
		AppID: simulatedAppID, MchID: added.MchID, SerialNo: added.SerialNo, Key: added.Key, APIv3Key: added.APIv3Key,
		PublicKeyID: added.PublicKeyID, PublicKey: public, HTTP: bank.Client(),
	})
}

// findPayment returns the payments that the simulated WeChat accepts shipping information for.
func findPayment(bank *paytest.Server) func(wechattest.Payment) (wechattest.Payment, bool) {
	return func(key wechattest.Payment) (wechattest.Payment, bool) {
		for _, o := range bank.Orders(simulatedMchID) {
			if o.TransactionID != "" && (o.TransactionID == key.TransactionID || o.OutTradeNo == key.OutTradeNo) {
				return wechattest.Payment{
					TransactionID: o.TransactionID, MchID: o.MchID, OutTradeNo: o.OutTradeNo, OpenID: o.OpenID, Refunded: o.State != "SUCCESS",
				}, true
			}
		}
		return wechattest.Payment{}, false
	}
}
