package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/wetoken/wetoken/cmd/server/internal/admin"
	"github.com/wetoken/wetoken/cmd/server/internal/stores"
	"github.com/wetoken/wetoken/gateway"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logging.Disable() // go-redis prints what its errors say, too
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, errHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "server:", strings.Join(strings.Fields(err.Error()), " ")) // drivers like several lines
	os.Exit(2)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parseSettings(args, stderr)
	if err != nil {
		return err
	}
	o := gateway.Options{Log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: s.logLevel}))}
	slog.SetDefault(o.Log)
	if s.demo {
		if o.Config, o.HTTP, err = demo(&s); err != nil {
			return err
		}
	} else if s.config != "" {
		if o.Config, err = readConfig(s.config); err != nil {
			return err
		}
	}
	if s.store != "" {
		o.Config.Store = s.store
	}
	all, err := stores.Open(o.Config)
	if err != nil {
		return err
	}
	defer all.Close()
	if s.command != "" {
		return admin.Run(ctx, s.command, s.admin, stdout, all)
	}
	hangups, release := catchHangups() // until the requests under way have finished
	defer release()
	o.Store = all.Shared.Store
	if all.Records != all.Shared {
		o.Records = all.Records.Store
	}
	g, err := gateway.New(o)
	if err != nil {
		return err
	}
	if err := all.Start(ctx); err != nil {
		return err
	}
	go retryOnHangup(ctx, g, hangups)
	return serve(ctx, g, s, func() {
		if s.demo {
			printDemo(stdout, s, o.Config)
		}
	})
}

// side is what stands on one address.
type side struct {
	name, flags, address string
	handler              http.Handler
}

// serve listens until ctx ends, and then no more, and lets the requests under way finish.
func serve(ctx context.Context, g *gateway.Gateway, s settings, listening func()) error {
	sides := []side{{"public", "-public", s.public, g.Public()}, {"private", "-private", s.private, g.Private()}}
	if s.together() {
		sides = []side{{"both", "-public, -private", s.public, g.Both()}}
	}
	failed := make(chan error, len(sides))
	var running []*http.Server
	var at []any
	for _, side := range sides {
		l, err := s.listen(side.address)
		if err != nil {
			return fmt.Errorf("%s: cannot listen on %s: %w", side.flags, side.address, err)
		}
		srv := newServer(side.handler)
		if side.name != "private" { // strangers reach it
			limited := limitListener(l, publicMax(fileLimit()), g.Shared)
			l, srv.Handler = limited, limited.handler(side.handler)
		}
		if side.name == "public" {
			srv.ReadTimeout = publicReadTimeout
		}
		running, at = append(running, srv), append(at, side.name, l.Addr().String())
		go func() { failed <- srv.Serve(l) }()
	}
	slog.Info("listening", at...)
	listening()
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		g.Keep(ctx) // returns why ctx ended, which is known
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	g.Drain() // for a /readyz under way alone: the addresses are closed at once, as balancers find out by themselves
	return shutdown(running, kept)
}

// drainMax is how long requests and deliveries under way may take once the server is told to stop.
const drainMax = 20 * time.Second

func shutdown(running []*http.Server, kept <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	var all error
	for _, srv := range running {
		all = errors.Join(all, srv.Shutdown(ctx))
	}
	select {
	case <-kept:
	case <-ctx.Done(): // what is not delivered is by another server, or the next one
	}
	return all
}

// publicReadTimeout is short, as the bodies that strangers send are.
const publicReadTimeout = 15 * time.Second

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
