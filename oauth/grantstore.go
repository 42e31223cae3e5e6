package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// grantLife is the life of a refresh token.
const grantLife = 30 * 24 * time.Hour

// minTokenLife is the least time that a returned access token is valid for.
const minTokenLife = time.Minute

// Grant returns the grant of a user's last login, with a valid access token: an expired one is refreshed. Only grants
// beyond snsapi_base are stored, since the others are of no use after the login. An error wraps ErrNoGrant if the user
// must log in again.
func (l *Login) Grant(ctx context.Context, openID string) (Grant, error) {
	g, _, ok, err := l.readGrant(ctx, openID)
	if err != nil {
		return Grant{}, fmt.Errorf("oauth: %w", err)
	}
	if !ok {
		return Grant{}, fmt.Errorf("oauth: %w", ErrNoGrant)
	}
	if time.Until(g.Expires) > minTokenLife {
		return g, nil
	}
	return l.Refresh(ctx, g)
}

// saveGrant stores the grant of a login for the whole life of its refresh token.
func (l *Login) saveGrant(ctx context.Context, g Grant) error {
	b, err := json.Marshal(storedGrant(g))
	if err == nil {
		err = l.records().Set(ctx, l.grantKey(g.OpenID), b, grantLife)
	}
	if err != nil {
		return fmt.Errorf("store grant: %w", err)
	}
	return nil
}

// replaceGrant replaces a stored grant by a refreshed one, without extending its life in the store. If another process
// has stored a later login or refresh, replaceGrant returns that grant instead.
func (l *Login) replaceGrant(ctx context.Context, from, fresh Grant) (Grant, error) {
	for range 3 {
		now, old, ok, err := l.readGrant(ctx, fresh.OpenID)
		if err != nil {
			return Grant{}, err
		}
		if !ok {
			return fresh, l.saveGrant(ctx, fresh)
		}
		later := now.RefreshToken != from.RefreshToken // a login since then, whose refresh token lives longer
		switch {
		case now.Expires.After(fresh.Expires), later && time.Until(now.Expires) > minTokenLife:
			return now, nil
		case later:
			return fresh, nil
		}
		b, err := json.Marshal(storedGrant(fresh))
		if err != nil {
			return Grant{}, fmt.Errorf("store grant: %w", err)
		}
		swapped, err := l.records().Swap(ctx, l.grantKey(fresh.OpenID), old, b, -1)
		if err != nil {
			return Grant{}, fmt.Errorf("store grant: %w", err)
		}
		if swapped {
			return fresh, nil
		}
	}
	return fresh, nil // other processes keep storing this user's grant, and theirs are as good
}

func (l *Login) readGrant(ctx context.Context, openID string) (g Grant, raw []byte, ok bool, err error) {
	if openID == "" || len(openID) > maxOpenID {
		return Grant{}, nil, false, nil
	}
	raw, ok, err = l.records().Get(ctx, l.grantKey(openID))
	if err != nil {
		return Grant{}, nil, false, fmt.Errorf("read grant: %w", err)
	}
	if !ok {
		return Grant{}, nil, false, nil
	}
	if err := decodeRecord(raw, &g); err != nil {
		return Grant{}, nil, false, fmt.Errorf("read grant: %w", err)
	}
	return g, raw, true, nil
}

// grantKey returns the key of a user's grant. All Names of one AppID share the grant, as WeChat knows the AppID only.
func (l *Login) grantKey(openID string) string { return "oauth/" + l.appName() + "/grant/" + openID }
