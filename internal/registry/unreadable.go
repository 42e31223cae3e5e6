package registry

import (
	"errors"

	"github.com/wetoken/wetoken/store"
)

// recordError is an error about the content of a record.
type recordError struct{ error }

func (e *recordError) Unwrap() error { return e.error }

// IsUnreadable reports whether err is about the content of a record, so that reading it again gives the same error.
func IsUnreadable(err error) bool {
	return errors.As(err, new(*recordError)) || errors.Is(err, ErrNewer) ||
		errors.Is(err, store.ErrPlaintext) || errors.Is(err, store.ErrSealKey) || errors.Is(err, store.ErrTampered)
}
