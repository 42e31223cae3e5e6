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

// maxPingTime is the longest time for a check of both stores.
const maxPingTime = 2 * time.Second

// ready replies with 503 while a store cannot be used, and after Drain. Tokens are served even then. describe returns the
// text for an error.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request, describe func(error) string) {
	if g.draining.Load() {
		answer.Refuse(w, http.StatusServiceUnavailable, "shutting down")
		return
	}
	if err := g.Ping(r.Context()); err != nil {
		answer.Refuse(w, http.StatusServiceUnavailable, describe(err))
		return
	}
	answer.JSON(w, http.StatusOK, g.readyBody(time.Now()))
}

// readyBody says for how long the oldest report of a payment has waited, if one has.
func (g *Gateway) readyBody(now time.Time) []byte {
	oldest := g.relayState.oldest.Load()
	if oldest == 0 {
		return okBody
	}
	return fmt.Appendf(nil, `{"errcode":0,"errmsg":"ok","oldest_report_seconds":%d,"held_reports":%d}`, max(now.Unix()-oldest, 0), g.relayState.held.Load())
}

// hideDetails logs an error, and returns a text that does not tell strangers where the stores are.
func (g *Gateway) hideDetails(err error) string {
	g.log.Warn("not ready", "error", err)
	return "gateway: a store cannot be used: see the log of the server"
}

// Ping returns why a store cannot be used, or nil. It calls a store's method Ping(context.Context) error, or reads the key
// "ready" of a store without one.
func (g *Gateway) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxPingTime)
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
	if errors.Is(err, store.ErrPlaintext) || errors.Is(err, store.ErrTampered) { // but the store works
		g.log.ErrorContext(ctx, "the store has a value that was written without the master keys", "key", "ready", "error", err)
		return nil
	}
	return err
}

// Drain makes /readyz reply with 503, which tells a load balancer to send no more requests. The balancer has to see that:
// Shutdown of http.Server closes the listeners at once, so a program waits between the two for as long as its balancer
// takes to check again.
func (g *Gateway) Drain() { g.draining.Store(true) }

// isReported reports whether err comes only from a store that has logged it already: such an error has the method Reported.
// An error that is joined with another one is not reported.
func isReported(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if r, ok := err.(interface{ Reported() bool }); ok {
			return r.Reported()
		}
	}
	return false
}
