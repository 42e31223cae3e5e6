package payv3

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// seal is an APIv3 key, ready to decrypt.
type seal struct {
	block cipher.Block
	aead  cipher.AEAD // for the nonce of 12 bytes that WeChat uses

	redacted
}

// newSeals returns the APIv3 keys of c, the present one first.
func newSeals(c Config) (seals []*seal, err error) {
	for _, key := range []string{c.APIv3Key, c.PreviousAPIv3Key} {
		if key == "" {
			continue
		}
		block, err := aes.NewCipher([]byte(key))
		if err != nil {
			return nil, fmt.Errorf("payv3: APIv3 key: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("payv3: APIv3 key: %w", err)
		}
		seals = append(seals, &seal{block: block, aead: aead})
	}
	return seals, nil
}

// resource is a JSON object that is encrypted (AEAD_AES_256_GCM).
type resource struct {
	Algorithm  word   `json:"algorithm"`
	Nonce      string `json:"nonce"`
	Associated string `json:"associated_data"`
	Ciphertext []byte `json:"ciphertext"` // base64 on the wire
}

// unseal decrypts r with the APIv3 key that fits.
func (w *wire) unseal(r resource) ([]byte, error) {
	if r.Algorithm != "" && r.Algorithm != "AEAD_AES_256_GCM" {
		return nil, fmt.Errorf("it is sealed by %.40q: want AEAD_AES_256_GCM", r.Algorithm)
	}
	for _, s := range w.seals {
		if plain, ok := s.open(r.Ciphertext, r.Nonce, r.Associated); ok {
			return plain, nil
		}
	}
	return nil, errors.New("no APIv3 key opens it: was the key changed? Set PreviousAPIv3Key too")
}

// open decrypts with a nonce of any length.
func (s *seal) open(sealed []byte, nonce, associated string) (plain []byte, ok bool) {
	aead := s.aead
	if len(nonce) != aead.NonceSize() {
		var err error
		if aead, err = cipher.NewGCMWithNonceSize(s.block, len(nonce)); err != nil {
			return nil, false
		}
	}
	b := append(append(make([]byte, 0, len(nonce)+len(associated)+len(sealed)), nonce...), associated...)
	plain, err := aead.Open(b[len(b):], b[:len(nonce)], sealed, b[len(nonce):])
	return plain, err == nil
}
