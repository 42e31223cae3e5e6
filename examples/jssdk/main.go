// Jssdk serves a page that calls WeChat's JavaScript.
//
//	go run ./examples/jssdk
//	WECHAT_APP_ID=wx… WECHAT_SECRET=… go run ./examples/jssdk -url https://wx.example.com
//	go run ./examples/jssdk -public http://127.0.0.1:8080/app/demo -script http://127.0.0.1:…
//
// The first line simulates WeChat in this process; open the address that it prints in any browser. The second needs a
// public address whose host is a JS safe domain in WeChat's console, and WeChat's own browser. With the third a wetoken
// server signs the page; its -demo prints the line, and simulates the WeChat whose script the page loads.
package main

import (
	"crypto/rand"
	"flag"
	"fmt"
	"html/template"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8092", "address to listen on; port 0 picks a free one")
	own := flag.String("url", "", "address that browsers use; default that of -addr")
	public := flag.String("public", "", "public address of the app on a wetoken server; default this process signs")
	script := flag.String("script", "https://res.wx.qq.com", "base URL of the WeChat script")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if *own == "" {
		*own = "http://" + l.Addr().String()
	}
	at, err := url.Parse(*own)
	if err != nil || at.Host == "" {
		log.Fatal("-url: want a URL such as https://wx.example.com")
	}

	mux := http.NewServeMux()
	if *public == "" {
		id, secret := os.Getenv("WECHAT_APP_ID"), os.Getenv("WECHAT_SECRET")
		var client *wechat.Client
		if id == "" { // no app: simulate WeChat
			id, secret = "wxexample000000000", rand.Text()
			client, *script = startWeChat(id, secret)
		}
		s := new(store.Memory)
		tokens := &token.Manager{AppID: id, Secret: secret, Store: s, Client: client}
		tickets := &ticket.Manager{AppID: id, Tokens: tokens, Store: s, Client: client}
		signer := &jssdk.Signer{AppID: id, Tickets: tickets, Hosts: []string{at.Host}}
		wetoken.Bind(mux, "/wx", &jssdk.Handler{Signer: signer})
		*public = "/wx"
	}
	mux.HandleFunc("GET /goods/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := page.Execute(w, map[string]string{"Name": r.PathValue("name"), "Script": *script, "Public": *public}); err != nil {
			log.Print(err)
		}
	})
	fmt.Println(strings.TrimSuffix(*own, "/") + "/goods/socks?from=example")
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(l))
}

// startWeChat simulates WeChat in this process, and serves its script on an address of its own.
func startWeChat(id, secret string) (client *wechat.Client, script string) {
	wx := new(wechattest.Server)
	wx.AddApp(id, secret)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal((&http.Server{Handler: wx, ReadHeaderTimeout: 5 * time.Second}).Serve(l)) }()
	return &wechat.Client{HTTP: wx.Client()}, "http://" + l.Addr().String()
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="zh-CN">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Name}}</title>
<body style="font: 17px/1.6 system-ui, sans-serif; max-width: 28em; margin: 0 auto; padding: 15vh 24px; text-align: center">
<h1>{{.Name}}</h1>
<p id="result">…</p>
<script src="{{.Script}}/open/js/jweixin-1.6.0.js"></script>
<script src="{{.Public}}/js/config.js?jsApiList=updateAppMessageShareData,scanQRCode"></script>
<script>
function result(text) { document.getElementById("result").textContent = text; }
document.addEventListener("wetoken:error", function (e) { result(e.detail.errmsg); });
wx.error(function (res) { result(res.errMsg); });
wx.ready(function () {
	result("config:ok");
	wx.updateAppMessageShareData({
		title: document.title, desc: "来看看", link: location.href, imgUrl: "",
		success: function (res) { result("config:ok, " + res.errMsg); }
	});
});
</script>
`))
