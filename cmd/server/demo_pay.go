package main

import (
	"net/http"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const demoMchID = "1900000001"

// demoWorld simulates WeChat and WeChat Pay, as a handler and as a transport.
type demoWorld struct {
	wx  *wechattest.Server
	pay *paytest.Server
}

func (d *demoWorld) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if paytest.Serves(r.URL.Path) {
		d.pay.ServeHTTP(w, r)
		return
	}
	d.wx.ServeHTTP(w, r)
}

func (d *demoWorld) RoundTrip(r *http.Request) (*http.Response, error) {
	if paytest.Serves(r.URL.Path) {
		return paytest.InMemory(d.pay).RoundTrip(r)
	}
	return d.wx.Client().Transport.RoundTrip(r)
}

// newDemoMerchant adds a merchant with new keys to the simulated WeChat Pay.
func newDemoMerchant(world *paytest.Server, appID string) gateway.Merchant {
	m := world.AddMerchant(paytest.Merchant{MchID: demoMchID, Name: "小店 Demo", AppIDs: []string{appID}, Balance: 100_000})
	return gateway.Merchant{MchID: m.MchID, V3: &gateway.APIv3{
		APIv3Key: m.APIv3Key, Cert: m.Certificate, PrivateKey: m.PrivateKey, PublicKeyID: m.PublicKeyID, PublicKey: m.PublicKey,
	}}
}
