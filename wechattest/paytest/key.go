package paytest

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// signingKey is a key of the simulated WeChat Pay, with the serial or PUB_KEY_ID that names it.
type signingKey struct {
	id        string
	key       *rsa.PrivateKey
	pem       string    // of the certificate, or of the public key
	listed    time.Time // a certificate: from then on it is listed and accepted
	used      time.Time // from then on it signs
	until     time.Time // the end of the certificate; zero: a public key has none
	withdrawn time.Time // from then on it is not listed any more; zero: never
}

// certify makes a certificate that lasts for years.
func certify(key *rsa.PrivateKey, name string, now time.Time, years int) (serial, text string, until time.Time, err error) {
	number := make([]byte, 20)
	_, _ = rand.Read(number) // never fails
	number[0] = number[0]&0x7f | 0x40
	until = now.AddDate(years, 0, 0)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(number),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"paytest"}, Country: []string{"CN"}},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     until,
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", "", time.Time{}, fmt.Errorf("paytest: make certificate: %w", err)
	}
	return fmt.Sprintf("%X", number), toPEM("CERTIFICATE", der), until, nil
}

// parseKey reads a private key from PEM.
func parseKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("want PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("want PKCS #1 or PKCS #8")
	}
	if rsaKey, ok := key.(*rsa.PrivateKey); ok {
		return rsaKey, nil
	}
	return nil, errors.New("want an RSA key")
}

// readCertificate reads a certificate of the key.
func readCertificate(text string, key *rsa.PublicKey) (serial string, until time.Time, err error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "", until, errors.New("paytest: certificate: want PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", until, fmt.Errorf("paytest: certificate: %w", err)
	}
	if !key.Equal(cert.PublicKey) {
		return "", until, errors.New("paytest: the certificate is of another key")
	}
	return fmt.Sprintf("%X", cert.SerialNumber), cert.NotAfter, nil
}

func toPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func publicPEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("paytest: encode public key: %w", err)
	}
	return toPEM("PUBLIC KEY", der), nil
}

func (k *signingKey) sign(message string) string {
	sum := sha256.Sum256([]byte(message))
	signature, err := rsa.SignPKCS1v15(nil, k.key, crypto.SHA256, sum[:])
	if err != nil {
		panic("paytest: sign: " + err.Error()) // only a key below 512 bits cannot
	}
	return base64.StdEncoding.EncodeToString(signature)
}

func verifies(key *rsa.PublicKey, message []byte, signature string) bool {
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(message)
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw) == nil
}

// sealed is AEAD_AES_256_GCM as WeChat writes it.
type sealed struct {
	OriginalType   string `json:"original_type,omitempty"`
	Algorithm      string `json:"algorithm"`
	Ciphertext     string `json:"ciphertext"`
	AssociatedData string `json:"associated_data"`
	Nonce          string `json:"nonce"`
}

func seal(apiV3Key, associated string, plain []byte) sealed {
	block, err := aes.NewCipher([]byte(apiV3Key))
	if err != nil {
		panic("paytest: APIv3 key: " + err.Error()) // its length was checked
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("paytest: GCM: " + err.Error()) // AES has the block size that GCM needs
	}
	nonce := randomText(12)
	return sealed{
		Algorithm:      "AEAD_AES_256_GCM",
		Ciphertext:     base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(nonce), plain, []byte(associated))),
		AssociatedData: associated,
		Nonce:          nonce,
	}
}

// openField decrypts a sensitive field of a request.
func openField(key *rsa.PrivateKey, text string) (string, bool) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", false
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, key, raw, nil)
	return string(plain), err == nil
}

// sealField encrypts a sensitive field of an answer for the merchant.
func sealField(key *rsa.PublicKey, text string) string {
	raw, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, []byte(text), nil)
	if err != nil {
		panic("paytest: encrypt: " + err.Error()) // only a text too long for the key cannot be
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// randomText returns n letters and digits.
func randomText(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i, v := range b {
		b[i] = letters[int(v)%len(letters)]
	}
	return string(b)
}

// probe returns a signature as WeChat makes it wrong on purpose: it is not base64.
func probe() string {
	return "WECHATPAY/SIGNTEST/" + strings.TrimRight(randomText(334), "=") + "=="
}
