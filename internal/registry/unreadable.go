package registry

import (
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/store"
)

// recordError is an error about the content of a record.
type recordError struct {
	error
	raw []byte // the record; nil if the store cannot read it
}

func (e *recordError) Unwrap() error { return e.error }

// unreadable returns the error about the content of the record under a key, which is raw, or nil if the store cannot read it.
func unreadable(key string, raw []byte, err error) error {
	return &recordError{fmt.Errorf("%w, under %q", err, key), raw}
}

// IsUnreadable reports whether err is about the content of a record, so that reading it again gives the same error.
func IsUnreadable(err error) bool {
	return errors.As(err, new(*recordError)) || errors.Is(err, ErrNewer) ||
		errors.Is(err, store.ErrPlaintext) || errors.Is(err, store.ErrSealKey) || errors.Is(err, store.ErrTampered)
}

// isDamaged reports whether err is about a record that no release can read.
func isDamaged(err error) bool { return IsUnreadable(err) && !errors.Is(err, ErrNewer) }
