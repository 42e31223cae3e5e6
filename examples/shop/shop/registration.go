package shop

import (
	"context"
	"errors"
	"regexp"
)

// Registration is what a new user sends.
type Registration struct {
	Username, Password, Mobile, Code string
}

// The rules of the old program, in both of its forms.
var (
	usernamePattern = regexp.MustCompile(`^[a-zA-Z0-9]{3,20}$`)
	passwordPattern = regexp.MustCompile(`^[a-zA-Z0-9]{3,30}$`)
	codePattern     = regexp.MustCompile(`^[0-9]{4}$`)
)

// check returns a FieldError for the first field that is wrong.
func (r Registration) check() error {
	for _, field := range []struct {
		name, value string
		pattern     *regexp.Regexp
	}{
		{"username", r.Username, usernamePattern},
		{"password", r.Password, passwordPattern},
		{"mobile", r.Mobile, mobilePattern},
		{"smsCode", r.Code, codePattern},
	} {
		if !field.pattern.MatchString(field.value) {
			return &FieldError{field.name}
		}
	}
	return nil
}

// Register adds a user whose mobile got the code. The errors are ErrInvalid, ErrCode, and ErrExists if the name is taken, after which
// the code can be used for another name.
func (s *Shop) Register(ctx context.Context, r Registration) (User, error) {
	if err := r.check(); err != nil {
		return User{}, err
	}
	code, err := s.redeemCode(ctx, r.Mobile, r.Code)
	if err != nil {
		return User{}, err
	}
	hash, err := s.hashPassword(r.Password)
	if err != nil {
		return User{}, err
	}
	u := User{Username: r.Username, PasswordHash: hash, Mobile: r.Mobile, CreatedAt: now()}
	if u.ID, err = s.Store.AddUser(ctx, u); err != nil {
		return User{}, errors.Join(err, s.returnCode(context.WithoutCancel(ctx), r.Mobile, code))
	}
	return u, nil
}
