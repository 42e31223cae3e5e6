package jssdk_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// A signer with a manager of tickets.
func Example() {
	wx := new(wechattest.Server) // in place of WeChat
	wx.AddApp("wx0123456789abcdef", "secret")
	way, s := &wechat.Client{HTTP: wx.Client()}, new(store.Memory)

	tokens := &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret", Store: s, Client: way}
	tickets := &ticket.Manager{AppID: "wx0123456789abcdef", Tokens: tokens, Store: s, Client: way}
	signer := &jssdk.Signer{AppID: "wx0123456789abcdef", Tickets: tickets, Hosts: []string{"shop.example.com"}}

	config, err := signer.Config(context.Background(), "https://shop.example.com/goods/socks")
	fmt.Println(config.AppID, len(config.Signature), err)
	// Output: wx0123456789abcdef 40 <nil>
}

func ExampleSigner() {
	signer := &jssdk.Signer{AppID: "wx0123456789abcdef", Tickets: all, Hosts: []string{"shop.example.com"}}

	config, err := signer.Config(context.Background(), "https://shop.example.com/list?page=2#top")
	fmt.Println(config.AppID, len(config.Signature), err)

	_, err = signer.Config(context.Background(), "https://evil.example.net/")
	fmt.Println(errors.Is(err, jssdk.ErrPage), err)
	// Output:
	// wx0123456789abcdef 40 <nil>
	// true jssdk: this page may not be signed: its host is not among the app's hosts: evil.example.net
}

func ExampleSign() {
	ticket := "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg" // from WeChat's manual
	fmt.Println(jssdk.Sign(ticket, "Wm3WZYTPz0wzccnW", 1414587457, "http://mp.weixin.qq.com?params=value"))
	// Output: 0f9de62fce790f9a083d5c99e95740ceb90c27ed
}
