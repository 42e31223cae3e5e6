package gateway

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/wetoken/wetoken/internal/answer"
)

// retryPart lets a caller ask WeChat again after a refusal, which is otherwise remembered for a while:
//
//	POST /retry    {"errcode":0,"errmsg":"ok"}, or WeChat's refusal
type retryPart struct {
	app      *app
	managers *managers
}

func (p retryPart) Routes() map[string]http.Handler {
	return map[string]http.Handler{"POST /retry": p.app.guard("admin")(http.HandlerFunc(p.serve))}
}

func (p retryPart) serve(w http.ResponseWriter, r *http.Request) {
	if err := p.managers.retry(r.Context()); err != nil {
		answer.Failure(w, err)
		return
	}
	answer.JSON(w, http.StatusOK, okBody)
}

// retry fetches the token and the tickets that are due, even if WeChat has refused them recently.
func (m *managers) retry(ctx context.Context) error {
	if m.platform != nil {
		return m.platform.Retry(ctx)
	}
	if err := m.tokens.Retry(ctx); err != nil {
		return err
	}
	return m.tickets.Retry(ctx)
}

// Retry fetches the tokens and tickets that are due, of the apps in use, even if WeChat has refused them recently.
// Otherwise a refusal that a person has to resolve in WeChat's console is remembered for up to ten minutes. The log says
// how many apps were tried, and how many failed.
func (g *Gateway) Retry(ctx context.Context) {
	apps := make(chan *app)
	var workers sync.WaitGroup
	var tried, failed atomic.Int64
	for range maxRenewals {
		workers.Go(func() {
			for a := range apps {
				tried.Add(1)
				if a.managers().retry(ctx) != nil {
					failed.Add(1)
				}
			}
		})
	}
	for _, a := range g.appsInUse() {
		if ctx.Err() == nil {
			apps <- a
		}
	}
	close(apps)
	workers.Wait()
	g.log.InfoContext(ctx, "asked WeChat again", "apps", tried.Load(), "failed", failed.Load())
}
