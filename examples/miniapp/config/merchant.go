package config

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/wetoken/wetoken/pay/payv3"
)

// Merchant returns the merchant with the keys of its files, and without appids.
func (p *Pay) Merchant() (payv3.Config, error) {
	c := payv3.Config{MchID: p.MchID, APIv3Key: p.APIv3SecretKey, PublicKeyID: p.PublicKeyID}
	for _, f := range []struct {
		key, file string
		parse     func(text []byte) error
	}{
		{"certificate-name", filepath.Join(p.CertificatePath, p.CertificateName), func(text []byte) (err error) {
			c.Certificate, err = payv3.ParseCertificate(text) // which has the serial number
			return err
		}},
		{"key-file-path", p.KeyFilePath, func(text []byte) (err error) {
			c.Key, err = payv3.ParseKey(text)
			return err
		}},
		{"public-key-path", p.PublicKeyPath, func(text []byte) (err error) {
			c.PublicKey, err = payv3.ParsePublicKey(text)
			return err
		}},
	} {
		if f.key == "public-key-path" && f.file == "" {
			continue
		}
		text, err := os.ReadFile(f.file)
		if err == nil {
			err = f.parse(text)
		}
		if err != nil {
			return payv3.Config{}, fmt.Errorf("config: open-platform.wechat.pay.%s: %w", f.key, err)
		}
	}
	return c, nil
}
