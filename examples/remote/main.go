// Remote is a site on another machine than the wetoken server that keeps its app's AppSecret. The server logs its visitors in, signs its
// pages, and gives it access tokens for WeChat's API. The site has only a caller key of the server.
//
//	go run ./examples/remote
//	go run ./examples/remote -public http://127.0.0.1:8080/app/demo -private http://127.0.0.1:8081/app/demo -key … -wechat http://127.0.0.1:…
//	WETOKEN_KEY=… go run ./examples/remote -public https://wx.example.com/app/shop -private http://wetoken:8081/app/shop -url https://shop.example.com
//
// The first command runs a server and a simulated WeChat in this process, with two persons; open the address that it prints in any
// browser. A server with -demo prints the second one. The third uses a real app: the host of -url is listed under hosts in the
// configuration of the server and as a JS safe domain in WeChat's console, and the browser is WeChat's own.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// server is an app on a wetoken server.
type server struct {
	public, private string // URLs of the app
	key             string // caller key with the scopes token, renew and login

	weChat string // base URL of a simulated WeChat; empty for the real one
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8091", "address to listen on; port 0 picks a free one")
	own := flag.String("url", "", "address that browsers use; default that of -addr")
	var at server
	flag.StringVar(&at.public, "public", "", "public URL of the app on a wetoken server; default a server in this process")
	flag.StringVar(&at.private, "private", "", "with -public: the private URL")
	flag.StringVar(&at.key, "key", "", "with -public: a caller key; default the variable WETOKEN_KEY")
	flag.StringVar(&at.weChat, "wechat", "", "with -public: base URL of the simulated WeChat that the server uses; default the real WeChat")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if *own == "" {
		*own = "http://" + l.Addr().String()
	}
	home, err := url.Parse(*own)
	if err != nil || home.Host == "" {
		log.Fatal("-url: want a URL such as https://shop.example.com")
	}
	if at.key == "" {
		at.key = os.Getenv("WETOKEN_KEY")
	}
	switch {
	case at.public == "":
		if at, err = startServer(home.Host); err != nil {
			log.Fatal(err)
		}
	case at.private == "" || at.key == "":
		log.Fatal("-public needs -private and a key")
	}

	tokens := &token.Remote{URL: at.private + "/token", Key: at.key}
	s := &site{
		server: at, address: strings.TrimSuffix(*own, "/"), origin: home.Scheme + "://" + home.Host, sessions: new(store.Memory),
		users: redeemer{at.private, at.key}, api: &wechat.Client{Tokens: tokens, BaseURL: at.weChat},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /in", s.in)
	mux.HandleFunc("POST /out", s.out)
	fmt.Println(s.address + "/")
	log.Fatal((&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}).Serve(l))
}
