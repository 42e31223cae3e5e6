package platform

import (
	"context"
	"errors"
)

// Kept is how Records agree with WeChat about the refresh token of an account.
type Kept string

const (
	KeptSame    Kept = "same"    // or WeChat does not tell it
	KeptOther   Kept = "other"   // Records have another one than WeChat tells
	KeptMissing Kept = "missing" // Records have none
)

// Adopt keeps the refresh token of an account that WeChat has listed. If the list lacks it, it is read by api_get_authorizer_info.
func (p *Platform) Adopt(ctx context.Context, a Account) error {
	if a.RefreshToken == "" {
		info, err := p.Account(ctx, a.AppID)
		if err != nil {
			return err
		}
		a.RefreshToken = info.RefreshToken
	}
	if a.RefreshToken == "" {
		return p.wrapError(errNotTold)
	}
	return p.wrapError(p.recovered(ctx, a.AppID, issued{refreshToken: a.RefreshToken, at: recently()}))
}

// errNotTold is the failure to read a refresh token from WeChat.
var errNotTold = errors.New("WeChat does not tell the refresh token: have the account's administrator authorize the platform again")

// Compare reports whether Records have the refresh token of an account as WeChat tells it.
func (p *Platform) Compare(ctx context.Context, a Account) (Kept, error) {
	kept, _, err := p.readAuthorizer(ctx, a.AppID)
	switch {
	case err != nil:
		return "", p.wrapError(err)
	case kept == nil:
		return KeptMissing, nil
	case a.RefreshToken == "" || a.RefreshToken == kept.RefreshToken:
		return KeptSame, nil
	}
	return KeptOther, nil
}
