// Command wechattest serves a simulated WeChat for tests and demonstrations: point the base URLs of a program at it.
//
//	wechattest -addr 127.0.0.1:8099 -app wx1234567890abcdef:secret -app ww1234567890abcdef:secret:work:1000002 -merchant 1900000001:wx1234567890abcdef
//
// Its first line of output is "listening on http://…", or with -tls "listening on https://…". Refunds of APIv2 need -tls, since the
// merchant shows its certificate there; programs trust the server by SSL_CERT_FILE (Go, Python) or NODE_EXTRA_CA_CERTS. The documentation of package wechattest lists the calls under
// /_wechattest/ that control it. WeChat Pay is served at the same address, under /v3/ and the paths of v2, and its phone at /phone, for a browser;
// the documentation of package paytest lists the calls under /_paytest/, of which merchant returns the keys of a merchant.
// The calls and the phone are served under loopback names and addresses, the host of -addr and those of -host.
// It ends on SIGTERM or an interrupt.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs the program. It returns 0 after a request to end, 1 for a failure, and 2 for an invalid command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	addr, world, err := configure(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "wechattest:", err)
		return 2
	}
	defer world.pay.Close()
	if err := serve(ctx, addr, world, stdout); err != nil {
		fmt.Fprintln(stderr, "wechattest:", err)
		return 1
	}
	return 0
}

// world is WeChat and WeChat Pay at one address.
type world struct {
	wx  *wechattest.Server
	pay *paytest.Server
	tls *tls.Config // nil for plain HTTP
}

// ServeHTTP chooses between the two by path, so that both have one base URL.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if paytest.Serves(r.URL.Path) {
		w.pay.ServeHTTP(rw, r)
		return
	}
	w.wx.ServeHTTP(rw, r)
}

// configure parses the command line. Its errors do not quote an app, which contains a secret.
func configure(args []string, help io.Writer) (addr string, w *world, err error) {
	set := flag.NewFlagSet("wechattest", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {} // an invalid flag is one line, not the whole list
	set.StringVar(&addr, "addr", "127.0.0.1:0", "`address` to listen on; port 0 picks a free one")
	life := set.Duration("life", 2*time.Hour, "`time` that tokens and tickets last")
	var apps []string
	set.Func("app", "`id:secret[:kind[:agent]]` of an app, kind is official (default), mini or work, agent the id of a work one; repeatable", func(v string) error {
		apps = append(apps, v)
		return nil
	})
	var merchants []string
	set.Func("merchant", "`mchid[:appid...]` of a merchant of WeChat Pay, any appids by default; GET /_paytest/merchant?mchid= answers its keys, new ones at each start; repeatable", func(v string) error {
		merchants = append(merchants, v)
		return nil
	})
	var hosts []string
	set.Func("host", "`name` under which the control calls and the phone are served, besides loopback names and that of -addr; repeatable", func(v string) error {
		hosts = append(hosts, v)
		return nil
	})
	certificate := set.String("tls", "", "serve https with a new certificate, and write the certificate to this `file`, for the clients to trust")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			set.SetOutput(help)
			set.PrintDefaults()
		}
		return "", nil, err
	}
	switch {
	case set.NArg() > 0:
		return "", nil, errors.New("invalid arguments: want flags only; -app adds an app")
	case *life < time.Second:
		return "", nil, errors.New("invalid -life: want 1s or more")
	}
	if host, _, err := net.SplitHostPort(addr); err == nil && host != "" && !net.ParseIP(host).IsUnspecified() {
		hosts = append(hosts, host)
	}
	w = &world{wx: &wechattest.Server{ControlHosts: hosts}, pay: &paytest.Server{ControlHosts: hosts}}
	w.wx.FindPayment = wechattest.PaidBy(w.pay)
	if *certificate != "" {
		if w.tls, err = newTLS(*certificate, hosts); err != nil {
			return "", nil, err
		}
	}
	for i, v := range apps {
		app, err := parseApp(v)
		if err != nil {
			return "", nil, fmt.Errorf("-app number %d: %w", i+1, err)
		}
		app.Life = *life
		w.wx.Add(app)
	}
	for i, v := range merchants {
		mchID, appIDs, listed := strings.Cut(v, ":")
		if mchID == "" || listed && appIDs == "" {
			return "", nil, fmt.Errorf("-merchant number %d: want mchid or mchid:appid:appid", i+1)
		}
		m := paytest.Merchant{MchID: mchID}
		if listed {
			m.AppIDs = strings.Split(appIDs, ":")
		}
		w.pay.AddMerchant(m)
	}
	return addr, w, nil
}

func parseApp(v string) (wechattest.App, error) {
	id, secret, _ := strings.Cut(v, ":")
	secret, kind, _ := strings.Cut(secret, ":")
	kind, agent, hasAgent := strings.Cut(kind, ":")
	if id == "" || secret == "" {
		return wechattest.App{}, errors.New("invalid app: want id:secret, id:secret:kind or id:secret:work:agent")
	}
	app := wechattest.App{ID: id, Secret: secret, Kind: wechattest.Kind(kind)}
	switch app.Kind {
	case "", wechattest.Official, wechattest.Mini, wechattest.Work:
	default:
		return wechattest.App{}, errors.New("invalid kind after the secret: want official, mini or work")
	}
	if hasAgent {
		n, err := strconv.Atoi(agent)
		if err != nil || n < 1 || app.Kind != wechattest.Work {
			return wechattest.App{}, errors.New("invalid agent after the kind: want a number from 1, and kind work")
		}
		app.AgentID = n
	}
	return app, nil
}

// serve serves until ctx ends. Calls that hang for a fault end with it.
func serve(ctx context.Context, addr string, w *world, stdout io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           w,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	scheme := "http"
	if w.tls != nil {
		scheme, listener = "https", tls.NewListener(listener, w.tls)
	}
	fmt.Fprintf(stdout, "listening on %s://%s\n", scheme, listener.Addr())

	pushing, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = w.wx.Run(pushing) }() // it ends with ctx alone
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return server.Close() // a connection did not end in time
	}
	return nil
}
