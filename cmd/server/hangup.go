package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/wetoken/wetoken/gateway"
)

// catchHangups returns a channel of the SIGHUPs from now on. No SIGHUP ends the process before release is called.
func catchHangups() (hangups <-chan os.Signal, release func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// retryOnHangup calls g.Retry at each SIGHUP until ctx ends.
func retryOnHangup(ctx context.Context, g *gateway.Gateway, hangups <-chan os.Signal) {
	for {
		select {
		case <-hangups:
			g.Retry(ctx)
		case <-ctx.Done():
			return
		}
	}
}
