package oauth

import (
	"context"
	"errors"
	"net/url"

	"github.com/wetoken/wetoken/wechat"
)

// errComponentOld is WeChat's refusal of a component_access_token that has expired.
const errComponentOld wechat.Code = 42006

// getByPlatform makes a call for an account that has authorized the platform with an appid, by that platform's token. A refused token is
// renewed, and the call repeated once.
func getByPlatform(ctx context.Context, api *wechat.Client, id string, tokens wechat.TokenSource, path string, query url.Values, out any) error {
	if tokens == nil {
		return errors.New("PlatformTokens must be set where PlatformID is")
	}
	c, err := tokens.Token(ctx)
	if err != nil {
		return err
	}
	query.Set("component_appid", id)
	query.Set("component_access_token", c.Value)
	err = api.Get(ctx, path, query, out)
	if !errors.Is(err, wechat.ErrInvalidCredential) && !errors.Is(err, wechat.ErrTokenExpired) && !errors.Is(err, errComponentOld) {
		return err
	}
	if c, err = tokens.Renew(ctx, c.Value); err != nil {
		return err
	}
	query.Set("component_access_token", c.Value)
	return api.Get(ctx, path, query, out)
}
