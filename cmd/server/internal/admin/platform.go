package admin

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/wetoken/wetoken/gateway"
)

// Platform is what the command platform does with a third-party platform.
type Platform struct {
	Verb string // sync or start-push
	Name string

	apply bool
}

// AddFlags adds the flags of the command, and returns an error unless p is one.
func (p *Platform) AddFlags(f *flag.FlagSet) error {
	switch {
	case p.Verb == "sync" && p.Name != "":
		f.BoolVar(&p.apply, "apply", false, "with platform sync: make the changes")
		return nil
	case p.Verb == "start-push" && p.Name != "":
		return nil
	}
	return errors.New("platform: want platform sync NAME or platform start-push NAME")
}

// Run runs the command.
func (p Platform) Run(ctx context.Context, g *gateway.Gateway, stdout io.Writer) error {
	ctx = gateway.WithActor(ctx, userName())
	if p.Verb == "sync" {
		return p.sync(ctx, g, stdout)
	}
	if err := g.StartPush(ctx, p.Name); err != nil {
		return fmt.Errorf("platform: start-push: %w", err)
	}
	fmt.Fprintf(stdout, "WeChat pushes component_verify_ticket to %q: the first one comes within 10 minutes\n", p.Name)
	return nil
}

// sync prints the changes, and makes them with -apply.
func (p Platform) sync(ctx context.Context, g *gateway.Gateway, stdout io.Writer) error {
	changes, failed := 0, 0
	for c, err := range g.SyncPlatform(ctx, p.Name, p.apply) {
		if err != nil {
			return fmt.Errorf("platform: sync: %w", err)
		}
		fmt.Fprintf(stdout, "%-8s  %s", c.Action, c.AppID)
		if c.App != "" {
			fmt.Fprintf(stdout, "  app %q", c.App)
		}
		fmt.Fprintf(stdout, "  %s", c.Reason)
		if c.Err != nil {
			fmt.Fprintf(stdout, "  failed: %v", c.Err)
			failed++
		}
		fmt.Fprintln(stdout)
		if c.Action != "none" {
			changes++
		}
	}
	switch {
	case failed > 0:
		return fmt.Errorf("platform: sync: %d of %d changes were not made", failed, changes)
	case p.apply:
		fmt.Fprintf(stdout, "%d changes were made\n", changes)
	default:
		fmt.Fprintf(stdout, "%d changes would be made: -apply makes them\n", changes)
	}
	return nil
}
