package wechat_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func Example() {
	wx := new(wechattest.Server) // WeChat, for this example
	wx.AddApp("wx0123456789abcdef", "secret")
	tokens := &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret", Client: &wechat.Client{HTTP: wx.Client()}}

	api := &wechat.Client{Tokens: tokens, HTTP: wx.Client()}
	menu := map[string]any{"button": []any{map[string]string{"type": "view", "name": "Shop", "url": "https://shop.example.com/"}}}
	fmt.Println(api.Post(context.Background(), "/cgi-bin/menu/create", nil, menu, nil))

	err := api.Post(context.Background(), "/cgi-bin/menu/create", nil, struct{}{}, nil)
	var refusal *wechat.Error
	fmt.Println(errors.As(err, &refusal), refusal.Code)
	// Output:
	// <nil>
	// true wechat: errcode 40016
}
