package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

// sessionLife is how long a token is valid, as in the old program.
const sessionLife = 36 * time.Hour

// cookieName is the cookie of the pages. It has the token.
const cookieName = "shop_token"

// Tokens is the Sessions of this program: a token is a JWT with HS256 that names a user by id. Programs send it as "Authorization: Bearer",
// browsers as a cookie.
type Tokens struct {
	Key   shop.Secret // of 32 bytes or more; see shop.LoadKey
	Users interface {
		User(ctx context.Context, id int64) (shop.User, error)
	}

	// Secure is for shops at https URLs. Default: the cookie is sent over http, too.
	Secure bool
}

var _ Sessions = (*Tokens)(nil)

const issuer = "shop"

// Issue returns a token of a user for 36 hours.
func (t *Tokens) Issue(u shop.User) (string, error) {
	if len(t.Key) < 32 || u.ID <= 0 {
		return "", errors.New("handlers: a token needs a key of 32 bytes and a stored user")
	}
	now := time.Now()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: issuer, Subject: strconv.FormatInt(u.ID, 10),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(sessionLife)),
	}).SignedString([]byte(t.Key))
	if err != nil {
		return "", fmt.Errorf("handlers: sign token: %w", err)
	}
	return signed, nil
}

// ErrNoSession reports a request without a valid token of a user.
var ErrNoSession = errors.New("handlers: no valid session")

// User implements Sessions. A token whose user was deleted is not valid.
func (t *Tokens) User(r *http.Request) (shop.User, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		cookie, err := r.Cookie(cookieName)
		if err != nil {
			return shop.User{}, ErrNoSession
		}
		token = cookie.Value
	}
	id, err := t.verify(token)
	if err != nil {
		return shop.User{}, ErrNoSession
	}
	u, err := t.Users.User(r.Context(), id)
	if errors.Is(err, shop.ErrNotFound) {
		return shop.User{}, ErrNoSession
	}
	return u, err
}

// verify returns the user's id in a valid token.
func (t *Tokens) verify(token string) (id int64, err error) {
	const longest = 1 << 10
	if len(t.Key) < 32 || len(token) > longest {
		return 0, jwt.ErrTokenUnverifiable
	}
	var claims jwt.RegisteredClaims
	_, err = jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return []byte(t.Key), nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding())
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(claims.Subject, 10, 64)
}

// SetCookie implements Sessions.
func (t *Tokens) SetCookie(w http.ResponseWriter, token string) {
	cookie := &http.Cookie{
		Name: cookieName, Value: token, Path: "/", HttpOnly: true, Secure: t.Secure,
		SameSite: http.SameSiteLaxMode, MaxAge: int(sessionLife / time.Second),
	}
	if token == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// protected serves users only. Others get the old program's answer.
func (h *Handlers) protected(next func(w http.ResponseWriter, r *http.Request, u shop.User)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch u, err := h.Sessions.User(r); {
		case err == nil:
			next(w, r, u)
		case errors.Is(err, ErrNoSession):
			http.Error(w, "Protected resource, use Authorization header to get access", http.StatusUnauthorized)
		default:
			h.failAccount(w, r, err)
		}
	}
}
