package gateway

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/pay/payv3"
)

const maxKeyFile = 1 << 20 // bytes

// merchant is a merchant with its current keys. One that is registered again is another merchant.
type merchant struct {
	name   string
	id     string // of its registration; empty for one of the configuration
	config Merchant
	shared bool // several apps of the configuration use it

	keys atomic.Pointer[merchantKeys]
}

// merchantKeys are the keys of a merchant as last read. They are not changed.
type merchantKeys struct {
	v3     payv3.Config // with only the fields for keys set
	v2     payv2.Config // likewise
	digest string

	redacted
}

// loadMerchants reads and checks the keys of all merchants. Its errors name the key of the configuration.
func (g *Gateway) loadMerchants(c Config) (map[string]*merchant, error) {
	all := make(map[string]*merchant, len(c.Merchants))
	for _, name := range slices.Sorted(maps.Keys(c.Merchants)) {
		m, err := newMerchant(name, c.Merchants[name], g, true)
		if err != nil {
			return nil, fmt.Errorf("%s.%w", c.Merchants[name].path(name), err)
		}
		all[name] = m
	}
	users := make(map[string]int, len(all))
	for _, a := range c.Apps {
		if a.Pay != nil {
			users[a.Pay.Merchant]++
		}
	}
	for name, m := range all {
		m.shared = users[name] > 1
	}
	return all, nil
}

// newMerchant returns a merchant with its keys. dated is set to refuse a certificate that is not valid now.
func newMerchant(name string, c Merchant, g *Gateway, dated bool) (*merchant, error) {
	m := &merchant{name: name, config: c}
	keys, err := m.read(g.decodeP12)
	if err == nil && dated {
		err = m.checkCertificates(keys)
	}
	if err == nil {
		err = m.check(keys, g)
	}
	if err != nil {
		return nil, err
	}
	m.keys.Store(keys)
	return m, nil
}

// read reads the keys of a merchant.
func (m *merchant) read(decodeP12 decoder) (*merchantKeys, error) {
	k := new(merchantKeys)
	hash := sha256.New()
	load := func(key, text, file string) ([]byte, error) {
		data, err := readKey(text, file)
		if err != nil {
			return nil, fmt.Errorf("%s_file: %w", key, err)
		}
		fmt.Fprintf(hash, "%d ", len(data))
		hash.Write(data)
		return data, nil
	}
	if m.config.V3 != nil {
		if err := k.readV3(m.config, load, decodeP12); err != nil {
			return nil, err
		}
	}
	if m.config.V2 != nil {
		if err := k.readV2(m.config, load, decodeP12); err != nil {
			return nil, err
		}
	}
	k.digest = hex.EncodeToString(hash.Sum(nil))
	return k, nil
}

type (
	loader  func(key, text, file string) ([]byte, error)
	decoder func([]byte, string) (any, *x509.Certificate, error)
)

func (k *merchantKeys) readV3(m Merchant, load loader, decodeP12 decoder) error {
	v := m.V3
	k.v3 = payv3.Config{MchID: m.MchID, SerialNo: v.SerialNo, APIv3Key: v.APIv3Key, PreviousAPIv3Key: v.PreviousAPIv3Key, PublicKeyID: v.PublicKeyID}
	cert, err := load("v3.cert", v.Cert, v.CertFile)
	if err != nil {
		return err
	}
	private, err := load("v3.private_key", v.PrivateKey, v.PrivateKeyFile)
	if err != nil {
		return err
	}
	public, err := load("v3.public_key", v.PublicKey, v.PublicKeyFile)
	if err != nil {
		return err
	}
	if isP12(v.CertFile) {
		k.v3.Key, k.v3.Certificate, err = openP12("v3", cert, m.MchID, v.CertPassword, decodeP12)
	} else if cert != nil {
		k.v3.Certificate, err = payv3.ParseCertificate(cert)
		err = inKey(m.setting("v3.cert"), err)
	}
	if err == nil && private != nil {
		k.v3.Key, err = payv3.ParseKey(private)
		err = inKey(m.setting("v3.private_key"), err)
	}
	if err == nil && public != nil {
		k.v3.PublicKey, err = payv3.ParsePublicKey(public)
		err = inKey(m.setting("v3.public_key"), err)
	}
	return err
}

