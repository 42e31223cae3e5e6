package oauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// A site on its own host logs its visitors in, and its server redeems the login_code.
func ExampleLogin() {
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "secret")
	wechatPages := httptest.NewServer(wx)
	defer wechatPages.Close()

	var login *oauth.Login
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, err := login.Redeem(r.Context(), r.FormValue("login_code"))
		fmt.Fprintln(w, "hello", u.OpenID, err)
	}))
	defer shop.Close()

	mux := http.NewServeMux()
	door := httptest.NewServer(mux)
	defer door.Close()
	login = &oauth.Login{
		AppID: "wx0123456789abcdef", Secret: "secret", Store: new(store.Memory),
		URL: door.URL + "/wx", Hosts: []string{shop.Listener.Addr().String()},
		Client: &wechat.Client{HTTP: wx.Client()}, OpenURL: wechatPages.URL,
	}
	wetoken.Bind(mux, "/wx", login)

	resp, err := http.Get(door.URL + "/wx/login?to=" + url.QueryEscape(shop.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s", text)
	// Output: hello oAJf8e-_yEE7iHGue538fgRbTTXe <nil>
}

// The pages of an application, for visitors who are logged in.
func ExampleLogin_Require() {
	login := &oauth.Login{AppID: "wx0123456789abcdef", Secret: "secret", Store: new(store.Memory), URL: "https://shop.example.com/wx"}

	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", login)
	mux.Handle("/my/", login.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _ := oauth.FromContext(r.Context())
		fmt.Fprintln(w, "hello", u.OpenID)
	})))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "https://shop.example.com/my/orders", nil))
	at, err := url.Parse(w.Header().Get("Location"))
	fmt.Println(w.Code, at.Host, at.Query().Get("redirect_uri"), err)
	// Output: 302 open.weixin.qq.com https://shop.example.com/wx/login/callback <nil>
}

// The user of a mini program, from wx.login to the phone number.
func ExampleMini() {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "wx0123456789abcdef", Secret: "secret", Kind: wechattest.Mini})
	mini := &oauth.Mini{AppID: "wx0123456789abcdef", Secret: "secret", Store: new(store.Memory), Client: &wechat.Client{HTTP: wx.Client()}}

	ctx := context.Background()
	u, err := mini.Session(ctx, wx.MiniCode("wx0123456789abcdef", "ming")) // the code of wx.login
	fmt.Println(u.OpenID, err)

	data, _ := wx.PhoneData("wx0123456789abcdef", "ming") // as the mini program gets it
	var phone oauth.Phone
	err = mini.DecryptData(ctx, u.OpenID, data.EncryptedData, data.IV, &phone)
	fmt.Println(phone.PurePhoneNumber, err)
	// Output:
	// oAJf8e-_yEE7iHGue538fgRbTTXe <nil>
	// 13800138000 <nil>
}
