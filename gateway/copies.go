package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/internal/outbox"
)

// Limits of the deliveries of copies, for all apps together.
const (
	maxDeliveries   = 256             // at once in this process
	maxDeliveryTime = 5 * time.Minute // the longest timeout of a backend
)

// newOutbox returns the outbox of all apps. One scan of the records finds the copies of all of them.
func (g *Gateway) newOutbox() *outbox.Outbox {
	return &outbox.Outbox{
		Store: g.records, Prefix: "outbox/", Send: g.deliver, Keys: g.signKeys, Limit: maxDeliveries, Timeout: maxDeliveryTime,
		OnError: func(ctx context.Context, err error) {
			if !isReported(err) {
				g.log.WarnContext(ctx, "delivery of copies", "error", err)
			}
		},
	}
}

// appWithCallbacks returns the app with an id, or an error if it has no callbacks.
func (g *Gateway) appWithCallbacks(id string) (*app, error) {
	a, err := g.appByID(context.Background(), id)
	if err != nil {
		return nil, err
	}
	if a == nil || a.message == nil {
		return nil, fmt.Errorf("gateway: no app %.64q with callbacks", id)
	}
	return a, nil
}

// signKeys returns the keys that authenticate the items of an app.
func (g *Gateway) signKeys(id string) ([]string, error) {
	a, err := g.appWithCallbacks(id)
	if err != nil {
		return nil, err
	}
	return []string{a.signKey, a.previousSignKey}, nil
}

// deliver sends an item by the receiver of its app.
func (g *Gateway) deliver(ctx context.Context, item outbox.Item) error {
	a, err := g.appWithCallbacks(item.App)
	if err != nil {
		return err
	}
	return a.handlers().messages.Deliver(ctx, item)
}

// deliverCopies delivers the copies of all apps until ctx ends. It begins once an app has copies, or copies from before
// wait, or apps may be registered.
func (g *Gateway) deliverCopies(ctx context.Context) {
	for served := g.served.Load(); g.registered == nil && !served.hasCopies() && !g.outbox.Waiting(ctx); served = g.served.Load() {
		select {
		case <-ctx.Done():
			return
		case <-served.replaced:
		}
	}
	if err := g.outbox.Run(ctx); !errors.Is(err, context.Cause(ctx)) {
		g.log.ErrorContext(ctx, "delivery of copies has ended", "error", err)
	}
}

// hasCopies reports whether the messages of any app are copied to backends.
func (s *snapshot) hasCopies() bool {
	for _, a := range s.apps {
		if a.message.hasCopies() {
			return true
		}
	}
	return false
}
