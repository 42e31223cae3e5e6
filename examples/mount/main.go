// Mount has, in mount.go, the line that mounts parts of wetoken below /wx on four routers: ServeMux, chi, gin and echo.
//
//	go run ./examples/mount echo
//	curl -s http://127.0.0.1:8092/wx/token
//
// It serves an app of a WeChat that is simulated in this process, so anybody may have its token.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8092", "address to listen on; port 0 picks a free one")
	flag.Parse()

	wx := new(wechattest.Server)
	wx.AddApp("wxexample000000000", "secret")
	tokens := &token.Manager{AppID: "wxexample000000000", Secret: "secret", Client: &wechat.Client{HTTP: wx.Client()}}
	part := &token.Handler{Source: tokens, Guard: allowAll}

	h, err := router(flag.Arg(0), part)
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("curl -s http://%s/wx/token\n", l.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(l))
}

// router returns the router with a name, with part mounted on it.
func router(name string, part *token.Handler) (http.Handler, error) {
	switch name {
	case "servemux", "":
		mux := http.NewServeMux()
		ServeMux(mux, part)
		return mux, nil
	case "chi":
		r := chi.NewRouter()
		Chi(r, part)
		return r, nil
	case "gin":
		r := gin.New()
		Gin(r, part)
		return r, nil
	case "echo":
		e := echo.New()
		Echo(e, part)
		return e, nil
	}
	return nil, fmt.Errorf("mount: invalid router %q: want servemux, chi, gin or echo", name)
}

// allowAll admits every caller. The token of a real app needs a guard that checks the caller, as in the example of
// token.Handler.
func allowAll(next http.Handler) http.Handler { return next }
