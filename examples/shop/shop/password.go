package shop

import (
	"cmp"
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// maxPassword is the length up to which bcrypt reads a password.
const maxPassword = 72

func (s *Shop) hashPassword(password string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cmp.Or(s.PasswordCost, bcrypt.DefaultCost))
	if err != nil {
		return "", fmt.Errorf("shop: hash password: %w", err)
	}
	return string(hash), nil
}

// checkPassword reports whether hash is that of password, and returns a new hash if the hash should be replaced by it. It takes as long for
// a hash that no password has as for another.
func (s *Shop) checkPassword(hash, password string) (right bool, renewed string, err error) {
	switch err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)); {
	case err == nil:
		return true, "", nil
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return false, "", nil
	}
	if renewed, err = s.hashPassword(password); err != nil {
		return false, "", err
	}
	if !s.matchesOld(hash, password) {
		return false, "", nil
	}
	return true, renewed, nil
}

// matchesOld reports whether hash is the old program's of password: its MD5 with a salt behind it.
func (s *Shop) matchesOld(hash, password string) bool {
	sum := md5.Sum([]byte(password + string(s.OldSalt)))
	return s.OldSalt != "" && subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(hash))) == 1
}
