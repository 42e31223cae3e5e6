package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// commands are what the program does instead of serving, once its stores are open.
var commands = map[string]func(ctx context.Context, s settings, o *opened) (done string, err error){
	"migrate": migrate,
	"seal":    seal,
}

// do runs a command on each of the stores, and prints what became of them.
func do(ctx context.Context, s settings, stdout io.Writer, all stores) error {
	return all.each(func(o *opened) error {
		done, err := commands[s.command](ctx, s, o)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", s.command, o.name, explain(err))
		}
		fmt.Fprintf(stdout, "%s: %s\n", o.name, done)
		return nil
	})
}

const migrateMax = time.Minute

// migrate makes the tables of a store where they are missing. It changes nothing else, and can be repeated.
func migrate(ctx context.Context, _ settings, o *opened) (string, error) {
	if o.migrate == nil {
		return "has no tables", nil
	}
	ctx, cancel := context.WithTimeout(ctx, migrateMax)
	defer cancel()
	if err := o.migrate(ctx); err != nil {
		return "", err
	}
	return "its table is there", nil
}

// seal seals all values of a store with the first of the master keys, while servers read and write. What stood there
// before there were master keys is sealed only with -plaintext, since anybody with access to the store could have put
// it there.
func seal(ctx context.Context, s settings, o *opened) (string, error) {
	if o.sealed == nil {
		return "", errors.New("WETOKEN_MASTER_KEYS is not set")
	}
	o.sealed.Plaintext = s.plaintext
	n, err := o.sealed.Reseal(ctx)
	if err != nil {
		return "", fmt.Errorf("%d values sealed, and then: %w", n, err)
	}
	return fmt.Sprintf("%d values sealed with the current key", n), nil
}
