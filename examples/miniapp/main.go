// Miniapp is the backend of a mini program and an official account, with the routes and the configuration of the old module
// wg-basic: default login, phone binding, profile, web login, WeChat Pay, shipping and bills.
//
//	go run ./examples/miniapp
//
// It simulates WeChat in this process, and prints the address of a page that plays the mini program. README.md has the rest.
package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/wetoken/wetoken/examples/miniapp/app"
	"github.com/wetoken/wetoken/examples/miniapp/config"
	"github.com/wetoken/wetoken/examples/miniapp/order"
	"github.com/wetoken/wetoken/examples/miniapp/store"
)

//go:embed demo.yaml
var demo []byte

// products are what the program sells. A real shop has them in its database.
var products = []order.Product{{ID: "socks", Name: "袜子 socks", Fen: 1200, Points: 12}}

// hook is the business that a payment causes, in the transaction that records it. Replace it by your own.
var hook order.Hook = store.GivePoints

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "miniapp:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	set := flag.NewFlagSet("miniapp", flag.ContinueOnError)
	addr := set.String("addr", "127.0.0.1:8094", "`address` to listen on; port 0 picks a free one")
	file := set.String("config", "", "YAML `file` with the old tree open-platform.wechat; default a simulated WeChat")
	name := set.String("db", "", "SQLite `file`, or user:password@tcp(host:3306)/database of MariaDB; default miniapp.db, with a simulated WeChat a temporary file")
	if err := set.Parse(args); err != nil {
		return err
	}
	c, err := load(*file)
	if err != nil {
		return err
	}
	db, closeDB, err := openDB(ctx, *name, c.Simulated())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB()) }()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	defer l.Close()
	o := app.Options{Config: c, DB: db, URL: c.Miniapp.URL, Hook: hook, Products: products}
	if o.URL == "" {
		o.URL = "http://" + l.Addr().String()
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	if c.Simulated() {
		slog.Warn("WeChat is simulated: nobody is really logged in, and nothing is really paid")
		if o.World, err = app.Simulate(c, o.URL); err != nil {
			return err
		}
		defer o.World.Close()
	}
	a, err := app.New(ctx, o)
	if err != nil {
		return err
	}
	announce(stdout, o)
	return serve(ctx, l, a)
}

// load reads the configuration. That of a simulated WeChat gets an admin key.
func load(file string) (c *config.Config, err error) {
	if file == "" {
		c, err = config.Parse(demo, os.LookupEnv)
	} else {
		var insecure bool
		if c, insecure, err = config.Load(file); insecure {
			slog.Warn("other users of this machine can read the secrets in the configuration: chmod 600 it, or write ${NAME} for a variable of the environment", "file", file)
		}
	}
	if err == nil && c.Simulated() && c.Miniapp.AdminKey == "" {
		c.Miniapp.AdminKey = rand.Text()
	}
	return c, err
}

// openDB opens the database. A simulated WeChat forgets its orders at the end, and so does a database without a name.
func openDB(ctx context.Context, name string, simulated bool) (db *store.DB, closeDB func() error, err error) {
	remove := func() error { return nil }
	switch {
	case name == "" && simulated:
		folder, err := os.MkdirTemp("", "miniapp-")
		if err != nil {
			return nil, nil, err
		}
		name, remove = filepath.Join(folder, "miniapp.db"), func() error { return os.RemoveAll(folder) }
	case name == "":
		name = "miniapp.db"
	}
	db, err = store.Open(ctx, name)
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return db, func() error { return errors.Join(db.Close(), remove()) }, nil
}

// announce prints what to open.
func announce(w io.Writer, o app.Options) {
	c := &o.Config.OpenPlatform.WeChat
	if o.World == nil {
		fmt.Fprintln(w, o.URL)
		return
	}
	if c.MiniApp.On() {
		fmt.Fprintf(w, "%s/   # plays the mini program\n", o.URL)
	}
	if c.OfficialAccount.On() {
		fmt.Fprintf(w, "%s/official   # page of the official account\n", o.URL)
	}
	if c.Pay.On() {
		fmt.Fprintf(w, "%s/phone   # phone of the simulated WeChat Pay\n", o.World.URL)
		yesterday := time.Now().In(time.FixedZone("", 8*60*60)).AddDate(0, 0, -1).Format(time.DateOnly)
		fmt.Fprintf(w, "curl -s -H 'Authorization: Bearer %s' %s/admin/bills/%s   # bill of yesterday\n", o.Config.Miniapp.AdminKey, o.URL, yesterday)
	}
}

// serve serves until ctx ends, and then lets requests finish for 10 seconds.
func serve(ctx context.Context, l net.Listener, a *app.App) error {
	server := &http.Server{Handler: a.Handler, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	background, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); a.Run(background) }()
	defer func() { stop(); <-done }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(end); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close() // requests that outlast it are cut off
}
