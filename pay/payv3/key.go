package payv3

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ParseKey returns the private key in text, the content of apiclient_key.pem, in any form that configurations have:
// PKCS#8 or PKCS#1, on one line, with \n written out, without its first and last line, with CRLF or a byte order mark, in
// base64 once more, or DER. No error holds a part of the text.
func ParseKey(text []byte) (crypto.Signer, error) {
	der, label, err := readDER(text)
	if err != nil {
		return nil, fmt.Errorf("payv3: read private key: %w", err)
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if rsaKey, ok := key.(*rsa.PrivateKey); ok && err == nil {
		return rsaKey, nil
	}
	return nil, fmt.Errorf("payv3: read private key: found %s: want an RSA private key (apiclient_key.pem)", describe(der, label))
}

// ParsePublicKey returns the public key in text, the content of pub_key.pem, in any form that ParseKey takes.
func ParsePublicKey(text []byte) (*rsa.PublicKey, error) {
	der, label, err := readDER(text)
	if err != nil {
		return nil, fmt.Errorf("payv3: read public key: %w", err)
	}
	if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if rsaKey, ok := key.(*rsa.PublicKey); ok && err == nil {
		return rsaKey, nil
	}
	return nil, fmt.Errorf("payv3: read public key: found %s: want an RSA public key (pub_key.pem)", describe(der, label))
}

// ParseCertificate returns the certificate in text, the content of apiclient_cert.pem, in any form that ParseKey takes.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	der, label, err := readDER(text)
	if err != nil {
		return nil, fmt.Errorf("payv3: read certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("payv3: read certificate: found %s: want a certificate (apiclient_cert.pem)", describe(der, label))
	}
	return c, nil
}

// maxKey bounds the text of a key.
const maxKey = 64 << 10

var armor = regexp.MustCompile(`(?s)-----\s*BEGIN ([A-Z0-9 ]+?)\s*-----(.*?)-----\s*END`)

// readDER returns the DER in text, and the label of its PEM, which may be missing.
func readDER(text []byte) (der []byte, label string, err error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, "", errors.New("it is empty")
	}
	if len(text) > maxKey {
		return nil, "", fmt.Errorf("it has %d bytes: want %d at most", len(text), maxKey)
	}
	for range 3 { // PEM may be in base64 once more
		if text[0] == 0x30 && len(text) > 2 && text[1] >= 0x80 {
			return text, label, nil
		}
		body := strings.NewReplacer("\ufeff", "", `\r`, "\n", `\n`, "\n").Replace(string(text))
		if m := armor.FindStringSubmatch(body); m != nil {
			label, body = m[1], m[2]
			if strings.Contains(body, "Proc-Type:") || strings.HasPrefix(label, "ENCRYPTED") {
				return nil, "", errors.New("it is encrypted: want it without a passphrase")
			}
		}
		text, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.Map(keepBase64, body), "="))
		if err != nil || len(text) == 0 {
			return nil, "", errors.New("it is neither PEM nor base64")
		}
	}
	return nil, "", errors.New("it holds no key")
}

// keepBase64 drops the blanks and quotes that editors and shells leave around base64.
func keepBase64(r rune) rune {
	if strings.ContainsRune(" \t\r\n\"'`", r) {
		return -1
	}
	return r
}

// describe returns the kind of key that DER holds.
func describe(der []byte, label string) string {
	if c, err := x509.ParseCertificate(der); err == nil && c != nil {
		return "a certificate"
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return "a public key"
	}
	if _, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return "a public key"
	}
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return "a private key"
	}
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return "a private key"
	}
	if label != "" {
		return "a damaged " + strings.ToLower(label)
	}
	return "no key"
}
