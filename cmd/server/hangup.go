package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/wetoken/wetoken/gateway"
)

// retryOnHangup has WeChat asked again at each SIGHUP until ctx ends, where earlier refusals are remembered.
func retryOnHangup(ctx context.Context, g *gateway.Gateway) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangups)
		for {
			select {
			case <-hangups:
				g.Retry(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
}
