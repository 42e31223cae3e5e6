package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/store"
)

var okBody = []byte(`{"errcode":0,"errmsg":"ok"}`)

// storeMax is how long the stores may take to be called ready.
const storeMax = 2 * time.Second

// ready answers 503 while a store cannot be used, or once Drain was called. The tokens that are held are served
// even so.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request, words func(error) string) {
	if g.draining.Load() {
		answer.Refuse(w, http.StatusServiceUnavailable, "going down")
		return
	}
	if err := g.Ping(r.Context()); err != nil {
		answer.Refuse(w, http.StatusServiceUnavailable, words(err))
		return
	}
	answer.JSON(w, http.StatusOK, okBody)
}

// hush logs an error, and tells strangers nothing of where the stores are.
func (g *Gateway) hush(err error) string {
	g.log.Warn("not ready", "error", err)
	return "gateway: a store cannot be used: the server's log has more"
}

// Ping returns why a store cannot be used, or nil. A store with a method Ping(context.Context) error is asked by that; of
// any other the key "ready" is read.
func (g *Gateway) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	if err := g.ping(ctx, g.store); err != nil {
		return fmt.Errorf("gateway: the store cannot be used: %w", err)
	}
	if g.oneStore {
		return nil
	}
	if err := g.ping(ctx, g.records); err != nil {
		return fmt.Errorf("gateway: the records cannot be used: %w", err)
	}
	return nil
}

func (g *Gateway) ping(ctx context.Context, s store.Store) error {
	if p, ok := s.(interface{ Ping(context.Context) error }); ok {
		return p.Ping(ctx)
	}
	_, _, err := s.Get(ctx, "ready")
	if errors.Is(err, store.ErrPlaintext) || errors.Is(err, store.ErrTampered) { // the store has answered
		g.log.ErrorContext(ctx, "somebody without the keys has written to the store", "key", "ready", "error", err)
		return nil
	}
	return err
}

// Drain makes /readyz answer 503, which tells a balancer to send no more requests. It has to see that: http.Server's
// Shutdown closes the listeners at once, so a program waits in between for as long as its balancer takes to ask again.
func (g *Gateway) Drain() { g.draining.Store(true) }

// isReported reports whether err is nothing but that of a store which has reported it: such an error has the method
// Reported. One that is joined with another error is not.
func isReported(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if r, ok := err.(interface{ Reported() bool }); ok {
			return r.Reported()
		}
	}
	return false
}
