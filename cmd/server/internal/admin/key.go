package admin

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/field"
)

// Key is what the command key does with registered caller keys.
type Key struct {
	Verb string // list, create, rotate or revoke
	Name string // of the key; empty for list

	settings gateway.Key
	overlap  time.Duration
}

// AddFlags adds the flags of the command to f. It returns an error unless k is a command.
func (k *Key) AddFlags(f *flag.FlagSet) error {
	switch {
	case k.Verb == "list" && k.Name == "":
	case (k.Verb == "create" || k.Verb == "rotate" || k.Verb == "revoke") && k.Name != "":
	default:
		return errors.New("key: want key list, key create NAME, key rotate NAME or key revoke NAME")
	}
	switch k.Verb {
	case "create":
		s := &k.settings
		addList(f, &s.Apps, "apps", "names of apps, separated by commas; * is all")
		addList(f, &s.Scopes, "scopes", "scopes, separated by commas; * is all but refund, transfer, pay-api and admin")
		addList(f, &s.Paths, "paths", "paths of APIv3 for the scope pay-api, separated by commas")
		addList(f, &s.Addresses, "addresses", "addresses or ranges that may use the key, separated by commas (default any)")
		f.Func("expires", "`time` at which the key ends, such as 2027-01-01T00:00:00Z (default never)", func(text string) (err error) {
			if s.ExpiresAt, err = time.Parse(time.RFC3339, text); err != nil || s.ExpiresAt.IsZero() { // which would be never
				return errors.New("want a time such as 2027-01-01T00:00:00Z")
			}
			return nil
		})
		f.IntVar(&s.Rate, "rate", 0, "requests a second and process (default no limit)")
		f.Int64Var(&s.MaxFen, "max-fen", 0, "most of one order, refund, reversal or transfer (default no limit)")
		f.Int64Var(&s.DayFen, "day-fen", 0, "most of the refunds, reversals and transfers of a day (default no limit)")
	case "rotate":
		f.DurationVar(&k.overlap, "overlap", gateway.DefaultOverlap, "how long the earlier keys are good")
	}
	return nil
}

func addList(f *flag.FlagSet, list *[]string, name, usage string) {
	f.Func(name, usage, func(text string) error {
		*list = strings.Split(text, ",")
		return nil
	})
}

// Run runs the command. A new key is the only line that it prints.
func (k Key) Run(ctx context.Context, g *gateway.Gateway, stdout io.Writer) error {
	ctx = gateway.WithActor(ctx, userName())
	var key string
	var err error
	switch k.Verb {
	case "list":
		return k.list(ctx, g, stdout)
	case "create":
		k.settings.Name = k.Name
		key, err = g.Keys().Create(ctx, k.settings)
	case "rotate":
		key, err = g.Keys().Rotate(ctx, k.Name, k.overlap)
	default:
		err = g.Keys().Delete(ctx, k.Name)
	}
	if err != nil {
		return fmt.Errorf("key: %s: %w", k.Verb, err)
	}
	if key == "" {
		key = field.Quote(k.Name) + ": revoked"
	}
	fmt.Fprintln(stdout, key)
	return nil
}

func (k Key) list(ctx context.Context, g *gateway.Gateway, stdout io.Writer) error {
	n := 0
	for r, err := range g.Keys().All(ctx) {
		if err != nil {
			return fmt.Errorf("key: %w", err)
		}
		n++
		s := r.Settings
		apps := make([]string, len(s.Apps))
		for i, name := range s.Apps {
			apps[i] = field.Quote(name)
		}
		fmt.Fprintf(stdout, "%s  apps %s  scopes %s", field.Quote(s.Name), strings.Join(apps, ","), strings.Join(s.Scopes, ","))
		if !s.ExpiresAt.IsZero() {
			fmt.Fprintf(stdout, "  ends %s", s.ExpiresAt.UTC().Format(time.RFC3339))
		}
		switch {
		case r.InFile:
			fmt.Fprint(stdout, "  in the configuration")
		case r.UsedAt.IsZero():
			fmt.Fprintf(stdout, "  id %s  made %s  not used", r.ID, r.CreatedAt.UTC().Format(time.RFC3339))
		default:
			fmt.Fprintf(stdout, "  id %s  made %s  used %s", r.ID, r.CreatedAt.UTC().Format(time.RFC3339), r.UsedAt.UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(stdout)
	}
	fmt.Fprintf(stdout, "%d caller keys\n", n)
	return nil
}
