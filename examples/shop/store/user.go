package store

import (
	"context"
	"fmt"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

// AddUser implements shop.AccountStore.
func (s *Store) AddUser(ctx context.Context, u shop.User) (id int64, err error) {
	result, err := s.DB.ExecContext(ctx, "INSERT INTO user (username, password, mobile, is_admin, created_at) VALUES (?, ?, ?, ?, ?)",
		u.Username, u.PasswordHash, u.Mobile, u.Admin, millis(u.CreatedAt))
	if isDuplicate(err) {
		return 0, shop.ErrExists
	}
	if err == nil {
		id, err = result.LastInsertId()
	}
	if err != nil {
		return 0, fmt.Errorf("store: add user: %w", err)
	}
	return id, nil
}

// User implements shop.AccountStore.
func (s *Store) User(ctx context.Context, id int64) (shop.User, error) {
	return s.readUser(ctx, "id = ?", id)
}

// UserByName implements shop.AccountStore.
func (s *Store) UserByName(ctx context.Context, username string) (shop.User, error) {
	return s.readUser(ctx, "username = ?", username)
}

// readUser returns the user that a condition selects.
func (s *Store) readUser(ctx context.Context, condition string, arg any) (u shop.User, err error) {
	var createdAt int64
	err = s.DB.QueryRowContext(ctx, "SELECT id, username, password, COALESCE(mobile, ''), is_admin, created_at FROM user WHERE "+condition, arg).
		Scan(&u.ID, &u.Username, &u.PasswordHash, &u.Mobile, &u.Admin, &createdAt)
	if err != nil {
		return shop.User{}, fmt.Errorf("store: read user: %w", notFound(err))
	}
	u.CreatedAt = instant(createdAt)
	return u, nil
}

// SetPassword implements shop.AccountStore.
func (s *Store) SetPassword(ctx context.Context, id int64, hash string) error {
	if _, err := s.DB.ExecContext(ctx, "UPDATE user SET password = ? WHERE id = ?", hash, id); err != nil {
		return fmt.Errorf("store: set password: %w", err)
	}
	return nil
}

// MakeAdmin makes a registered user an admin. It returns shop.ErrNotFound if there is no such user.
func (s *Store) MakeAdmin(ctx context.Context, username string) error {
	u, err := s.UserByName(ctx, username)
	if err != nil {
		return err
	}
	return s.exec(ctx, "make admin", "UPDATE user SET is_admin = 1 WHERE id = ?", u.ID)
}
