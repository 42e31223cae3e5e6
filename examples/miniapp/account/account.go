// Package account keeps the accounts of people who come from WeChat. A person has one account for the mini program and the
// official account of one open platform, since both give the same unionid.
package account

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Account is a person here.
type Account struct {
	ID       string
	UserName string // random until a phone is bound, then its number
	Phone    string // with the country code if it is not China's; empty until one is bound
	Nickname string // as the person typed it
	Avatar   string // URL, or path of a picture of this program
	Points   int64  // earned with orders

	CreatedAt time.Time
}

// Initial reports whether the account has no phone yet.
func (a Account) Initial() bool { return a.Phone == "" }

// Identity is a WeChat user of one app.
type Identity struct {
	AppID   string
	OpenID  string
	UnionID string // empty if the app belongs to no open platform account
}

// Session is what a token stands for.
type Session struct {
	Account   Account
	AppID     string // of the app that the person came from
	OpenID    string
	ExpiresAt time.Time
}

// The refusals that the person can act on.
var (
	ErrToken      = errors.New("account: the token is unknown or has ended: log in again")
	ErrPhoneBound = errors.New("account: the phone is bound to another account")
	ErrPhone      = errors.New("account: invalid phone number")
	ErrNickname   = errors.New("account: invalid nickname: want 1 to 32 visible characters")
	ErrAvatar     = errors.New("account: invalid avatar: want an https URL, or a PNG or JPEG of at most 256 KiB as a data URL")
)

// Service has the rules of accounts. It is safe for concurrent use, and several processes may use one database.
type Service struct {
	Store Store

	TokenLife time.Duration // default 30 days
	Log       *slog.Logger  // default slog.Default()
}

// Store is the database.
type Store interface {
	// Session returns the session of the hash of a token, or ErrToken.
	Session(ctx context.Context, hash string, now time.Time) (Session, error)
	// Picture returns an avatar by its name.
	Picture(ctx context.Context, name string) (p Picture, ok bool, err error)
	// Change runs do in a transaction. It repeats do if another process was faster, so do must have no effect but on tx.
	Change(ctx context.Context, do func(tx Tx) error) error
}

// Tx is a transaction. The accounts that it returns stay locked until it ends. An Account with an empty ID does not exist.
type Tx interface {
	ByID(ctx context.Context, id string) (Account, error)
	ByIdentity(ctx context.Context, appID, openID string) (Account, error)
	ByUnion(ctx context.Context, unionID string) (Account, error)
	ByPhone(ctx context.Context, phone string) (Account, error)

	Add(ctx context.Context, a Account) error
	Save(ctx context.Context, a Account) error
	// Absorb moves all that belongs to an account to another one, and deletes it.
	Absorb(ctx context.Context, to, from string) error

	AddIdentity(ctx context.Context, account, appID, openID string) error
	AddUnion(ctx context.Context, account, unionID string) error
	AddToken(ctx context.Context, hash string, s Session) error
	DeleteToken(ctx context.Context, hash string) error
	// SetPicture replaces the picture of an account.
	SetPicture(ctx context.Context, account string, p Picture) error
}

func (s *Service) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}

// now has the precision of the database.
func now() time.Time { return time.Now().Truncate(time.Millisecond) }
