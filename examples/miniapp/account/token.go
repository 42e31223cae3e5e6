package account

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

const defaultTokenLife = 30 * 24 * time.Hour

// maxToken is the greatest length of a token that is looked up.
const maxToken = 64

// newToken returns a token of letters and digits. Old clients split the token and the flag behind it at an underscore.
func newToken() string { return rand.Text() }

// hashToken returns what the database keeps of a token.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Session returns what a token stands for, or ErrToken.
func (s *Service) Session(ctx context.Context, token string) (Session, error) {
	if token == "" || len(token) > maxToken {
		return Session{}, ErrToken
	}
	return s.Store.Session(ctx, hashToken(token), now())
}

// issue adds a token for an account.
func (s *Service) issue(ctx context.Context, tx Tx, a Account, appID, openID string) (token string, err error) {
	token = newToken()
	return token, tx.AddToken(ctx, hashToken(token), Session{
		Account: a, AppID: appID, OpenID: openID, ExpiresAt: now().Add(cmp.Or(s.TokenLife, defaultTokenLife)),
	})
}
