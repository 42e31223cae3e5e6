package paytest

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Merchant is an account of WeChat Pay (商户) with the keys that its console shows. MchID is required, the other fields have
// defaults.
type Merchant struct {
	MchID    string   `json:"mchid"`
	Name     string   `json:"name"`       // shown to payers (商户简称); default MchID
	AppIDs   []string `json:"appids"`     // the bound appids; empty: any
	Subs     []Sub    `json:"subs"`       // makes it a service provider (服务商) with these sub-merchants
	APIv3Key string   `json:"api_v3_key"` // 32 bytes; default random
	APIKey   string   `json:"api_key"`    // of v2 (API密钥), 32 letters and digits; default random
	Balance  int64    `json:"balance"`    // fen; payments are added, refunds and transfers taken away
	Mode     Mode     `json:"mode"`       // default PublicKey

	PayPages  []string `json:"pay_pages"`  // URLs below which pages may call for payments (支付授权目录); empty: any
	H5Domains []string `json:"h5_domains"` // hosts whose pages may link to an h5_url (H5支付域名); empty: any

	RefundURL string `json:"refund_url"` // where refunds of v2 and of the console are notified if they name no URL; empty: nowhere

	Key         *rsa.PrivateKey `json:"-"`           // of the API certificate; default that of PrivateKey, or a new one
	PrivateKey  string          `json:"private_key"` // PEM, apiclient_key.pem
	Certificate string          `json:"certificate"` // PEM, apiclient_cert.pem; default a new one of the key

	// AddMerchant sets the following.

	SerialNo         string `json:"serial_no"`          // of the API certificate
	PublicKeyID      string `json:"public_key_id"`      // PUB_KEY_ID_…
	PublicKey        string `json:"public_key"`         // PEM, pub_key.pem
	PlatformSerialNo string `json:"platform_serial_no"` // unless Mode is PublicKey
	Platform         string `json:"platform"`           // PEM of the platform certificate, unless Mode is PublicKey
}

// Sub is a sub-merchant (特约商户). It has no keys: its provider signs for it.
type Sub struct {
	MchID   string   `json:"mchid"`
	Name    string   `json:"name"`    // default MchID
	AppIDs  []string `json:"appids"`  // empty: any
	Balance int64    `json:"balance"` // fen
}

// AddMerchant adds a merchant, with keys and certificates made for it, and returns it with them. A merchant of the same
// MchID is replaced, sub-merchants are shared by their providers. It panics if the settings are invalid.
func (s *Server) AddMerchant(m Merchant) *Merchant {
	added, err := s.addMerchant(m)
	if err != nil {
		panic(err)
	}
	return added
}

func (s *Server) addMerchant(m Merchant) (*Merchant, error) {
	s.start()
	now := time.Now()
	m.AppIDs, m.Subs = slices.Clone(m.AppIDs), slices.Clone(m.Subs)
	m.PayPages, m.H5Domains = slices.Clone(m.PayPages), slices.Clone(m.H5Domains)
	if m.APIv3Key == "" {
		m.APIv3Key = randomText(32)
	}
	if m.APIKey == "" {
		m.APIKey = randomText(32)
	}
	if m.Mode == "" {
		m.Mode = PublicKey
	}
	switch {
	case m.MchID == "":
		return nil, errors.New("paytest: mchid is missing")
	case len(m.APIv3Key) != 32:
		return nil, errors.New("paytest: the APIv3 key has not 32 bytes")
	case !apiKeyForm.MatchString(m.APIKey):
		return nil, errAPIKey
	case m.RefundURL != "" && badNotifyURL(m.RefundURL) != "":
		return nil, fmt.Errorf("paytest: refund_url: %s", badNotifyURL(m.RefundURL))
	case !slices.Contains([]Mode{PublicKey, Certificates, Switching, Switched}, m.Mode):
		return nil, fmt.Errorf("paytest: invalid mode %q", m.Mode)
	}
	a := newAccount(m.MchID)
	a.appIDs, a.balance, a.apiV3Key, a.mode = m.AppIDs, m.Balance, m.APIv3Key, m.Mode
	a.name, a.apiKey = cmp.Or(m.Name, m.MchID), m.APIKey

	if err := s.makeKeys(&m, a, now); err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range m.Subs {
		if b := s.accounts[sub.MchID]; b != nil && b.key != nil || sub.MchID == "" {
			return nil, fmt.Errorf("paytest: %q is no sub-merchant: want an mchid without keys of its own", sub.MchID)
		}
	}
	if s.accounts == nil {
		s.accounts = make(map[string]*account)
	}
	a.settings = m
	s.accounts[m.MchID] = a
	for _, sub := range m.Subs {
		if a.subs == nil {
			a.subs = make(map[string]*account)
		}
		b := s.accounts[sub.MchID]
		if b == nil {
			b = newAccount(sub.MchID)
			s.accounts[sub.MchID] = b
		}
		b.name = cmp.Or(sub.Name, sub.MchID)
		b.appIDs, b.balance = slices.Clone(sub.AppIDs), b.balance+sub.Balance
		a.subs[b.id] = b
	}
	return &m, nil
}

