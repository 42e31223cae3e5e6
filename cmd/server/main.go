package main

import (
	"cmp"
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
	"github.com/wetoken/wetoken/gateway/compat"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logging.Disable() // go-redis would print its errors, too
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, errHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "server:", strings.Join(strings.Fields(err.Error()), " ")) // drivers use several lines
	if errors.Is(err, admin.ErrConflict) {
		os.Exit(1)
	}
	os.Exit(2)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parseSettings(args, stderr)
	if err != nil {
		return err
	}
	if s.command == initCommand {
		return s.init.Run(ctx, os.Stdin, stdout, parseConfig)
	}
	o := gateway.Options{Log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: s.logLevel}))}
	slog.SetDefault(o.Log)
	if s.demo {
		if o.Config, o.HTTP, err = newDemo(&s); err != nil {
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
	if !s.demo && (s.command == "" || s.usesGateway()) {
		if err := checkMoney(o.Config); err != nil {
			return err
		}
	}
	if s.command == importCommand {
		if err := checkImport(o.Config); err != nil {
			return err
		}
	}
	if s.command == keyCommand && !isDurable(cmp.Or(o.Config.Records, o.Config.Store)) {
		return errors.New("records: must name a store that keeps keys through a restart, and that the server uses, too")
	}
	kept := o.Config
	if s.demo {
		kept.Apps = nil // the money of the demo may be lost, in any store
	}
	opened, err := stores.Open(kept)
	if err != nil {
		return err
	}
	defer opened.Close()
	if s.command != "" && !s.usesGateway() {
		return admin.Run(ctx, s.command, s.admin, stdout, opened)
	}
	hangups, release := catchHangups() // until the requests in progress have finished
	defer release()
	o.Store, o.DecodeP12 = opened.Shared.Store, decodeP12
	if opened.Records != opened.Shared {
		o.Records = opened.Records.Store
	}
	o.PrivateFallback, o.PublicFallback = compat.Private(o.Config.Compat), compat.Public(o.Config.Compat)
	o.RegisterUnsealed = s.demo && cmp.Or(o.Config.Records, o.Config.Store) == "" // nothing of the memory is read by others
	if !s.demo {
		o.CheckPayments = func(ctx context.Context) error {
			if err := checkPayRecords(o.Config); err != nil {
				return err
			}
			return opened.CheckDurable(ctx)
		}
	}
	g, err := gateway.New(o)
	if err != nil {
		return err
	}
	if err := opened.Start(ctx); err != nil {
		return err
	}
	switch s.command {
	case outboxCommand:
		return s.outbox.Run(ctx, g, stdout)
	case keyCommand:
		return s.key.Run(ctx, g, stdout)
	case platformCommand:
		return s.platform.Run(ctx, g, stdout)
	case importCommand:
		if err := opened.CheckDurable(ctx); err != nil {
			return fmt.Errorf("import: %w", err)
		}
		return s.imports.Run(ctx, g, stdout)
	}
	go retryOnHangup(ctx, g, hangups)
	return serve(ctx, g, s, o.Config.Compat, func() {
		if s.demo {
			printDemo(stdout, s, o.Config)
		}
	})
}

// side is a handler, and the address and flags that it is served on.
type side struct {
	name, flags, address string
	handler              http.Handler
}

// serve listens until ctx ends. Then it closes the addresses, and waits for the requests in progress.
func serve(ctx context.Context, g *gateway.Gateway, s settings, old gateway.Compat, listening func()) error {
	sides := []side{{"public", "-public", s.public, g.Public()}, {"private", "-private", s.private, g.Private()}}
	if s.oneAddress() {
		sides = []side{{"both", "-public, -private", s.public, g.Both()}}
	}
	if old.JSONRPC != "" {
		sides = append(sides, side{"jsonrpc", "compat.jsonrpc", old.JSONRPC, compat.JSONRPC(g, old)})
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
		if side.name == "public" || side.name == "both" { // strangers can reach it
			limited := limitListener(l, maxPublic(fileLimit()), g.Shared)
			l, srv.Handler = limited, limited.handler(side.handler)
		}
		if side.name == "public" {
			srv.ReadTimeout = publicReadTimeout
		}
		running, at = append(running, srv), append(at, side.name, l.Addr().String())
		go func() { failed <- srv.Serve(l) }()
	}
	slog.Info("listening", at...)
	warnOpen(old, at)
	listening()
	workDone := make(chan struct{})
	go func() {
		defer close(workDone)
		g.Run(ctx) // its error is the cause of ctx
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	g.Drain() // only for a /readyz in progress: the addresses are closed at once, which load balancers notice
	return shutdown(running, workDone)
}

// openFor is what an old system that needs no key is open for.
var openFor = map[string]string{
	gateway.CompatWetoken:     "gets tokens",
	gateway.CompatAccessToken: "gets tokens",
	gateway.CompatPayment:     "places orders",
	gateway.CompatProxy:       "gets tokens and places orders",
}

// warnOpen logs which old systems need no key, and at which of the addresses, which are pairs of a side and its address.
func warnOpen(old gateway.Compat, addresses []any) {
	for _, system := range old.Open {
		args := []any{"system", system}
		for i := 0; i+1 < len(addresses); i += 2 {
			if side := addresses[i]; side != "public" && (side != "jsonrpc" || system == gateway.CompatAccessToken) {
				args = append(args, side, addresses[i+1])
			}
		}
		slog.Warn("compat.open: everybody who reaches these addresses "+openFor[system]+" without a key", args...)
	}
}

// maxDrainTime is the longest time for requests and deliveries in progress after the server is told to stop.
const maxDrainTime = 20 * time.Second

func shutdown(running []*http.Server, workDone <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), maxDrainTime)
	defer cancel()
	var errs error
	for _, srv := range running {
		errs = errors.Join(errs, srv.Shutdown(ctx))
	}
	select {
	case <-workDone:
	case <-ctx.Done(): // another server, or the next process, delivers the rest
	}
	return errs
}

// publicReadTimeout is short, since the bodies that strangers send are.
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
