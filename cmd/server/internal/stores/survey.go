package stores

import (
	"context"
	"errors"

	"github.com/wetoken/wetoken/store"
)

// maxSurveyed is the number of values that a start reads. The command seal -plaintext reads all.
const maxSurveyed = 1000

// findings are the results of a survey. The mark does not count.
type findings struct {
	ours    bool // our keys open a value
	sealed  bool // a value is sealed
	foreign bool // a value is sealed with another key
}

// survey reads values of a store until it finds one that our keys open or, with foreign, one that is sealed with another
// key.
func (o *Store) survey(ctx context.Context, foreign bool) (f findings, err error) {
	n := 0
	for key, err := range o.Raw.Keys(ctx, "") {
		if err != nil {
			return f, err
		}
		if key == markKey {
			continue
		}
		if n++; n > maxSurveyed {
			break
		}
		_, ok, err := o.Sealed.Get(ctx, key)
		switch {
		case err == nil && ok:
			f.ours, f.sealed = true, true
		case err != nil && !IsSealError(err):
			return f, err
		case err != nil:
			f.sealed = f.sealed || !errors.Is(err, store.ErrPlaintext)
			f.foreign = f.foreign || errors.Is(err, store.ErrSealKey)
		}
		if foreign && f.foreign || !foreign && f.ours {
			break
		}
	}
	return f, nil
}
