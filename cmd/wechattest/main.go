// Command wechattest serves a WeChat of its own for tests and demonstrations: point the base URLs of a program at it.
//
//	wechattest -addr 127.0.0.1:8099 -app wx1234567890abcdef:secret -app ww1234567890abcdef:secret:work:1000002
//
// Its first line of output is "listening on http://…". The documentation of package wechattest lists the calls under
// /_wechattest/ that drive it. They are served under loopback names and addresses, the host of -addr and those of -host.
// It ends on SIGTERM or an interrupt.
package main

import (
	"context"
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: 0 when it was asked to end, 1 when it could not go on, 2 for a command line that makes no sense.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	addr, wx, err := configure(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "wechattest:", err)
		return 2
	}
	if err := serve(ctx, addr, wx, stdout); err != nil {
		fmt.Fprintln(stderr, "wechattest:", err)
		return 1
	}
	return 0
}

// configure reads the command line. Its errors quote no app, since an app holds a secret.
func configure(args []string, help io.Writer) (addr string, wx *wechattest.Server, err error) {
	set := flag.NewFlagSet("wechattest", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {} // a wrong flag gets one line, not the whole list
	set.StringVar(&addr, "addr", "127.0.0.1:0", "`address` to listen on; port 0 picks a free one")
	life := set.Duration("life", 2*time.Hour, "`time` that tokens and tickets last")
	var apps []string
	set.Func("app", "`id:secret[:kind[:agent]]` of an app, kind is official (default), mini or work, agent the id of a work one; repeatable", func(v string) error {
		apps = append(apps, v)
		return nil
	})
	var hosts []string
	set.Func("host", "`name` under which the calls that drive it are served, beside loopback ones and that of -addr; repeatable", func(v string) error {
		hosts = append(hosts, v)
		return nil
	})
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			set.SetOutput(help)
			set.PrintDefaults()
		}
		return "", nil, err
	}
	switch {
	case set.NArg() > 0:
		return "", nil, errors.New("there are arguments after the flags; apps are given with -app")
	case *life < time.Second:
		return "", nil, errors.New("-life is shorter than 1s")
	}
	if host, _, err := net.SplitHostPort(addr); err == nil && host != "" && !net.ParseIP(host).IsUnspecified() {
		hosts = append(hosts, host)
	}
	wx = &wechattest.Server{ControlHosts: hosts}
	for i, v := range apps {
		app, err := parseApp(v)
		if err != nil {
			return "", nil, fmt.Errorf("-app number %d: %w", i+1, err)
		}
		app.Life = *life
		wx.Add(app)
	}
	return addr, wx, nil
}

func parseApp(v string) (wechattest.App, error) {
	id, secret, _ := strings.Cut(v, ":")
	secret, kind, _ := strings.Cut(secret, ":")
	kind, agent, hasAgent := strings.Cut(kind, ":")
	if id == "" || secret == "" {
		return wechattest.App{}, errors.New("want id:secret, id:secret:kind or id:secret:work:agent")
	}
	app := wechattest.App{ID: id, Secret: secret, Kind: wechattest.Kind(kind)}
	switch app.Kind {
	case "", wechattest.Official, wechattest.Mini, wechattest.Work:
	default:
		return wechattest.App{}, errors.New("the kind after the secret is official, mini or work")
	}
	if hasAgent {
		n, err := strconv.Atoi(agent)
		if err != nil || n < 1 || app.Kind != wechattest.Work {
			return wechattest.App{}, errors.New("the agent after the kind is a number from 1, of a work app")
		}
		app.AgentID = n
	}
	return app, nil
}

// serve answers until ctx ends. Calls that hang for a fault end with it.
func serve(ctx context.Context, addr string, wx *wechattest.Server, stdout io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           wx,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())

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
		return server.Close() // somebody would not let go in time
	}
	return nil
}
