package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/store"
)

// codeLife is the time a site has to redeem a login_code.
const codeLife = 5 * time.Minute

// ErrLoginCode says that a login_code was redeemed before, is older than 5 minutes, or never was one.
var ErrLoginCode = errors.New("login_code is unknown, expired or redeemed already")

// Redeem returns the user behind a login_code, once. Only the holder of a code learns who it is, so a code must go to
// the site's own server and no further. Where several sites log in with the app, each must compare To with its own
// address, or else who runs another one can use the codes of its visitors here. In WeCom a User without a UserID is no
// member of the company: anybody with WeChat can log in, and has an openid.
func (l *Login) Redeem(ctx context.Context, loginCode string) (User, error) {
	return redeem(ctx, l.store(), l.owner(), loginCode)
}

// issue keeps a user under a login_code. The store sees only its hash.
func issue(ctx context.Context, s store.Store, owner, loginCode string, u User) error {
	b, err := json.Marshal(u)
	if err == nil {
		err = s.Set(ctx, codeKey(owner, loginCode), b, codeLife)
	}
	if err != nil {
		return fmt.Errorf("oauth: keep login: %w", err)
	}
	return nil
}

func redeem(ctx context.Context, s store.Store, owner, loginCode string) (User, error) {
	key := codeKey(owner, loginCode)
	b, ok, err := s.Get(ctx, key)
	if err != nil {
		return User{}, fmt.Errorf("oauth: read login: %w", err)
	}
	if !ok {
		return User{}, fmt.Errorf("oauth: %w", ErrLoginCode)
	}
	taken, err := s.Swap(ctx, key, b, nil, 0)
	if err != nil {
		return User{}, fmt.Errorf("oauth: end login: %w", err)
	}
	if !taken {
		return User{}, fmt.Errorf("oauth: %w", ErrLoginCode)
	}
	var u User
	if err := json.Unmarshal(b, &u); err != nil {
		return User{}, fmt.Errorf("oauth: read login: the record is not one of ours: %w", err)
	}
	return u, nil
}

func codeKey(owner, loginCode string) string { return "oauth/" + owner + "/code/" + hash(loginCode) }
