// Shop is a whole shop that is paid by WeChat Pay: a catalogue, accounts with SMS codes, orders with a QR code, refunds and bills.
//
//	go run ./examples/shop
//
// It simulates WeChat Pay in this process, with a phone in the browser to pay with. See README.md for a real merchant.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/wetoken/wetoken/examples/shop/handlers"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/store"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store/sqlstore"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("shop: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, c.db)
	if err != nil {
		return err
	}
	defer db.DB.Close()
	if c.admin != "" {
		return db.MakeAdmin(ctx, c.admin)
	}
	shared := &sqlstore.Store{DB: db.DB, Dialect: db.Dialect, Timeout: 10 * time.Second}
	if err := shared.Migrate(ctx); err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	at := "http://" + l.Addr().String()
	c.public = cmp.Or(c.public, at)
	w, err := connect(c.version, shared)
	if err != nil {
		return err
	}
	key, err := shop.LoadKey(ctx, os.Getenv("SHOP_KEY"), shared)
	if err != nil {
		return err
	}
	sender, err := newSender(os.Stdout)
	if err != nil {
		return err
	}
	s := &shop.Shop{
		Store: db, Shared: shared, Sender: sender, Key: key, OldSalt: shop.Secret(os.Getenv("SHOP_OLD_SALT")),
		Cashier: &pay.Cashier{Merchants: w.merchants, URL: c.public, Store: shared}, AppID: w.appID, WeChat: w.client,
	}
	s.Connect()
	h := &handlers.Handlers{
		Shop: s, Phone: w.phone, Proxies: c.proxies, Stop: ctx.Done(),
		Sessions: &handlers.Tokens{Key: key, Users: db, Secure: strings.HasPrefix(c.public, "https://")},
	}

	fmt.Printf("%s/\n", at)
	if w.phone != "" {
		fmt.Printf("%s/phone   # pays: paste the text of a QR code\n", w.phone)
	}
	server := &http.Server{Handler: h.Handler(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	ran := make(chan struct{})
	go func() {
		_ = s.Run(ctx)
		close(ran)
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	<-ran // it uses the database
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(end); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil // requests that outlast it are cut off
}
