package main

import (
	"context"
	"crypto/rand"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest"
)

// startServer runs a wetoken server and a simulated WeChat in this process. Pages of host may use its app.
func startServer(host string) (server, error) {
	addresses := make([]string, 3)
	listeners := make([]net.Listener, 3)
	for i := range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return server{}, err
		}
		listeners[i], addresses[i] = l, "http://"+l.Addr().String()
	}
	at := server{public: addresses[0] + "/app/shop", private: addresses[1] + "/app/shop", key: rand.Text(), weChat: addresses[2]}

	id, secret := "wx"+strings.ToLower(rand.Text()[:16]), rand.Text()
	wx := new(wechattest.Server)
	wx.AddApp(id, secret)
	wx.AddPerson(wechattest.Person{Name: "小明", Nickname: "小明 👋"})
	wx.AddPerson(wechattest.Person{Name: "O'Neil", Nickname: `O'Neil <"the bold">`})
	wx.Follow(id, "O'Neil", false)

	g, err := gateway.New(gateway.Options{Config: gateway.Config{
		PublicURL: addresses[0], Endpoints: gateway.Endpoints{API: at.weChat, Open: at.weChat, Script: at.weChat},
		Keys: []gateway.Key{{Name: "site", Key: at.key, Apps: []string{"shop"}, Scopes: []string{"token", "renew", "login"}}},
		Apps: map[string]gateway.App{"shop": {AppID: id, Secret: secret, Hosts: []string{host}}},
	}})
	if err != nil {
		return server{}, err
	}
	for i, h := range []http.Handler{g.Public(), g.Private(), wx} {
		go func() { log.Fatal((&http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}).Serve(listeners[i])) }()
	}
	go func() { log.Fatal(g.Run(context.Background())) }()
	return at, nil
}
