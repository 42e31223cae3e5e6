package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// KeyRing holds the secret keys of a [Sealed] store, of 32 bytes each: the current key, then the previous ones. It
// prints, logs and encodes without the keys.
type KeyRing [][]byte

// ParseKeys parses keys in base64, standard or URL-safe, padded or not, separated by commas, with the current key
// first. To make a key: openssl rand -base64 32
func ParseKeys(s string) (KeyRing, error) {
	var ring KeyRing
	for i, field := range strings.Split(s, ",") {
		field = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(field), "="))
		key, err := base64.RawStdEncoding.DecodeString(field)
		if err != nil {
			return nil, fmt.Errorf("store: parse keys: key %d is not base64", i+1)
		}
		if len(key) != keySize {
			return nil, fmt.Errorf("store: parse keys: key %d has %d bytes and must have %d", i+1, len(key), keySize)
		}
		ring = append(ring, key)
	}
	return ring, nil
}

// Format prints the number of keys.
func (r KeyRing) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "KeyRing(%d keys)", len(r)) }

// MarshalText keeps the keys out of JSON and logs.
func (r KeyRing) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "KeyRing(%d keys)", len(r)), nil
}

// A sealed value consists of magic, the id of its key, a nonce, and the value under AES-256-GCM, with everything before
// it and the name of the value as associated data. The first byte of magic is in no UTF-8 text, the last is the version
// of the format.
const (
	keySize   = 32
	magic     = "\xffWT\x01"
	idSize    = 4
	nonceSize = 12
	tagSize   = 16
	frameSize = len(magic) + idSize + nonceSize + tagSize
)

// sealer seals values with one key.
type sealer struct {
	id   string
	aead cipher.AEAD
}

func (r KeyRing) sealers() ([]sealer, error) {
	if len(r) == 0 {
		return nil, fmt.Errorf("store: sealed: KeyRing is empty: want at least one key of %d bytes", keySize)
	}
	var all []sealer
	for i, key := range r {
		if len(key) != keySize {
			return nil, fmt.Errorf("store: sealed: key %d of KeyRing has %d bytes and must have %d", i+1, len(key), keySize)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("store: sealed: key %d of KeyRing: %w", i+1, err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("store: sealed: key %d of KeyRing: %w", i+1, err)
		}
		sum := sha256.Sum256(append([]byte("wetoken key id\x00"), key...))
		all = append(all, sealer{id: string(sum[:idSize]), aead: aead})
	}
	return all, nil
}

func (k sealer) seal(name string, value []byte) ([]byte, error) {
	out := make([]byte, 0, frameSize+len(value))
	out = append(append(out, magic...), k.id...)
	head := len(out)
	out = out[:head+nonceSize]
	if _, err := io.ReadFull(rand.Reader, out[head:]); err != nil {
		return nil, fmt.Errorf("store: sealed: read random bytes: %w", err)
	}
	return k.aead.Seal(out, out[head:], value, append(out[:head:head], name...)), nil
}

// Errors of values that a [Sealed] store cannot open.
var (
	// ErrPlaintext reports that a value is not sealed. If others are sealed, somebody without the keys has written it.
	ErrPlaintext = errors.New("store: sealed: the value is not sealed: it is older than the keys, or somebody without them has put it there")

	// ErrSealKey reports that a value is sealed with a key that KeyRing does not have, or by a later release.
	ErrSealKey = errors.New("store: sealed: the value is sealed with a key that is not in KeyRing, or by a later release")

	// ErrTampered reports that a sealed value was changed, cut short or moved from another key.
	ErrTampered = errors.New("store: sealed: the value was changed, cut short or moved from another key")
)

// unseal returns the value in raw, and reports whether the first of keys sealed it. plain accepts values that were
// never sealed.
func unseal(keys []sealer, name string, raw []byte, plain bool) (value []byte, current bool, err error) {
	if !bytes.HasPrefix(raw, []byte(magic)) {
		if bytes.HasPrefix(raw, []byte(magic[:len(magic)-1])) { // another version
			return nil, false, ErrSealKey
		}
		if !plain {
			return nil, false, ErrPlaintext
		}
		return raw, false, nil
	}
	if len(raw) < frameSize {
		return nil, false, ErrTampered
	}
	head := len(magic) + idSize
	err = ErrSealKey
	for i, k := range keys {
		if k.id != string(raw[len(magic):head]) {
			continue
		}
		value, openErr := k.aead.Open([]byte{}, raw[head:head+nonceSize], raw[head+nonceSize:], append(raw[:head:head], name...))
		if openErr == nil {
			return value, i == 0, nil
		}
		err = ErrTampered
	}
	return nil, false, err
}
