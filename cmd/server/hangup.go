package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/wetoken/wetoken/gateway"
)

// catchHangups returns the SIGHUPs from now on. None of them ends the process before release is called.
func catchHangups() (hangups <-chan os.Signal, release func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// retryOnHangup has WeChat asked again at each SIGHUP until ctx ends, where earlier refusals are remembered.
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
