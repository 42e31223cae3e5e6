// Token keeps an app's access token and serves it to other programs at /wx/token.
//
//	go run ./examples/token
//	WECHAT_APP_ID=wx… WECHAT_SECRET=… WETOKEN_KEY=… go run ./examples/token
//
// The first line simulates WeChat in this process and generates a key. Both print the command that gets a token.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8090", "address to listen on; port 0 picks a free one")
	flag.Parse()

	tokens := &token.Manager{AppID: os.Getenv("WECHAT_APP_ID"), Secret: os.Getenv("WECHAT_SECRET")}
	key, shown := os.Getenv("WETOKEN_KEY"), "$WETOKEN_KEY"
	if tokens.AppID == "" { // no app: simulate WeChat
		tokens.AppID, tokens.Secret = "wxexample000000000", rand.Text()
		wx := new(wechattest.Server)
		wx.AddApp(tokens.AppID, tokens.Secret)
		tokens.Client = &wechat.Client{HTTP: wx.Client()}
		key = rand.Text()
		shown = key
	}
	if key == "" {
		log.Fatal("WETOKEN_KEY is empty: want a key for callers")
	}

	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", &token.Handler{Source: tokens, Guard: bearer(key)})

	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("curl -s -H \"Authorization: Bearer %s\" http://%s/wx/token\n", shown, l.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(l))
}

// bearer admits callers with key. It compares digests, so that its time reveals nothing about the key, not even its length.
func bearer(key string) func(http.Handler) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + key))
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				http.Error(w, "a key is needed", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
