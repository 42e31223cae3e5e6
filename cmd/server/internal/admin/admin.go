// Package admin has the commands that the server runs on its stores instead of serving.
package admin

import (
	"context"
	"fmt"
	"io"

	"github.com/wetoken/wetoken/cmd/server/internal/stores"
)

// Options are the flags of the commands.
type Options struct {
	Plaintext bool // seal: seal plaintext values too, which were stored without master keys
	Mixed     bool // seal with Plaintext: even in a store with sealed values
}

// command works on one store, and returns a text about its result.
type command func(ctx context.Context, flags Options, stdout io.Writer, o *stores.Store) (done string, err error)

var commands = map[string]command{
	"migrate": migrate,
	"seal":    seal,
}

// Has reports whether a command with a name exists.
func Has(name string) bool { return commands[name] != nil }

// Run runs a command on each of the stores, and prints the results.
func Run(ctx context.Context, name string, flags Options, stdout io.Writer, all stores.Set) error {
	return all.Each(func(o *stores.Store) error {
		done, err := commands[name](ctx, flags, stdout, o)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, o.Name, stores.Explain(err))
		}
		fmt.Fprintf(stdout, "%s: %s\n", o.Name, done)
		return nil
	})
}
