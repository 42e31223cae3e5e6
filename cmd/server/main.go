// Server is the gateway of wetoken as a program: it reads a configuration, and serves the apps in it to our own
// services (private) and to WeChat and browsers (public).
//
//	server -config wetoken.yaml
//	server -demo
//
// Each flag may stand in the environment instead, as WETOKEN_CONFIG, WETOKEN_STORE and so on; flags win over the
// environment, and both over the file. A configuration that cannot be served is one line on standard error and exit
// code 2. SIGTERM lets the requests under way finish.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/wetoken/wetoken/gateway"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, errHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "server:", err)
	os.Exit(2)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parseSettings(args, stderr)
	if err != nil {
		return err
	}
	o := gateway.Options{Log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: s.logLevel}))}
	if s.demo {
		o.Config, o.HTTP = demo(s)
	} else if o.Config, err = readConfig(s.config); err != nil {
		return err
	}
	if s.store != "" {
		o.Config.Store = s.store
	}
	if o.Store, err = openStore(o.Config.Store); err != nil {
		return err
	}
	g, err := gateway.New(o)
	if err != nil {
		return err
	}
	if err := g.Ping(ctx); err != nil {
		return err
	}
	return serve(ctx, g, s, func() {
		if s.demo {
			printDemo(stdout, s, o.Config)
		}
	})
}

// serve listens until ctx ends, and then lets the requests under way finish.
func serve(ctx context.Context, g *gateway.Gateway, s settings, listening func()) error {
	servers := map[string]http.Handler{s.public: g.Public()}
	servers[s.private] = g.Private()
	if s.public == s.private {
		servers[s.private] = g.Both()
	}
	failed := make(chan error, len(servers))
	var running []*http.Server
	for address, h := range servers {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("-public, -private: cannot listen on %s: %w", address, err)
		}
		srv := newServer(h)
		running = append(running, srv)
		go func() { failed <- srv.Serve(l) }()
	}
	listening()
	go g.Keep(ctx)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	g.Drain()
	return shutdown(running)
}

// drainMax is how long requests under way may take once the server is told to stop.
const drainMax = 20 * time.Second

func shutdown(running []*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	var all error
	for _, srv := range running {
		all = errors.Join(all, srv.Shutdown(ctx))
	}
	return all
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
