package account

import (
	"context"
	"crypto/rand"
	"strings"
)

// Login returns a token for a WeChat user whom WeChat has vouched for, and the user's account. A new user gets an account with
// a random name. Two accounts of one unionid become one.
func (s *Service) Login(ctx context.Context, u Identity) (token string, a Account, err error) {
	err = s.Store.Change(ctx, func(tx Tx) (err error) {
		if a, err = s.find(ctx, tx, u); err != nil {
			return err
		}
		token, err = s.issue(ctx, tx, a, u.AppID, u.OpenID)
		return err
	})
	return token, a, err
}

// find returns the account of a user, which it adds or merges where needed.
func (s *Service) find(ctx context.Context, tx Tx, u Identity) (Account, error) {
	own, err := tx.ByIdentity(ctx, u.AppID, u.OpenID)
	if err != nil {
		return Account{}, err
	}
	var shared Account // of the same person in another app
	if u.UnionID != "" {
		if shared, err = tx.ByUnion(ctx, u.UnionID); err != nil {
			return Account{}, err
		}
	}
	a := own
	switch {
	case own.ID == "" && shared.ID == "":
		a = Account{ID: randomID(), UserName: "wx" + randomID(), CreatedAt: now()}
		err = tx.Add(ctx, a)
	case own.ID == "":
		a = shared
	case shared.ID != "" && shared.ID != own.ID:
		a, err = s.merge(ctx, tx, own, shared)
	}
	if err == nil && own.ID == "" {
		err = tx.AddIdentity(ctx, a.ID, u.AppID, u.OpenID)
	}
	if err == nil && u.UnionID != "" && shared.ID == "" {
		err = tx.AddUnion(ctx, a.ID, u.UnionID)
	}
	return a, err
}

// merge joins two accounts of one person. Accounts with different phones stay apart, since a phone is a user name that both may
// be using.
func (s *Service) merge(ctx context.Context, tx Tx, own, shared Account) (Account, error) {
	keep, drop, ok := Merged(own, shared)
	if !ok {
		s.log().WarnContext(ctx, "two accounts of one WeChat user have different phones and stay apart", "accounts", []string{own.ID, shared.ID})
		return own, nil
	}
	if err := tx.Absorb(ctx, keep.ID, drop.ID); err != nil {
		return Account{}, err
	}
	return keep, tx.Save(ctx, keep)
}

// Merged returns the account that stays when two become one, with what the other one adds. That with a phone stays, or else the
// older one. ok is false if both have a phone.
func Merged(a, b Account) (keep, drop Account, ok bool) {
	keep, drop = a, b
	if b.Phone != "" && a.Phone == "" || (a.Phone == "") == (b.Phone == "") && b.CreatedAt.Before(a.CreatedAt) {
		keep, drop = b, a
	}
	if keep.Nickname == "" {
		keep.Nickname = drop.Nickname
	}
	if keep.Avatar == "" {
		keep.Avatar = drop.Avatar
	}
	keep.Points += drop.Points
	return keep, drop, a.Phone == "" || b.Phone == ""
}

func randomID() string { return strings.ToLower(rand.Text()) }
