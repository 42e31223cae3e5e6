package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/wetoken/wetoken/store"
)

// commands are what the program does instead of serving, once its stores are open.
var commands = map[string]func(ctx context.Context, s settings, stdout io.Writer, o *opened) (done string, err error){
	"migrate": migrate,
	"seal":    seal,
}

// do runs a command on each of the stores, and prints what became of them.
func do(ctx context.Context, s settings, stdout io.Writer, all stores) error {
	return all.each(func(o *opened) error {
		done, err := commands[s.command](ctx, s, stdout, o)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", s.command, o.name, explain(err))
		}
		fmt.Fprintf(stdout, "%s: %s\n", o.name, done)
		return nil
	})
}

const migrateMax = time.Minute

// migrate makes the tables of a store where they are missing. It changes nothing else, and can be repeated.
func migrate(ctx context.Context, _ settings, _ io.Writer, o *opened) (string, error) {
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

// seal seals all values of a store with the first of the master keys, while servers read and write. Values that stood there
// before there were master keys are sealed only with -plaintext, since anybody with access to the store could have put them
// there; beside sealed values only with -mixed, too.
func seal(ctx context.Context, s settings, stdout io.Writer, o *opened) (string, error) {
	if o.sealed == nil {
		return "", errors.New("WETOKEN_MASTER_KEYS is not set")
	}
	if s.plaintext {
		plain, sealed, err := o.list(ctx, stdout)
		if err != nil {
			return "", fmt.Errorf("nothing was sealed: %w", err)
		}
		if plain > 0 && sealed > 0 && !s.mixed {
			return "", fmt.Errorf("nothing was sealed: %d values are sealed already, so somebody without the master keys may have put the %d there that are not: delete those that you do not know; to seal the rest, as after a run that was cut short, add -mixed", sealed, plain)
		}
		o.sealed.Plaintext = true
	}
	n, err := o.sealed.Reseal(ctx)
	if err != nil {
		return "", fmt.Errorf("%d values sealed, and then: %w", n, err)
	}
	return fmt.Sprintf("%d values sealed with the current key", n), nil
}

// list prints the keys of values that are not sealed, and counts those that are.
func (o *opened) list(ctx context.Context, stdout io.Writer) (plain, sealed int, err error) {
	for key, err := range o.raw.Keys(ctx, "") {
		if err != nil {
			return plain, sealed, err
		}
		_, ok, err := o.sealed.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrPlaintext):
			plain++
			fmt.Fprintf(stdout, "%s: not sealed: %q\n", o.name, key)
		case err != nil && !isSealError(err):
			return plain, sealed, err
		case err != nil || ok:
			sealed++
		}
	}
	return plain, sealed, nil
}
