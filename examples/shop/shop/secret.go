package shop

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/wetoken/wetoken/store"
)

// Secret is a string that prints, logs and encodes as "(redacted)".
type Secret string

// Format implements fmt.Formatter.
func (Secret) Format(s fmt.State, _ rune) { io.WriteString(s, "(redacted)") }

// MarshalText implements encoding.TextMarshaler, which package slog and encoding/json use.
func (Secret) MarshalText() ([]byte, error) { return []byte("(redacted)"), nil }

// minKey is the shortest key that HS256 may have, in bytes.
const minKey = 32

// LoadKey returns the key of a shop. It is given, or else made once and kept in a store for all processes.
func LoadKey(ctx context.Context, given string, s store.Store) (Secret, error) {
	if given != "" {
		if len(given) < minKey {
			return "", fmt.Errorf("shop: key of %d bytes: want at least %d", len(given), minKey)
		}
		return Secret(given), nil
	}
	const name = "shop/key"
	for range 2 {
		kept, ok, err := s.Get(ctx, name)
		if err != nil {
			return "", fmt.Errorf("shop: read key: %w", err)
		}
		if ok && len(kept) >= minKey {
			return Secret(kept), nil
		}
		if ok {
			return "", fmt.Errorf("shop: key in the store has %d bytes: want at least %d", len(kept), minKey)
		}
		made := rand.Text() + rand.Text()
		if _, err := s.Swap(ctx, name, nil, []byte(made), 0); err != nil { // another process may have made one
			return "", fmt.Errorf("shop: store key: %w", err)
		}
	}
	return "", errors.New("shop: the store does not keep the key")
}
