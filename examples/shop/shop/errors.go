package shop

import "errors"

// The errors of a Shop. Errors of package pay are passed on.
var (
	ErrNotFound  = errors.New("shop: not found")
	ErrExists    = errors.New("shop: exists already")
	ErrPrice     = errors.New("shop: the amount is not the price of the goods")
	ErrNoGoods   = errors.New("shop: no such goods")
	ErrState     = errors.New("shop: the state of the order does not allow this")
	ErrForbidden = errors.New("shop: not allowed")
	ErrInvalid   = errors.New("shop: invalid") // wrapped by a FieldError
	ErrPassword  = errors.New("shop: wrong username or password")
	ErrCode      = errors.New("shop: wrong or expired code")
	ErrLimited   = errors.New("shop: too many tries")
	ErrSend      = errors.New("shop: send code")
)

// FieldError is an ErrInvalid that names the field of a form.
type FieldError struct{ Field string }

func (e *FieldError) Error() string { return ErrInvalid.Error() + ": " + e.Field }

func (e *FieldError) Unwrap() error { return ErrInvalid }
