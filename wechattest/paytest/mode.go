package paytest

import (
	"fmt"
	"slices"
	"time"
)

// Mode selects the keys with which WeChat signs for a merchant and decrypts its sensitive fields.
type Mode string

const (
	// PublicKey is a merchant of 2024 and later: WeChat's public key (微信支付公钥) and no platform certificate.
	PublicKey Mode = "public_key"
	// Certificates is an older merchant whose switch to the public key has not started, or was rolled back: it signs
	// with platform certificates (平台证书), for any Wechatpay-Serial.
	Certificates Mode = "certificates"
	// Switching is the switch under way: the public key signs the answers to calls whose Wechatpay-Serial names it, and
	// a part of the notifications.
	Switching Mode = "switching"
	// Switched is the switch done: the public key signs everything. The certificates are still listed.
	Switched Mode = "switched"
)

func (s *Server) platformCertificate(now time.Time) (*signingKey, error) {
	key, err := s.generateKey()
	if err != nil {
		return nil, fmt.Errorf("paytest: make key: %w", err)
	}
	k := &signingKey{key: key, listed: now, used: now}
	k.id, k.pem, k.until, err = certify(key, "Tenpay.com sign", now, 5)
	return k, err
}

// RotateCertificate makes a new platform certificate for a merchant. It is listed at once and signs after d;
// 5 days later the old one is not listed any more. WeChat's d is 5 days. It returns the new serial.
func (s *Server) RotateCertificate(mchID string, d time.Duration) (serialNo string, err error) {
	now := time.Now()
	cert, err := s.platformCertificate(now)
	if err != nil {
		return "", err
	}
	cert.used = now.Add(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.merchant(mchID)
	if err != nil {
		return "", err
	}
	for _, old := range a.certs {
		if old.withdrawn.IsZero() {
			old.withdrawn = cert.used.AddDate(0, 0, 5)
		}
	}
	a.certs = append(a.certs, cert)
	return cert.id, nil
}

// SetMode starts the switch to the public key, continues it, ends it or rolls it back. percent is the part of the
// notifications that the public key signs while Switching; WeChat's days are 0.1, 1, 5, 10, 20, 50 and 100.
func (s *Server) SetMode(mchID string, mode Mode, percent float64) error {
	if !slices.Contains([]Mode{PublicKey, Certificates, Switching, Switched}, mode) || percent < 0 || percent > 100 {
		return fmt.Errorf("paytest: invalid mode %q with %v percent", mode, percent)
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.merchant(mchID)
	if err != nil {
		return err
	}
	if mode != PublicKey && a.cert(now) == nil {
		cert, err := s.platformCertificate(now)
		if err != nil {
			return err
		}
		a.certs = append(a.certs, cert)
	}
	a.mode, a.percent, a.counted = mode, percent, 0
	return nil
}
