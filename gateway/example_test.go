package gateway_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechattest"
)

func Example() {
	wx := new(wechattest.Server) // WeChat, for this example
	wx.AddApp("wx0123456789abcdef", "secret")

	config, err := gateway.ParseConfig([]byte(`{
		"keys": [{"name": "shop-backend", "key": "a-key-of-16-characters-or-more", "apps": ["shop"], "scopes": ["token"]}],
		"apps": {"shop": {"app_id": "wx0123456789abcdef", "secret": "secret"}}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := gateway.New(gateway.Options{Config: config, HTTP: wx.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	private := httptest.NewServer(g.Private()) // and g.Public() for WeChat and browsers
	defer private.Close()

	tokens := &token.Remote{URL: private.URL + "/app/shop/token", Key: "a-key-of-16-characters-or-more"}
	tok, err := tokens.Token(context.Background())
	fmt.Println(wx.Check(tok.Value), err)
	// Output: 0 <nil>
}
