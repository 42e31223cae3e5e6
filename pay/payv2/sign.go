package payv2

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"strings"
)

// SignType is the algorithm of a signature (签名类型).
type SignType string

// The algorithms of signatures.
const (
	HMACSHA256 SignType = "HMAC-SHA256"
	MD5        SignType = "MD5"
)

// appendSign appends the signature of a sorted message to b.
func (m message) appendSign(b []byte, by SignType, key string) []byte {
	if by == MD5 {
		var room [1024]byte // for most messages
		sum := md5.Sum(m.appendText(room[:0], key))
		return appendHex(b, sum[:])
	}
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = mac.Write(m.appendText(make([]byte, 0, 1024), key)) // never fails
	return appendHex(b, mac.Sum(nil))
}

// appendText appends the text that is signed: each field with a value, and the key.
func (m message) appendText(b []byte, key string) []byte {
	for i := range m {
		if f := &m[i]; f.value != "" && f.name != "sign" {
			b = append(append(append(append(b, f.name...), '='), f.value...), '&')
		}
	}
	return append(append(b, "key="...), key...)
}

func appendHex(b, sum []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range sum {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

// isSigned reports whether a sorted message has the signature of one of keys.
func (m message) isSigned(by SignType, keys []string) bool {
	given := []byte(m.get("sign"))
	for _, key := range keys {
		var room [2 * sha256.Size]byte
		if subtle.ConstantTimeCompare(m.appendSign(room[:0], by, key), given) == 1 {
			return true
		}
	}
	return false
}

// isAmbiguous reports whether other fields could have the same signed text, which has an & between fields: a payer or a shop may
// choose a value, such as attach, that continues with names and values of other fields.
func (m message) isAmbiguous() bool {
	for i := range m {
		if m[i].name != "sign" && strings.Contains(m[i].value, "&") {
			return true
		}
	}
	return false
}

// nonce returns 16 random bytes in hex.
func (w *wire) nonce() (string, error) {
	var raw [16]byte
	if w.rand == nil {
		_, _ = rand.Read(raw[:]) // never fails
	} else if read, err := readRandom(w.rand); err != nil {
		return "", fmt.Errorf("payv2: read random bytes: %w", err)
	} else {
		raw = read
	}
	var room [32]byte
	return string(appendHex(room[:0], raw[:])), nil
}

func readRandom(r io.Reader) (raw [16]byte, err error) {
	_, err = io.ReadFull(r, raw[:])
	return raw, err
}
