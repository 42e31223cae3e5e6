package main

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest"
)

// The demo's app is the same at each start, so that what was pasted once works again. Everybody knows it: it is served on
// loopback addresses alone.
const (
	demoAppID  = "wxdemo000000000000"
	demoSecret = "wetoken-demo-secret-not-live"
	demoKey    = "wetoken-demo-key-not-live"
)

// demo is a configuration with one app, and the way to a WeChat, played in this process, that knows it. The pages that
// WeChat shows to people stand on an address of their own. Where an address of s has port 0 it gets its real one.
func demo(s *settings) (gateway.Config, *http.Client, error) {
	if err := openFreePorts(s); err != nil {
		return gateway.Config{}, nil, err
	}
	app := gateway.App{
		Name: "Demo", AppID: demoAppID, Secret: demoSecret,
		Hosts: []string{"127.0.0.1:8091", "127.0.0.1:8092"}, // of examples/login and examples/jssdk
	}
	key := demoKey
	if far := cmp.Or(notLoopback(s.public), notLoopback(s.private)); s.fresh || far != "" {
		if !s.fresh {
			slog.Warn("the demo has a new app, secret and key, as those that everybody knows are for loopback addresses alone", "address", far)
		}
		app.AppID, app.Secret, key = "wxdemo"+strings.ToLower(rand.Text()[:12]), rand.Text(), rand.Text()
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
		Keys:      []gateway.Key{{Name: "demo", Key: key, Apps: []string{"*"}, Scopes: []string{"*"}}},
		Apps:      map[string]gateway.App{"demo": app},
	}, wx.Client(), nil
}

// openFreePorts listens on the addresses with port 0, as the configuration and the printed lines need their real ports.
func openFreePorts(s *settings) error {
	for _, a := range []struct {
		flag    string
		address *string
	}{{"-public", &s.public}, {"-private", &s.private}} {
		if port, err := portOf(*a.address); err != nil || port != 0 {
			continue
		}
		l, err := net.Listen("tcp", *a.address)
		if err != nil {
			return fmt.Errorf("%s: cannot listen on %s: %w", a.flag, *a.address, err)
		}
		if s.opened == nil {
			s.opened = make(map[string]net.Listener)
		}
		*a.address = l.Addr().String()
		s.opened[*a.address] = l
	}
	return nil
}

// notLoopback returns an address that other machines may reach, and "" for one that they cannot.
func notLoopback(address string) string {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return ""
	}
	return address
}

// here is an address of this machine for one to listen on.
func here(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

// printDemo prints what to try.
func printDemo(w io.Writer, s settings, c gateway.Config) {
	private, public := "http://"+here(s.private)+"/app/demo", c.PublicURL+"/app/demo"
	key := c.Keys[0].Key
	known := "Its appid, secret and key are new, and others at the next start."
	if key == demoKey {
		known = "Its appid, secret and key are the same at each start, and known to everybody; -fresh makes new ones."
	}
	auth := "-H 'Authorization: Bearer " + key + "'"
	fmt.Fprintf(w, `The demo serves the app "demo" of a WeChat that is played in this process.
%[6]s

A token:

  curl -s %[1]s %[2]s/token

Another one, as if WeChat had refused the first:

  curl -s %[1]s %[2]s/token | sed 's/access_token/refused/' | curl -s %[1]s -d @- %[2]s/token

A site that people log in to, and a page that calls WeChat's JavaScript, from a clone of the repository:

  go run ./examples/login -public %[3]s -private %[2]s -key %[4]s
  go run ./examples/jssdk -public %[3]s -script %[5]s

`, auth, private, public, key, c.Endpoints.Open, known)
}
