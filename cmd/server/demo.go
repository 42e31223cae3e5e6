package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest"
)

// demo is a configuration with one app, and the way to a WeChat, played in this process, that knows it. The pages that
// WeChat shows to people stand on an address of their own.
func demo(s settings) (gateway.Config, *http.Client, error) {
	app := gateway.App{
		Name: "Demo", AppID: "wxdemo000000000000", Secret: rand.Text(),
		Hosts: []string{"127.0.0.1:8091", "127.0.0.1:8092"}, // of examples/login and examples/jssdk
	}
	wx := new(wechattest.Server)
	wx.AddApp(app.AppID, app.Secret)
	wx.AddPerson(wechattest.Person{Name: "小明", Nickname: "小明 👋"})
	wx.AddPerson(wechattest.Person{Name: "小红", Nickname: "小红"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return gateway.Config{}, nil, fmt.Errorf("-demo: %w", err)
	}
	go (&http.Server{Handler: wx, ReadHeaderTimeout: 5 * time.Second}).Serve(l)
	return gateway.Config{
		PublicURL: "http://" + here(s.public),
		Endpoints: gateway.Endpoints{Open: "http://" + l.Addr().String()},
		Keys:      []gateway.Key{{Name: "demo", Key: rand.Text(), Apps: []string{"*"}, Scopes: []string{"*"}}},
		Apps:      map[string]gateway.App{"demo": app},
	}, wx.Client(), nil
}

// here is an address of this machine for one to listen on.
func here(address string) string {
	if strings.HasPrefix(address, ":") {
		return "127.0.0.1" + address
	}
	return address
}

// printDemo prints what to try.
func printDemo(w io.Writer, s settings, c gateway.Config) {
	private, public := "http://"+here(s.private)+"/app/demo", c.PublicURL+"/app/demo"
	key := c.Keys[0].Key
	auth := "-H 'Authorization: Bearer " + key + "'"
	fmt.Fprintf(w, `The demo serves the app "demo" of a WeChat that is played in this process.

A token:

  curl -s %[1]s %[2]s/token

Another one, as if WeChat had refused the first:

  curl -s %[1]s %[2]s/token | sed 's/access_token/refused/' | curl -s %[1]s -d @- %[2]s/token

A site that people log in to, and a page that calls WeChat's JavaScript, from a clone of the repository:

  go run ./examples/login -public %[3]s -private %[2]s -key %[4]s
  go run ./examples/jssdk -public %[3]s -script %[5]s

`, auth, private, public, key, c.Endpoints.Open)
}
