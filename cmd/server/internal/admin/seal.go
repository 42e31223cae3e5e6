package admin

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/wetoken/wetoken/cmd/server/internal/stores"
	"github.com/wetoken/wetoken/store"
)

// seal seals all values of a store with the first of the master keys, while servers read and write. It seals plaintext
// values only with -plaintext, since anybody with access to the store could have written them; in a store with sealed
// values only with -mixed, too.
func seal(ctx context.Context, flags Options, stdout io.Writer, o *stores.Store) (string, error) {
	if o.Sealed == nil {
		return "", errors.New("WETOKEN_MASTER_KEYS is not set")
	}
	if flags.Plaintext {
		plain, sealed, err := listPlaintext(ctx, stdout, o)
		if err != nil {
			return "", fmt.Errorf("nothing was sealed: %w", err)
		}
		if plain > 0 && sealed > 0 && !flags.Mixed {
			return "", fmt.Errorf("nothing was sealed: %d values are sealed already, so the %d others may have been written without the master keys: delete the unknown ones; to seal the rest, such as after an interrupted run, add -mixed", sealed, plain)
		}
		o.Sealed.Plaintext = true
	}
	n, err := o.Sealed.Reseal(ctx)
	if err != nil {
		return "", fmt.Errorf("stopped after %d values: %w", n, err)
	}
	return fmt.Sprintf("%d values sealed with the current key", n), nil
}

// listPlaintext prints the keys of values that are not sealed. It counts them, and those that are sealed.
func listPlaintext(ctx context.Context, stdout io.Writer, o *stores.Store) (plain, sealed int, err error) {
	for key, err := range o.Raw.Keys(ctx, "") {
		if err != nil {
			return plain, sealed, err
		}
		_, ok, err := o.Sealed.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrPlaintext):
			plain++
			fmt.Fprintf(stdout, "%s: not sealed: %q\n", o.Name, key)
		case err != nil && !stores.IsSealError(err):
			return plain, sealed, err
		case err != nil || ok:
			sealed++
		}
	}
	return plain, sealed, nil
}
