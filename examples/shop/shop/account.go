package shop

import (
	"context"
	"time"
)

// User is a customer, or an admin of the shop.
type User struct {
	ID           int64
	Username     string
	PasswordHash string // of bcrypt, or the MD5 of the old program
	Mobile       string
	Admin        bool
	CreatedAt    time.Time
}

// AccountStore stores users.
type AccountStore interface {
	// AddUser returns the id of the user, or ErrExists if the name is taken.
	AddUser(ctx context.Context, u User) (id int64, err error)
	// User and UserByName return ErrNotFound if there is none.
	User(ctx context.Context, id int64) (User, error)
	UserByName(ctx context.Context, username string) (User, error)
	SetPassword(ctx context.Context, id int64, hash string) error
}
