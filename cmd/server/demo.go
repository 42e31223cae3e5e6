package main

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// The demo has the same app at each start, so that a pasted command works again. Everybody knows the app, so it is served
// only on loopback addresses.
const (
	demoAppID  = "wxdemo000000000000"
	demoSecret = "wetoken-demo-secret-not-live"
	demoKey    = "wetoken-demo-key-not-live"

	demoSignKey = "wetoken-demo-sign-key-not-live"
	demoToken   = "wetokendemotokennotlive"
	demoAESKey  = "wetokenDemoAESKeyNotLive0000000000000000000"
)

// newDemo returns a configuration with one app that takes payments, and a client of a WeChat and a WeChat Pay in this process
// that know it. The pages that they show to people have an address of their own. It replaces port 0 in the addresses of s by a
// real one.
func newDemo(s *settings) (gateway.Config, *http.Client, error) {
	if err := openFreePorts(s); err != nil {
		return gateway.Config{}, nil, err
	}
	app := gateway.App{
		Name: "Demo", AppID: demoAppID, Secret: demoSecret,
		Hosts:   []string{"127.0.0.1:8091", reachable(s.public)}, // examples/remote, and wechat-proxy's pages
		SignKey: demoSignKey, ForwardSignature: true, Message: &gateway.Message{Token: demoToken, AESKey: demoAESKey},
	}
	key := demoKey
	if far := cmp.Or(notLoopback(s.public), notLoopback(s.private)); s.fresh || far != "" {
		if !s.fresh {
			slog.Warn("the demo uses a new app, secret and key: the known ones are only for loopback addresses", "address", far)
		}
		app.AppID, app.Secret, key = "wxdemo"+strings.ToLower(rand.Text()[:12]), rand.Text(), rand.Text()
		app.SignKey, app.Message.Token, app.Message.AESKey = rand.Text(), rand.Text(), rand.Text()+rand.Text()[:16]+"A"
	}
	wx := new(wechattest.Server)
	wx.AddApp(app.AppID, app.Secret)
	wx.AddPerson(wechattest.Person{Name: "小明", Nickname: "小明 👋"})
	wx.AddPerson(wechattest.Person{Name: "小红", Nickname: "小红"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return gateway.Config{}, nil, fmt.Errorf("-demo: %w", err)
	}
	world := &demoWorld{wx: wx, pay: &paytest.Server{RefundAfter: 2 * time.Second}}
	go (&http.Server{Handler: world, ReadHeaderTimeout: 5 * time.Second}).Serve(l)
	c := gateway.Config{
		PublicURL: "http://" + reachable(s.public),
		Endpoints: gateway.Endpoints{Open: "http://" + l.Addr().String(), Pay: "http://" + l.Addr().String(), Script: "http://" + l.Addr().String()},
		Keys:      []gateway.Key{{Name: "demo", Key: key, Apps: []string{"*"}, Scopes: []string{"*", "refund", "transfer", "admin"}}},
	}
	if pay.CheckNotifyURL("public_url", c.PublicURL) == nil {
		app.Pay, app.OpenPay = &gateway.Pay{Merchant: "demo"}, gateway.OpenPay{MaxFen: 100}
		c.Merchants = map[string]gateway.Merchant{"demo": newDemoMerchant(world.pay, app.AppID)}
	} else {
		slog.Warn("the demo takes no payments: notifications are sent only to a private address", "address", s.public)
	}
	c.Apps = map[string]gateway.App{"demo": app}
	c.Compat = gateway.Compat{
		Systems: []string{gateway.CompatWetoken, gateway.CompatAccessToken, gateway.CompatPayment, gateway.CompatProxy}, Create: true, Examples: true,
	}
	if c.Compat.JSONRPC, err = openJSONRPC(s); err != nil {
		return gateway.Config{}, nil, err
	}
	return c, &http.Client{Transport: world}, nil
}

// openJSONRPC listens beside the private address: on port 8000, as wechat-accesstoken does, or on a free one.
func openJSONRPC(s *settings) (address string, err error) {
	host, _, err := net.SplitHostPort(s.private)
	if err != nil {
		return "", fmt.Errorf("-private: %w", err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "8000"))
	if taken, _ := portOf(s.public); err != nil || taken == 8000 {
		if err == nil {
			l.Close()
		}
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", fmt.Errorf("-demo: %w", err)
		}
	}
	s.keepListener(l)
	return l.Addr().String(), nil
}

// openFreePorts listens on the addresses with port 0, since the configuration and the printed lines need their real ports.
func openFreePorts(s *settings) error {
	for _, a := range []struct {
		flag    string
		address *string
	}{{"-public", &s.public}, {"-private", &s.private}} {
		if port, err := portOf(*a.address); err != nil || port != 0 {
			continue
		}
		l, err := net.Listen("tcp", *a.address)
		if err != nil {
			return fmt.Errorf("%s: cannot listen on %s: %w", a.flag, *a.address, err)
		}
		*a.address = l.Addr().String()
		s.keepListener(l)
	}
	return nil
}

// keepListener has listen return l for its address.
func (s *settings) keepListener(l net.Listener) {
	if s.listeners == nil {
		s.listeners = make(map[string]net.Listener)
	}
	s.listeners[l.Addr().String()] = l
}

// notLoopback returns an address that other machines can reach, and "" for one that they cannot.
func notLoopback(address string) string {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return ""
	}
	return address
}

// reachable returns an address of this machine for an address to listen on.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
