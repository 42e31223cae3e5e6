package handlers_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/handlers"
	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
)

// someUsers are those with the ids 1 to 9.
type someUsers struct{ err error }

func (u someUsers) User(_ context.Context, id int64) (shop.User, error) {
	if u.err != nil {
		return shop.User{}, u.err
	}
	if id < 1 || id > 9 {
		return shop.User{}, shop.ErrNotFound
	}
	return shop.User{ID: id}, nil
}

func newTokens() *handlers.Tokens { return &handlers.Tokens{Key: shoptest.Key, Users: someUsers{}} }

func userOf(tokens *handlers.Tokens, token string) (shop.User, error) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return tokens.User(r)
}

func TestATokenIsValidFor36Hours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens()
		token, err := tokens.Issue(shop.User{ID: 7, Username: "alice", PasswordHash: "hash-of-alice", Mobile: "13800138000"})
		require.NoError(t, err)
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		require.NoError(t, err)
		require.NotContains(t, string(payload), "hash-of-alice")
		require.NotContains(t, string(payload), "13800138000")

		time.Sleep(36*time.Hour - time.Second)
		u, err := userOf(tokens, token)
		require.NoError(t, err)
		require.Equal(t, int64(7), u.ID)
		time.Sleep(2 * time.Second)
		_, err = userOf(tokens, token)
		require.ErrorIs(t, err, handlers.ErrNoSession)
	})
}

func TestOnlyTheShopsOwnTokensAreValid(t *testing.T) {
	tokens := newTokens()
	now := time.Now()
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := jwt.MapClaims{"iss": "shop", "sub": "7", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
		if change != nil {
			change(c)
		}
		return c
	}
	sign := func(method jwt.SigningMethod, key any, c jwt.Claims) string {
		token, err := jwt.NewWithClaims(method, c).SignedString(key)
		require.NoError(t, err)
		return token
	}
	hs256 := func(change func(jwt.MapClaims)) string {
		return sign(jwt.SigningMethodHS256, []byte(shoptest.Key), claims(change))
	}
	_, err := userOf(tokens, hs256(nil))
	require.NoError(t, err, "the test's own tokens are right")

	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(&private.PublicKey))})
	parts := strings.Split(hs256(nil), ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	refused := map[string]string{
		"empty":                   "",
		"no token":                "x",
		"none":                    sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil)),
		"None":                    encode(`{"alg":"None"}`) + "." + parts[1] + ".",
		"no algorithm":            encode(`{"typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"no signature":            parts[0] + "." + parts[1] + ".",
		"two parts":               parts[0] + "." + parts[1],
		"four parts":              hs256(nil) + "." + parts[2],
		"HS384":                   sign(jwt.SigningMethodHS384, []byte(shoptest.Key), claims(nil)),
		"HS512":                   sign(jwt.SigningMethodHS512, []byte(shoptest.Key), claims(nil)),
		"RS256":                   sign(jwt.SigningMethodRS256, private, claims(nil)),
		"a public key as a key":   sign(jwt.SigningMethodHS256, public, claims(nil)),
		"another key":             sign(jwt.SigningMethodHS256, []byte(strings.Repeat("k", 32)), claims(nil)),
		"the empty key":           sign(jwt.SigningMethodHS256, []byte{}, claims(nil)),
		"another user":            parts[0] + "." + encode(`{"iss":"shop","sub":"8","exp":9999999999}`) + "." + parts[2],
		"expired":                 hs256(func(c jwt.MapClaims) { c["exp"] = now.Add(-time.Second).Unix() }),
		"without end":             hs256(func(c jwt.MapClaims) { delete(c, "exp") }),
		"issued in the future":    hs256(func(c jwt.MapClaims) { c["iat"] = now.Add(time.Hour).Unix() }),
		"not yet valid":           hs256(func(c jwt.MapClaims) { c["nbf"] = now.Add(time.Hour).Unix() }),
		"another issuer":          hs256(func(c jwt.MapClaims) { c["iss"] = "letao" }),
		"no issuer":               hs256(func(c jwt.MapClaims) { delete(c, "iss") }),
		"no subject":              hs256(func(c jwt.MapClaims) { delete(c, "sub") }),
		"a subject of SQL":        hs256(func(c jwt.MapClaims) { c["sub"] = "7 OR 1=1" }),
		"a subject that is gone":  hs256(func(c jwt.MapClaims) { c["sub"] = "10" }),
		"a subject of the admins": hs256(func(c jwt.MapClaims) { c["sub"] = "0" }),
		"long":                    hs256(func(c jwt.MapClaims) { c["x"] = strings.Repeat("x", 1<<20) }),
		"padding":                 hs256(nil) + "=",
		"space":                   hs256(nil) + " ",
		"JSON form":               `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	}
	for name, token := range refused {
		_, err := userOf(tokens, token)
		require.ErrorIs(t, err, handlers.ErrNoSession, name)
	}
	whole := hs256(nil)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(whole) - 1 // its lower bits are not of the signature
	_, err = userOf(tokens, whole[:last]+string(alphabet[strings.IndexByte(alphabet, whole[last])+1]))
	require.ErrorIs(t, err, handlers.ErrNoSession)
	for i := range whole { // each bit of each part counts
		changed := []byte(whole)
		if changed[i] ^= 1; changed[i] == whole[i] {
			continue
		}
		_, err := userOf(tokens, string(changed))
		require.ErrorIs(t, err, handlers.ErrNoSession, "at %d", i)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestTokensNeedAKey(t *testing.T) {
	for _, key := range []shop.Secret{"", "short"} {
		tokens := &handlers.Tokens{Key: key, Users: someUsers{}}
		_, err := tokens.Issue(shop.User{ID: 7})
		require.Error(t, err)
		forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{Issuer: "shop", Subject: "7", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}).SignedString([]byte(key))
		require.NoError(t, err)
		_, err = userOf(tokens, forged)
		require.ErrorIs(t, err, handlers.ErrNoSession)
	}
	_, err := newTokens().Issue(shop.User{})
	require.Error(t, err)
}

