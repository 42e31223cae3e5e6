package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// grantLife is the life of WeChat's refresh tokens.
const grantLife = 30 * 24 * time.Hour

// margin is how long an access token must have left to be handed out.
const margin = time.Minute

// Grant returns the grant that a user's last login left, with an access token that WeChat takes, refreshed where it had
// ended. Only grants beyond snsapi_base are kept: with the others nothing can be done. An error wraps ErrNoGrant where
// the user has to log in again.
func (l *Login) Grant(ctx context.Context, openID string) (Grant, error) {
	g, _, ok, err := l.stored(ctx, openID)
	if err != nil {
		return Grant{}, fmt.Errorf("oauth: %w", err)
	}
	if !ok {
		return Grant{}, fmt.Errorf("oauth: %w", ErrNoGrant)
	}
	if time.Until(g.Expires) > margin {
		return g, nil
	}
	return l.Refresh(ctx, g)
}

// keep writes the grant of a login, whose refresh token has its whole life before it.
func (l *Login) keep(ctx context.Context, g Grant) error {
	b, err := json.Marshal(storedGrant(g))
	if err == nil {
		err = l.records().Set(ctx, l.grantKey(g.OpenID), b, grantLife)
	}
	if err != nil {
		return fmt.Errorf("keep refresh token: %w", err)
	}
	return nil
}

// replace writes a refreshed grant over the one it came from, whose life it does not lengthen. Where another process was
// quicker, with a later login or refresh, its grant is the one to go on with.
func (l *Login) replace(ctx context.Context, from, fresh Grant) (Grant, error) {
	for range 3 {
		now, old, ok, err := l.stored(ctx, fresh.OpenID)
		if err != nil {
			return Grant{}, err
		}
		if !ok {
			return fresh, l.keep(ctx, fresh)
		}
		later := now.RefreshToken != from.RefreshToken // a login since, whose refresh token lives longer
		switch {
		case now.Expires.After(fresh.Expires), later && time.Until(now.Expires) > margin:
			return now, nil
		case later:
			return fresh, nil
		}
		b, err := json.Marshal(storedGrant(fresh))
		if err != nil {
			return Grant{}, fmt.Errorf("keep refresh token: %w", err)
		}
		swapped, err := l.records().Swap(ctx, l.grantKey(fresh.OpenID), old, b, -1)
		if err != nil {
			return Grant{}, fmt.Errorf("keep refresh token: %w", err)
		}
		if swapped {
			return fresh, nil
		}
	}
	return fresh, nil // others keep writing this user's grant, and each of theirs is as good
}

func (l *Login) stored(ctx context.Context, openID string) (g Grant, raw []byte, ok bool, err error) {
	if openID == "" || len(openID) > maxOpenID {
		return Grant{}, nil, false, nil
	}
	raw, ok, err = l.records().Get(ctx, l.grantKey(openID))
	if err != nil {
		return Grant{}, nil, false, fmt.Errorf("read refresh token: %w", err)
	}
	if !ok {
		return Grant{}, nil, false, nil
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		return Grant{}, nil, false, fmt.Errorf("read refresh token: the record is not one of ours: %w", err)
	}
	return g, raw, true, nil
}

// grantKey names the record of a user's grant. All Names of one AppID share it, as WeChat knows the AppID alone.
func (l *Login) grantKey(openID string) string { return "oauth/" + l.app() + "/grant/" + openID }
