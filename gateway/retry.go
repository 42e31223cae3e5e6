package gateway

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// retry lets a caller have WeChat asked now, where an earlier refusal is remembered:
//
//	POST /retry    {"errcode":0,"errmsg":"ok"}, or what WeChat refuses now
type retry struct {
	app   *app
	rooms *rooms
}

func (p retry) Routes() map[string]http.Handler {
	return map[string]http.Handler{"POST /retry": p.app.guard("admin")(http.HandlerFunc(p.serve))}
}

func (p retry) serve(w http.ResponseWriter, r *http.Request) {
	if err := p.rooms.retry(r.Context()); err != nil {
		answer.Failure(w, err)
		return
	}
	answer.JSON(w, http.StatusOK, okBody)
}

// retry asks WeChat now for the token and the tickets that are due, whatever it refused before.
func (r *rooms) retry(ctx context.Context) error {
	if err := r.tokens.Retry(ctx); err != nil {
		return err
	}
	return r.tickets.Retry(ctx)
}

// Retry asks WeChat now for the tokens and tickets that are due of the apps in use, whatever it refused before. A refusal
// that a person cures in WeChat's console is remembered for up to ten minutes otherwise. The log says how many apps were
// tried, and how many failed.
func (g *Gateway) Retry(ctx context.Context) {
	apps := make(chan *app)
	var workers sync.WaitGroup
	var tried, failed atomic.Int64
	for range renewalsMax {
		workers.Go(func() {
			for a := range apps {
				tried.Add(1)
				if a.rooms().retry(ctx) != nil {
					failed.Add(1)
				}
			}
		})
	}
	for _, a := range g.served.Load().apps {
		if a.kind != wechat.Website && a.built.Load() && !a.expired() && ctx.Err() == nil {
			apps <- a
		}
	}
	close(apps)
	workers.Wait()
	g.log.InfoContext(ctx, "asked WeChat again", "apps", tried.Load(), "failed", failed.Load())
}
