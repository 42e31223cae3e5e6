package payv3

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"time"
)

// nonceSize is that of a nonce, which is 16 random bytes in hex.
const nonceSize = 32

// appendNonce appends a nonce to b.
func (w *wire) appendNonce(b []byte) ([]byte, error) {
	n := len(b)
	b = append(b, make([]byte, nonceSize)...)
	raw := b[n+nonceSize/2:]
	if _, err := io.ReadFull(w.rand, raw); err != nil {
		return nil, fmt.Errorf("payv3: read random bytes: %w", err)
	}
	const digits = "0123456789ABCDEF"
	for i, c := range raw { // each byte is read before it is overwritten
		b[n+2*i], b[n+2*i+1] = digits[c>>4], digits[c&15]
	}
	return b, nil
}

// authorize returns the header Authorization of a call. signed is its body, or the meta of an upload.
func (w *wire) authorize(method, uri string, signed []byte) (string, error) {
	message := make([]byte, 0, len(method)+len(uri)+len(signed)+nonceSize+32+sha256.Size)
	message = append(append(message, method...), '\n')
	message = append(append(message, uri...), '\n')
	start := len(message)
	message = append(strconv.AppendInt(message, time.Now().Unix(), 10), '\n')
	middle := len(message)
	message, err := w.appendNonce(message)
	if err != nil {
		return "", err
	}
	timestamp, nonce := message[start:middle-1], message[middle:]
	message = append(append(append(message, '\n'), signed...), '\n')
	signature, err := w.sign(message)
	if err != nil {
		return "", err
	}
	out := make([]byte, 0, len(w.prefix)+nonceSize+len(timestamp)+base64.StdEncoding.EncodedLen(len(signature))+32)
	out = append(append(out, w.prefix...), nonce...)
	out = append(append(out, `",timestamp="`...), timestamp...)
	out = append(out, `",signature="`...)
	out = append(base64.StdEncoding.AppendEncode(out, signature), '"')
	return string(out), nil
}

// sign returns the signature (SHA256 with RSA) of message. It uses the capacity behind message.
func (w *wire) sign(message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	digest := append(message, sum[:]...)[len(message):]
	signature, err := w.key.Sign(rand.Reader, digest, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("payv3: sign: %w", err)
	}
	return signature, nil
}

// signLines returns the signature of lines in base64, as programs of the payer are given it.
func (w *wire) signLines(lines ...string) (string, error) {
	var message []byte
	for _, line := range lines {
		message = append(append(message, line...), '\n')
	}
	signature, err := w.sign(message)
	return base64.StdEncoding.EncodeToString(signature), err
}
