package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/internal/outbox"
)

// Deliveries of copies, of all apps together.
const (
	copyLimit = 256             // at a time in this process
	copyMost  = 5 * time.Minute // the longest timeout that a backend may have
)

// newOutbox makes the outbox that all apps share: one scan of the records finds the copies of all of them.
func (g *Gateway) newOutbox() *outbox.Outbox {
	return &outbox.Outbox{
		Store: g.records, Prefix: "outbox/", Send: g.deliver, Keys: g.signKeys, Limit: copyLimit, Timeout: copyMost,
		Report: func(ctx context.Context, err error) {
			if !isReported(err) {
				g.log.WarnContext(ctx, "copies of messages", "error", err)
			}
		},
	}
}

// receives returns the app of an id, if it has a receiver.
func (g *Gateway) receives(id string) (*app, error) {
	a := g.served.Load().apps[id]
	if a == nil || a.message == nil {
		return nil, fmt.Errorf("gateway: there is no app %.64q with callbacks", id)
	}
	return a, nil
}

// signKeys returns the keys that the items of an app are authenticated by.
func (g *Gateway) signKeys(id string) ([]string, error) {
	a, err := g.receives(id)
	if err != nil {
		return nil, err
	}
	return []string{a.signKey, a.oldKey}, nil
}

// deliver sends an item as its app does.
func (g *Gateway) deliver(ctx context.Context, item outbox.Item) error {
	a, err := g.receives(item.App)
	if err != nil {
		return err
	}
	return a.rooms().messages.Deliver(ctx, item)
}

// keepCopies delivers the copies of all apps until ctx ends, once any app has copies or any wait from before.
func (g *Gateway) keepCopies(ctx context.Context) {
	for served := g.served.Load(); !served.copies() && !g.outbox.Waiting(ctx); served = g.served.Load() {
		select {
		case <-ctx.Done():
			return
		case <-served.replaced:
		}
	}
	if err := g.outbox.Keep(ctx); !errors.Is(err, context.Cause(ctx)) {
		g.log.ErrorContext(ctx, "deliver copies", "error", err)
	}
}

// copies reports whether the messages of any app are copied to backends.
func (s *snapshot) copies() bool {
	for _, a := range s.apps {
		if a.message.copies() {
			return true
		}
	}
	return false
}
