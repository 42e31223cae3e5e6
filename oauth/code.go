package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/store"
)

// codeLife is the time that a site has to redeem a login_code.
const codeLife = 5 * time.Minute

// ErrLoginCode is the error of a login_code that is unknown, was redeemed before, or is older than 5 minutes.
var ErrLoginCode = errors.New("login_code is unknown, expired or already redeemed")

// Redeem returns the user of a login_code, once. Any holder of the code can redeem it, so a site must pass it to its
// own server only. When several sites log in with the app, each must compare To with its own address: otherwise the
// operator of one site could use the codes of its visitors on another. In WeCom a User without a UserID is not a member
// of the company: anybody with WeChat can log in, and has an openid.
func (l *Login) Redeem(ctx context.Context, loginCode string) (User, error) {
	return redeemLoginCode(ctx, l.store(), l.ownerName(), loginCode)
}

// storeLoginCode stores a user under a login_code, of which the store gets the hash only.
func storeLoginCode(ctx context.Context, s store.Store, owner, loginCode string, u User) error {
	b, err := json.Marshal(u)
	if err == nil {
		err = s.Set(ctx, loginCodeKey(owner, loginCode), b, codeLife)
	}
	if err != nil {
		return fmt.Errorf("oauth: store login: %w", err)
	}
	return nil
}

func redeemLoginCode(ctx context.Context, s store.Store, owner, loginCode string) (User, error) {
	key := loginCodeKey(owner, loginCode)
	b, ok, err := s.Get(ctx, key)
	if err != nil {
		return User{}, fmt.Errorf("oauth: read login: %w", err)
	}
	if !ok {
		return User{}, fmt.Errorf("oauth: %w", ErrLoginCode)
	}
	var u User
	if err := decodeRecord(b, &u); err != nil {
		return User{}, fmt.Errorf("oauth: read login: %w", err)
	}
	taken, err := s.Swap(ctx, key, b, nil, 0)
	if err != nil {
		return User{}, fmt.Errorf("oauth: consume login: %w", err)
	}
	if !taken {
		return User{}, fmt.Errorf("oauth: %w", ErrLoginCode)
	}
	return u, nil
}

func loginCodeKey(owner, loginCode string) string {
	return "oauth/" + owner + "/code/" + hash(loginCode)
}