func TestAStoreThatFailsIsNoMissingSession(t *testing.T) {
	down := errors.New("down")
	tokens := newTokens()
	token, err := tokens.Issue(shop.User{ID: 7})
	require.NoError(t, err)
	tokens.Users = someUsers{err: down}
	_, err = userOf(tokens, token)
	require.ErrorIs(t, err, down)
	require.NotErrorIs(t, err, handlers.ErrNoSession)
}

func TestACookieIsATokenOfBrowsers(t *testing.T) {
	tokens := newTokens()
	token, err := tokens.Issue(shop.User{ID: 7})
	require.NoError(t, err)
	for _, secure := range []bool{false, true} {
		tokens.Secure = secure
		w := httptest.NewRecorder()
		tokens.SetCookie(w, token)
		cookie := w.Result().Cookies()[0]
		require.Equal(t, secure, cookie.Secure)
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(cookie)
		u, err := tokens.User(r)
		require.NoError(t, err)
		require.Equal(t, int64(7), u.ID)
		r.Header.Set("Authorization", "bearer "+token+"x") // the header counts
		_, err = tokens.User(r)
		require.ErrorIs(t, err, handlers.ErrNoSession)
	}
	w := httptest.NewRecorder()
	tokens.SetCookie(w, "")
	require.Negative(t, w.Result().Cookies()[0].MaxAge)
}

func TestOthersGetTheOldProgramsAnswer(t *testing.T) {
	s := newServer(t, t.TempDir()+"/shop.db")
	for _, c := range []struct{ method, path string }{
		{"POST", "/order"}, {"POST", "/wx/order"}, {"POST", "/queryOrder"}, {"POST", "/pay/queryOrder"}, {"POST", "/pay/native"}, {"GET", "/order"},
	} {
		for _, authorization := range []string{"", "Bearer", "Bearer x", "Basic YTpi", "x"} {
			a := s.send(t, c.method, c.path, "", func(r *http.Request) { r.Header.Set("Authorization", authorization) })
			require.Equal(t, http.StatusUnauthorized, a.http, c.path)
			require.Equal(t, "Protected resource, use Authorization header to get access\n", a.text)
			require.Equal(t, "text/plain; charset=utf-8", a.header.Get("Content-Type"))
		}
	}
}

func FuzzTokens(f *testing.F) {
	tokens := newTokens()
	for _, seed := range []string{"", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiI3In0."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if u, err := userOf(tokens, token); err == nil {
			t.Errorf("%q is a token of %d", token, u.ID)
		}
	})
}
