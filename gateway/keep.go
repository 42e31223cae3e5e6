package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/wechat"
)

// checkTickets refuses tickets that the app's kind does not have, and those that nothing would keep.
func (a App) checkTickets() error {
	var has []string
	switch a.Kind {
	case "", wechat.Official:
		has = []string{ticket.JSAPI, ticket.WxCard}
	case wechat.Work:
		has = []string{ticket.JSAPI, ticket.AgentConfig}
	}
	for _, typ := range a.Tickets {
		switch {
		case len(has) == 0:
			return fmt.Errorf("tickets: an app of kind %s has none", a.Kind)
		case !slices.Contains(has, typ):
			return fmt.Errorf("tickets: invalid type %q: want %s", typ, strings.Join(has, " or "))
		case typ == ticket.AgentConfig && a.AgentID == 0:
			return errors.New("agent_id: must be set for tickets of type agent_config")
		}
	}
	if len(a.Tickets) > 0 && !a.Keep {
		return errors.New("tickets: needs keep: true beside it")
	}
	return nil
}

// refresh renews the token and the configured tickets where they are due, and returns when the first of them is due next,
// and the first failure.
func (a *app) refresh(ctx context.Context) (due time.Time, err error) {
	r := a.rooms()
	if due, err = r.tokens.Refresh(ctx); err != nil {
		return due, err
	}
	for _, typ := range a.tickets {
		next, failed := r.tickets.Refresh(ctx, typ)
		if failed != nil && err == nil {
			err = failed
		}
		if next.Before(due) {
			due = next
		}
	}
	return due, err
}
