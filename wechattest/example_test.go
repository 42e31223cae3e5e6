package wechattest_test

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/wetoken/wetoken/wechattest"
)

func Example() {
	wx := new(wechattest.Server)
	wx.AddApp("wx1234567890abcdef", "secret")

	// The code under test gets this client in place of its own.
	api := wx.Client()
	res, err := api.Get("https://api.weixin.qq.com/cgi-bin/token?grant_type=client_credential&appid=wx1234567890abcdef&secret=secret")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	var token struct {
		Value     string `json:"access_token"`
		ExpiresIn int    `json:"expires_in"`
	}
	if err := json.NewDecoder(res.Body).Decode(&token); err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println(token.ExpiresIn, wx.Check(token.Value), wx.Calls("/cgi-bin/token"))
	wx.Expire(token.Value)
	fmt.Println(wx.Check(token.Value))
	// Output:
	// 7200 0 1
	// 42001
}

func ExampleServer_AddFault() {
	wx := new(wechattest.Server)
	wx.AddApp("wx1234567890abcdef", "secret")

	// The token is issued, but the caller never hears of it.
	wx.AddFault(wechattest.Fault{Path: "/cgi-bin/token", Times: 1, Cut: true, AfterWork: true})
	r, err := http.NewRequest(http.MethodGet, "https://api.weixin.qq.com/cgi-bin/token?grant_type=client_credential&appid=wx1234567890abcdef&secret=secret", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = wx.Client().Transport.RoundTrip(r)
	fmt.Println(err, len(wx.Tokens("wx1234567890abcdef")))
	// Output:
	// EOF 1
}
