package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest"
)

// demo is a configuration with one app, and the way to a WeChat, played in this process, that knows it.
func demo(s settings) (gateway.Config, *http.Client) {
	app := gateway.App{Name: "Demo", AppID: "wxdemo000000000000", Secret: rand.Text()}
	wx := new(wechattest.Server)
	wx.AddApp(app.AppID, app.Secret)
	return gateway.Config{
		PublicURL: "http://" + s.public,
		Keys:      []gateway.Key{{Name: "demo", Key: rand.Text(), Apps: []string{"*"}, Scopes: []string{"*"}}},
		Apps:      map[string]gateway.App{"demo": app},
	}, wx.Client()
}

// printDemo prints what to try.
func printDemo(w io.Writer, s settings, c gateway.Config) {
	private := s.private
	if strings.HasPrefix(private, ":") {
		private = "127.0.0.1" + private
	}
	url := "http://" + private + "/app/demo/token"
	auth := "-H 'Authorization: Bearer " + c.Keys[0].Key + "'"
	fmt.Fprintf(w, `The demo serves the app "demo" of a WeChat that is played in this process.

A token:

  curl -s %s %s

Another one, as if WeChat had refused the first:

  curl -s %s %s | sed 's/access_token/refused/' | curl -s %s -d @- %s

`, auth, url, auth, url, auth, url)
}
