package token_test

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

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

// One process keeps the token, and serves it to programs that have the key.
func ExampleHandler() {
	wx := new(wechattest.Server) // WeChat, for this example
	wx.AddApp("wx0123456789abcdef", "secret")
	tokens := &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret", Client: &wechat.Client{HTTP: wx.Client()}}

	// The guard compares digests, so that its time reveals nothing about the key, not even its length.
	want := sha256.Sum256([]byte("Bearer " + "the caller key"))
	guard := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				http.Error(w, "a key is needed", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", &token.Handler{Source: tokens, Guard: guard})

	for _, authorization := range []string{"Bearer the caller key", "Bearer another", "the caller key", ""} {
		r := httptest.NewRequest("GET", "/wx/token", nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.Contains(w.Body.String(), `"access_token":"`))
	}
	// Output:
	// 200 true
	// 401 false
	// 401 false
	// 401 false
}

// A program on another machine gets the token from the process that keeps it.
func ExampleRemote() {
	wx := new(wechattest.Server) // WeChat, for this example
	wx.AddApp("wx0123456789abcdef", "secret")
	kept := &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret", Client: &wechat.Client{HTTP: wx.Client()}}
	open := func(next http.Handler) http.Handler { return next } // a real guard is in the example of Handler
	server := httptest.NewServer(wetoken.Handler(&token.Handler{Source: kept, Guard: open}))
	defer server.Close()

	tokens := &token.Remote{URL: server.URL + "/token", Key: "the caller key"}
	api := &wechat.Client{Tokens: tokens, HTTP: wx.Client()} // as with a Manager

	var ips struct {
		List []string `json:"ip_list"`
	}
	err := api.Get(context.Background(), "/cgi-bin/getcallbackip", nil, &ips)
	fmt.Println(len(ips.List) > 0, wx.Calls("/cgi-bin/stable_token"), err)
	// Output: true 1 <nil>
}
