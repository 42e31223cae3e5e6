package shop

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// The limits of logins. The first is that of a user at an address, so that nobody locks out a user at another address.
var (
	loginPair    = limit{10, 15 * time.Minute} // wrong ones since the last right one
	loginUser    = limit{100, time.Hour}
	loginAddress = limit{100, 15 * time.Minute}
)

// Login returns the user with a password. The address is that of the caller. The errors are ErrPassword, which does not say whether there
// is such a user, and ErrLimited.
func (s *Shop) Login(ctx context.Context, username, password, address string) (User, error) {
	if err := s.allow(ctx, "login/address/"+network(address), loginAddress); err != nil {
		return User{}, err
	}
	if len(username) > 50 || len(password) > maxPassword || !utf8.ValidString(username) {
		return User{}, ErrPassword
	}
	u, err := s.Store.UserByName(ctx, username)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return User{}, err
	}
	// A database may take names in other spellings for the same.
	name := fmt.Sprintf("name/%x", username)
	if u.ID != 0 {
		name = fmt.Sprintf("id/%d", u.ID)
	}
	pair := "login/pair/" + name + "/" + network(address)
	if err := s.allow(ctx, pair, loginPair); err != nil { // it must not count for the user, too
		return User{}, err
	}
	if err := s.allow(ctx, "login/user/"+name, loginUser); err != nil {
		return User{}, err
	}
	right, renewed, err := s.checkPassword(u.PasswordHash, password)
	if err != nil {
		return User{}, err
	}
	if !right {
		return User{}, ErrPassword
	}
	if renewed != "" {
		if err := s.Store.SetPassword(ctx, u.ID, renewed); err != nil {
			return User{}, err
		}
	}
	return u, s.forget(ctx, pair)
}
