package admin

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/wetoken/wetoken/cmd/server/internal/stores"
	"github.com/wetoken/wetoken/store"
)

// seal seals all values of a store with the first of the master keys, while servers read and write. Values that stood there
// before there were master keys are sealed only with -plaintext, since anybody with access to the store could have put them
// there; beside sealed values only with -mixed, too.
func seal(ctx context.Context, flags Options, stdout io.Writer, o *stores.Store) (string, error) {
	if o.Sealed == nil {
		return "", errors.New("WETOKEN_MASTER_KEYS is not set")
	}
	if flags.Plaintext {
		plain, sealed, err := list(ctx, stdout, o)
		if err != nil {
			return "", fmt.Errorf("nothing was sealed: %w", err)
		}
		if plain > 0 && sealed > 0 && !flags.Mixed {
			return "", fmt.Errorf("nothing was sealed: %d values are sealed already, so somebody without the master keys may have put the %d there that are not: delete those that you do not know; to seal the rest, as after a run that was cut short, add -mixed", sealed, plain)
		}
		o.Sealed.Plaintext = true
	}
	n, err := o.Sealed.Reseal(ctx)
	if err != nil {
		return "", fmt.Errorf("%d values sealed, and then: %w", n, err)
	}
	return fmt.Sprintf("%d values sealed with the current key", n), nil
}

// list prints the keys of values that are not sealed, and counts those that are.
func list(ctx context.Context, stdout io.Writer, o *stores.Store) (plain, sealed int, err error) {
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
