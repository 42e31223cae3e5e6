package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/user"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
)

// Outbox is what the command outbox does with the reports of payments that wait for their backends.
type Outbox struct {
	Verb   string // list, retry or drop
	Handle string // of retry and drop: what list prints first, or a Wetoken-Delivery
}

// Check returns an error unless o is a command.
func (o Outbox) Check() error {
	switch {
	case o.Verb == "list" && o.Handle == "":
		return nil
	case (o.Verb == "retry" || o.Verb == "drop") && o.Handle != "":
		return nil
	}
	return errors.New("outbox: want outbox list, outbox retry ID or outbox drop ID")
}

// Run runs the command.
func (o Outbox) Run(ctx context.Context, g *gateway.Gateway, stdout io.Writer) error {
	all, err := g.Relays(ctx)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if o.Verb == "list" {
		for _, r := range all {
			state := "waits for its backend"
			if r.Held != "" {
				state = "held: " + r.Held
			}
			fmt.Fprintf(stdout, "%s  app %q  %s  to %s  since %s  %s\n", r.Handle, r.App, r.ID, hostOf(r.Target), r.Added.UTC().Format(time.RFC3339), state)
		}
		fmt.Fprintf(stdout, "%d reports of payments wait\n", len(all))
		return nil
	}
	var found []gateway.Relay
	for _, r := range all {
		if r.Handle == o.Handle || r.ID == o.Handle {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return fmt.Errorf("outbox: no report %q waits: it was accepted, or dropped", o.Handle)
	case 1:
		return o.do(ctx, g, found[0], stdout)
	}
	return fmt.Errorf("outbox: %d reports have the id %q: use what list prints first", len(found), o.Handle)
}

// do changes a report, and audits who did it.
func (o Outbox) do(ctx context.Context, g *gateway.Gateway, r gateway.Relay, stdout io.Writer) error {
	run, done := g.RetryRelay, "accepted by its backend"
	if o.Verb == "drop" {
		run, done = g.DropRelay, "dropped: its backend never gets it"
	}
	err := run(ctx, r.Handle)
	result := "ok"
	if err != nil {
		result = "failed"
	}
	g.Audits().Add(ctx, gateway.AuditEntry{
		Event: "outbox", Action: o.Verb, Caller: userName(), App: r.App,
		Details: map[string]any{"delivery": r.ID, "to": hostOf(r.Target), "result": result},
	})
	if err != nil {
		return fmt.Errorf("outbox: %s: %w", o.Verb, err)
	}
	fmt.Fprintf(stdout, "%s: %s\n", r.ID, done)
	return nil
}

// userName returns the name of the user who runs a command, for audits. No caller key has such a name.
func userName() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return "user/" + name
}

// hostOf returns the host of a URL: the rest may hold secrets.
func hostOf(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return "an unknown host"
	}
	return strings.ToValidUTF8(u.Host, "")
}
