package token_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func Example() {
	wx := new(wechattest.Server) // WeChat, for this example
	wx.AddApp("wx0123456789abcdef", "secret")

	tokens := &token.Manager{
		AppID: "wx0123456789abcdef", Secret: "secret", Store: new(store.Memory),
		Client: &wechat.Client{HTTP: wx.Client()},
	}
	api := &wechat.Client{Tokens: tokens, HTTP: wx.Client()}

	var ips struct {
		List []string `json:"ip_list"`
	}
	if err := api.Get(context.Background(), "/cgi-bin/getcallbackip", nil, &ips); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(ips.List) > 0, wx.Calls("/cgi-bin/stable_token"))
	// Output: true 1
}

func ExampleHandler() {
	tokens := &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret"}
	onlyOurs := func(next http.Handler) http.Handler { return next } // admits your own services

	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", &token.Handler{Source: tokens, Guard: onlyOurs})
	_, pattern := mux.Handler(httptest.NewRequest("GET", "/wx/token", nil))
	fmt.Println(pattern)
	// Output: GET /wx/token
}

func ExampleRemote() {
	tokens := &token.Remote{URL: "http://wetoken:8081/app/shop/token", Key: "the caller key"}
	api := &wechat.Client{Tokens: tokens} // as with a Manager
	fmt.Println(api.Tokens == tokens)
	// Output: true
}