// openP12 reads the private key and the certificate from a p12 file of the setting version.cert_file. password is mchID if it is empty.
func openP12(version string, file []byte, mchID, password string, decode decoder) (crypto.Signer, *x509.Certificate, error) {
	if decode == nil {
		return nil, nil, errors.New(version + ".cert_file: p12 files are not supported by this program: want apiclient_cert.pem, and apiclient_key.pem as private_key_file")
	}
	if password == "" {
		password = mchID // WeChat's default
	}
	key, cert, err := decode(file, password)
	if err != nil {
		return nil, nil, fmt.Errorf("%s.cert_file: cannot be decoded as p12: want the right cert_password, which is mch_id by default (%w)", version, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New(version + ".cert_file: want a private key for signatures")
	}
	return signer, cert, nil
}

func isP12(file string) bool {
	name := strings.ToLower(file)
	return strings.HasSuffix(name, ".p12") || strings.HasSuffix(name, ".pfx")
}

// readKey returns the text, or else the content of the file, or nil.
func readKey(text, file string) ([]byte, error) {
	switch {
	case text != "":
		return []byte(text), nil
	case file == "":
		return nil, nil
	}
	if strings.ContainsAny(file, "\r\n") || strings.Contains(file, "-----") { // the name would be printed
		return nil, errors.New("the name of a file contains the text of a key: want it in the setting without _file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxKeyFile:
		return nil, fmt.Errorf("has more than %d bytes", maxKeyFile)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errors.New("is empty")
	}
	return data, nil
}

// inKey returns an error of a key with the name of a key of the configuration.
func inKey(key string, err error) error {
	if err == nil {
		return nil
	}
	var wrong *pay.FieldError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s: %s", key, wrong.Reason)
	}
	return fmt.Errorf("%s: %s", key, strings.TrimPrefix(err.Error(), "payv3: "))
}

// checkDates returns an error if the certificate of a setting is not valid now.
func checkDates(setting string, c *x509.Certificate, now time.Time) error {
	switch {
	case c == nil:
		return nil
	case now.After(c.NotAfter):
		return fmt.Errorf("%s: the certificate expired on %s: WeChat refuses calls with it: make a new one in the console (商户平台 → API安全)", setting, c.NotAfter.Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return fmt.Errorf("%s: the certificate is not valid before %s: check the clock of this server", setting, c.NotBefore.Format(time.DateTime))
	}
	return nil
}

// merchantSettings maps the fields of payv3.Config to keys of the configuration.
var merchantSettings = map[string]string{
	"MchID": "mch_id", "SerialNo": "v3.serial_no", "Key": "v3.private_key", "APIv3Key": "v3.api_v3_key", "PreviousAPIv3Key": "v3.previous_api_v3_key",
	"PublicKeyID": "v3.public_key_id", "PublicKey": "v3.public_key", "Certificate": "v3.cert",
}

// setting returns the key of the configuration that a value is in: key, or that of its file.
func (m Merchant) setting(key string) string {
	v3, v2 := m.V3, m.V2
	if v3 == nil {
		v3 = new(APIv3)
	}
	if v2 == nil {
		v2 = new(APIv2)
	}
	text, isFileKey := map[string]string{
		"v3.cert": v3.Cert, "v3.private_key": v3.PrivateKey, "v3.public_key": v3.PublicKey, "v2.cert": v2.Cert, "v2.private_key": v2.PrivateKey,
	}[key]
	if isFileKey && text == "" {
		return key + "_file"
	}
	return key
}

const anyAppID = "wx0000000000000000" // for checking keys; no app has it

// checkCertificates returns an error for a certificate that is not valid now.
func (m *merchant) checkCertificates(keys *merchantKeys) error {
	now := time.Now()
	if err := checkDates(m.config.setting("v3.cert"), keys.v3.Certificate, now); err != nil {
		return err
	}
	return checkDates(m.config.setting("v2.cert"), keys.v2.Certificate.Leaf, now)
}

// check returns an error if keys cannot be used.
func (m *merchant) check(keys *merchantKeys, g *Gateway) error {
	if m.config.V3 != nil {
		if _, err := m.buildV3(keys, anyAppID, g); err != nil {
			return err
		}
	}
	if m.config.V2 != nil {
		if _, err := m.buildV2(keys, anyAppID, nil, g); err != nil {
			return err
		}
	}
	return nil
}

// defaultAppID returns the appid of orders of an app.
func (m *merchant) defaultAppID(appID string) string {
	if m.config.SubMchID != "" && appID == m.config.SubAppID && len(m.config.AppIDs) > 0 { // the app belongs to the shop, not to the provider
		return m.config.AppIDs[0]
	}
	return appID
}

// buildV3 returns the Merchant for an app with this appid.
func (m *merchant) buildV3(keys *merchantKeys, appID string, g *Gateway) (*payv3.Merchant, error) {
	c := keys.v3
	c.AppID, c.AppIDs, c.BaseURL, c.HTTP, c.Log = m.defaultAppID(appID), m.config.AppIDs, g.endpoints.Pay, g.http, g.log
	built, err := payv3.New(c)
	if err != nil {
		return nil, m.config.inSetting(merchantSettings, err)
	}
	if m.config.SubMchID != "" {
		built = built.Sub(m.config.SubMchID, m.config.SubAppID)
	}
	return built, nil
}

// inSetting returns an error on a field of a Config with the name of its setting.
func (m Merchant) inSetting(settings map[string]string, err error) error {
	var wrong *pay.FieldError
	if !errors.As(err, &wrong) {
		return err
	}
	field := strings.TrimPrefix(wrong.Field, "Config.")
	return fmt.Errorf("%s: %s", m.setting(cmp.Or(settings[field], field)), wrong.Reason)
}
