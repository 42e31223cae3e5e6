package account

import (
	"context"
	"regexp"
)

var phoneForm = regexp.MustCompile(`^\+?[0-9]{5,20}$`)

// BindPhone gives an account its phone number, which becomes its user name, and replaces the token. A phone that another account
// has is ErrPhoneBound.
func (s *Service) BindPhone(ctx context.Context, token, phone string) (fresh string, a Account, err error) {
	if !phoneForm.MatchString(phone) {
		return "", Account{}, ErrPhone
	}
	session, err := s.Session(ctx, token)
	if err != nil {
		return "", Account{}, err
	}
	err = s.Store.Change(ctx, func(tx Tx) error {
		if a, err = tx.ByID(ctx, session.Account.ID); err != nil {
			return err
		}
		if a.ID == "" { // merged with another one meanwhile
			return ErrToken
		}
		owner, err := tx.ByPhone(ctx, phone)
		switch {
		case err != nil:
			return err
		case owner.ID != "" && owner.ID != a.ID:
			return ErrPhoneBound
		}
		a.Phone, a.UserName = phone, phone
		if err := tx.Save(ctx, a); err != nil {
			return err
		}
		if err := tx.DeleteToken(ctx, hashToken(token)); err != nil {
			return err
		}
		fresh, err = s.issue(ctx, tx, a, session.AppID, session.OpenID)
		return err
	})
	return fresh, a, err
}
