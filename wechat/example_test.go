package wechat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

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

func ExampleTransport() {
	wx := new(wechattest.Server) // WeChat, for this example
	wx.AddApp("wx0123456789abcdef", "secret")
	tokens := &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret", Client: &wechat.Client{HTTP: wx.Client()}}

	// An SDK that takes an http.Client needs no secret and no token of its own.
	hc := &http.Client{Transport: &wechat.Transport{Tokens: tokens, Base: wx.Client().Transport}}
	sdk := menuSDK{HTTP: hc, AccessToken: "any text"}
	fmt.Println(sdk.Create(`{"button":[{"type":"view","name":"Shop","url":"https://shop.example.com/"}]}`))
	// Output: {"errcode":0,"errmsg":"ok"}
}

// menuSDK is an example of a third-party SDK.
type menuSDK struct {
	HTTP        *http.Client
	AccessToken string
}

func (s menuSDK) Create(menu string) (answer string) {
	query := url.Values{"access_token": {s.AccessToken}}
	resp, err := s.HTTP.Post("https://api.weixin.qq.com/cgi-bin/menu/create?"+query.Encode(), "application/json", strings.NewReader(menu))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func ExampleDownload() {
	wx := new(wechattest.Server) // WeChat, for this example
	wx.AddApp("wx0123456789abcdef", "secret")
	tokens := &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret", Client: &wechat.Client{HTTP: wx.Client()}}
	api := &wechat.Client{Tokens: tokens, HTTP: wx.Client()}
	ctx := context.Background()

	var media struct {
		ID string `json:"media_id"`
	}
	cat := wechat.File{Name: "猫.gif", Content: strings.NewReader("GIF89a…")}
	if err := api.Post(ctx, "/cgi-bin/media/upload", url.Values{"type": {"image"}}, cat, &media); err != nil {
		fmt.Println(err)
		return
	}

	var content bytes.Buffer // or a file
	file := wechat.Download{W: &content}
	if err := api.Get(ctx, "/cgi-bin/media/get", url.Values{"media_id": {media.ID}}, &file); err != nil {
		fmt.Println(err)
		return
	}
	if file.JSON != nil { // a video comes as {"video_url":"…"}
		fmt.Println(string(file.JSON))
		return
	}
	fmt.Println(file.Name, file.Type, content.String())
	// Output: 猫.gif image/gif GIF89a…
}