// makeOwnKey makes the key and API certificate of a merchant that brings none.
func (s *Server) makeOwnKey(m *Merchant, a *account, now time.Time) (err error) {
	switch {
	case m.Key != nil:
	case m.PrivateKey != "":
		m.Key, err = parseKey(m.PrivateKey)
	default:
		m.Key, err = s.generateKey()
	}
	if err != nil {
		return fmt.Errorf("paytest: private key: %w", err)
	}
	a.key = m.Key
	if m.Certificate == "" {
		m.SerialNo, m.Certificate, a.expires, err = certify(m.Key, m.MchID, now, 5)
	} else {
		m.SerialNo, a.expires, err = readCertificate(m.Certificate, &m.Key.PublicKey)
	}
	if err != nil {
		return err
	}
	a.serialNo = m.SerialNo
	block, _ := pem.Decode([]byte(m.Certificate))
	a.leaf = block.Bytes
	der, err := x509.MarshalPKCS8PrivateKey(m.Key)
	if err != nil {
		return fmt.Errorf("paytest: encode key: %w", err)
	}
	m.PrivateKey = toPEM("PRIVATE KEY", der)
	return nil
}

// makeKeys makes the keys of a merchant, and those that WeChat has for it.
func (s *Server) makeKeys(m *Merchant, a *account, now time.Time) error {
	if err := s.makeOwnKey(m, a, now); err != nil {
		return err
	}
	key, err := s.generateKey()
	if err != nil {
		return fmt.Errorf("paytest: make key: %w", err)
	}
	if m.PublicKey, err = publicPEM(&key.PublicKey); err != nil {
		return err
	}
	m.PublicKeyID = "PUB_KEY_ID_01" + digits(m.MchID, 10) + now.In(beijing).Format("20060102") + randomDigits(8)
	a.public = &signingKey{id: m.PublicKeyID, key: key, pem: m.PublicKey}
	if m.Mode == PublicKey {
		return nil
	}
	cert, err := s.platformCertificate(now)
	if err != nil {
		return err
	}
	a.certs = []*signingKey{cert}
	m.PlatformSerialNo, m.Platform = cert.id, cert.pem
	return nil
}

// SetAPIv3Key changes a merchant's APIv3 key. The old one stops working at once; messages sealed with it are not sealed again.
func (s *Server) SetAPIv3Key(mchID, key string) error {
	if len(key) != 32 {
		return errors.New("paytest: the APIv3 key has not 32 bytes")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.merchant(mchID)
	if err != nil {
		return err
	}
	a.apiV3Key = key
	return nil
}

var (
	apiKeyForm = regexp.MustCompile(`^[0-9A-Za-z]{32}$`)
	errAPIKey  = errors.New("paytest: invalid key of v2: want 32 letters and digits")
)

// SetAPIKey changes a merchant's key of v2. The old one stops working at once; a notification that was made before keeps
// its signature.
func (s *Server) SetAPIKey(mchID, key string) error {
	if !apiKeyForm.MatchString(key) {
		return errAPIKey
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.merchant(mchID)
	if err != nil {
		return err
	}
	a.apiKey = key
	return nil
}

// Deposit adds fen to the balance of a merchant or sub-merchant, or takes them away where fen is negative, and returns
// the new balance.
func (s *Server) Deposit(mchID string, fen int64) (balance int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[mchID]
	if a == nil {
		return 0, fmt.Errorf("paytest: no merchant %q", mchID)
	}
	a.balance += fen
	return a.balance, nil
}

// Merchant returns a merchant as AddMerchant returned it, but with the keys, mode and balance of now.
func (s *Server) Merchant(mchID string) (*Merchant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.merchant(mchID)
	if err != nil {
		return nil, err
	}
	m := a.settings
	m.APIv3Key, m.APIKey, m.Balance, m.Mode = a.apiV3Key, a.apiKey, a.balance, a.mode
	if cert := a.cert(time.Now()); cert != nil {
		m.PlatformSerialNo, m.Platform = cert.id, cert.pem
	}
	return &m, nil
}
