package platform_test

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// An account authorizes a platform, which then has a token of it.
func Example() {
	ctx := context.Background()
	wx := new(wechattest.Server) // WeChat, for this example
	wx.AddApp("wx1234567890abcdef", "secret")
	wx.AddPlatform(wechattest.Platform{ID: "wxplatform", Secret: "platform secret"})
	s, records := new(store.Memory), new(store.Memory) // records must be durable and sealed in a real program

	p := &platform.Platform{AppID: "wxplatform", Secret: "platform secret", Store: s, Records: records, Client: &wechat.Client{HTTP: wx.Client()}}
	_, _ = wx.PushTicket(ctx, "wxplatform")
	_ = p.SaveTicket(ctx, wx.Tickets("wxplatform")[0], time.Now()) // the handler of component_verify_ticket does this

	page, _, err := p.AuthorizeURL(ctx, platform.Page{RedirectURI: "https://platform.example.com/back"})
	if err != nil {
		fmt.Println(err)
		return
	}
	u, _ := url.Parse(page)
	fmt.Println(u.Host + u.Path)

	code, _ := wx.Authorize(ctx, "wxplatform", "wx1234567890abcdef") // the administrator agrees
	account, err := p.Authorize(ctx, code, time.Time{})
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens := &token.Manager{AppID: account.AppID, Kind: wechat.Authorized, PlatformID: "wxplatform", Fetch: p.Authorizer(account.AppID).Fetch, Store: s}
	c, err := tokens.Token(ctx)
	fmt.Println(account.AppID, len(c.Value) > 0, err)
	// Output:
	// mp.weixin.qq.com/cgi-bin/componentloginpage
	// wx1234567890abcdef true <nil>
}
