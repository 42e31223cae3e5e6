// Platform is a third-party platform (开放平台第三方平台) with a page on which accounts authorize it.
//
//	go run ./examples/platform
//	COMPONENT_APP_ID=wx… COMPONENT_SECRET=… COMPONENT_TOKEN=… COMPONENT_AES_KEY=… go run ./examples/platform -url https://saas.example.com
//
// The first line simulates WeChat in this process, with two accounts; open the address that it prints in any browser. The second needs
// a public address, and these settings in the console of the open platform: 授权事件接收URL is -url and /wx/event, 消息与事件接收URL is -url
// and /wx/message/$APPID$, 授权发起页域名 is the host of -url.
//
// It keeps refresh tokens in memory, so that accounts have to authorize it again after a restart: a real platform gives Records a
// durable store, such as sqlstore, inside a store.Sealed.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8094", "address to listen on; port 0 picks a free one")
	own := flag.String("url", "", "address that browsers and WeChat use; default that of -addr")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if *own == "" {
		*own = "http://" + l.Addr().String()
	}
	if at, err := url.Parse(*own); err != nil || at.Host == "" {
		log.Fatal("-url: want a URL such as https://saas.example.com")
	}
	records := new(store.Memory)
	s := &saas{
		url: strings.TrimSuffix(*own, "/"), accounts: make(map[string]*account), store: new(store.Memory),
		platform: &platform.Platform{
			AppID: os.Getenv("COMPONENT_APP_ID"), Secret: os.Getenv("COMPONENT_SECRET"), Records: records,
		},
	}
	token, key := os.Getenv("COMPONENT_TOKEN"), os.Getenv("COMPONENT_AES_KEY")
	if s.platform.AppID == "" { // no platform: simulate WeChat
		token, key = "token", strings.Repeat("k", 42)+"A"
		startWeChat(s, token, key)
	}
	s.platform.Store = s.store
	handler, err := s.handler(token, key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.url + "/")
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(l))
}

// startWeChat simulates WeChat for the platform, with two accounts, and serves its pages on an address of their own.
func startWeChat(s *saas, token, key string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	wx := new(wechattest.Server)
	wx.AddApp("wxalice000000000000", "unknown to the platform")
	wx.AddApp("wxbob00000000000000", "unknown to the platform")
	s.platform.AppID, s.platform.Secret = "wxexampleplatform00", "a secret of this example"
	wx.AddPlatform(wechattest.Platform{
		ID: s.platform.AppID, Secret: s.platform.Secret, Token: token, EncodingAESKey: key,
		EventURL: s.url + "/wx/event", MessageURL: s.url + "/wx/message/$APPID$",
	})
	base := "http://" + l.Addr().String()
	s.platform.Client, s.platform.MPURL = &wechat.Client{BaseURL: base}, base
	server := &http.Server{Handler: wx, ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Fatal(server.Serve(l)) }()
	go func() { _ = wx.Run(context.Background()) }() // pushes the tickets
}
