// Embed is a bookshop on chi, with routes, sessions and tables of its own, that gets a WeChat login, replies of its official account, and
// payments. The application is in app.go and page.go, everything that it needs for WeChat in wechat.go.
//
//	go run ./examples/embed
//	go run ./examples/embed -db mysql://root@127.0.0.1:3306/test
//	WECHAT_APP_ID=wx… WECHAT_SECRET=… WECHAT_TOKEN=… WECHAT_AES_KEY=… \
//	WECHAT_MCH_ID=… WECHAT_SERIAL_NO=… WECHAT_KEY=apiclient_key.pem WECHAT_API_V3_KEY=… \
//	WECHAT_PUBLIC_KEY_ID=PUB_KEY_ID_… WECHAT_PUBLIC_KEY=pub_key.pem \
//	go run ./examples/embed -db sqlite:bookshop.db -url https://shop.example.com
//
// The first two simulate WeChat and WeChat Pay in this process: log in, buy a book and pay in any browser. The last one uses a real
// official account; -url is its public address, whose host is entered in WeChat's console. Without -db the data is in a new SQLite
// file, which is removed when the program ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/wetoken/wetoken/store/sqlstore"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8090", "address to listen on; port 0 picks a free one")
	url := flag.String("url", "", "public URL of the bookshop; default that of -addr")
	where := flag.String("db", "", "sqlite:FILE or mysql://USER:PASSWORD@HOST/NAME; default a new SQLite file, removed at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *url, *where); err != nil {
		log.Fatal(err)
	}
}

// run serves the bookshop until ctx ends.
func run(ctx context.Context, addr, url, where string) error {
	var c account
	var w *world // nil for the real WeChat
	var err error
	if os.Getenv("WECHAT_APP_ID") != "" {
		if where == "" || url == "" {
			return errors.New("a real account needs -db, a database that keeps its orders, and -url, the address that WeChat can reach")
		}
		if c, err = accountFromEnv(); err != nil {
			return err
		}
	} else {
		if w, err = simulateWeChat(); err != nil {
			return err
		}
		defer w.close()
		c = w.account
	}
	if where == "" {
		dir, err := os.MkdirTemp("", "bookshop-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		where = "sqlite:" + filepath.Join(dir, "bookshop.db")
	}
	kind, db, err := openDB(where)
	if err != nil {
		return err
	}
	defer db.Close()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	if url == "" {
		url = "http://" + l.Addr().String()
	}
	url = strings.TrimSuffix(url, "/")

	a, err := newApp(ctx, kind, db, strings.HasPrefix(url, "https:"))
	if err != nil {
		return err
	}
	s := &sqlstore.Store{DB: db, Dialect: map[string]sqlstore.Dialect{"sqlite": sqlstore.SQLite, "mysql": sqlstore.MySQL}[kind]}
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	cashier, err := addWeChat(a, s, c, url)
	if err != nil {
		return err
	}
	if w != nil {
		a.payScript = c.WeChat + "/phone/pay/bridge.js"
		fmt.Printf("%s/   # log in, buy a book and pay, in any browser\n%s   # asks for the orders\n", url, w.pushCommand(url+"/wx/message", "orders"))
	} else {
		fmt.Printf("%s/   # served at http://%s/\n%[1]s/wx/message   # the callback URL for WeChat's console\n", url, l.Addr())
	}
	return serve(ctx, l, a, cashier.Run)
}

// serve serves h, and works, until ctx ends. Then it waits for requests under way.
func serve(ctx context.Context, l net.Listener, h http.Handler, work func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() {
		failed <- server.Serve(l)
		cancel()
	}()
	_ = work(ctx) // until ctx ends
	select {
	case err := <-failed:
		return err
	default:
	}
	end, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	_ = server.Shutdown(end) // requests that outlast it are cut off
	return nil
}
