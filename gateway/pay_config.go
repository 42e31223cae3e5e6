package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"reflect"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

// Pay configures the payments of an app.
type Pay struct {
	Merchant string `json:"merchant"` // name under merchants

	// Own is a merchant that only this app uses, in place of Merchant. In JSON it is the value of merchant. It has the name of the app.
	Own *Merchant `json:"-"`

	// NotifyTo is the URL of a backend that receives each payment, refund and transfer. Default none. An order may name another
	// one with a host of Hosts.
	NotifyTo string `json:"notify_to"`

	// NotifySync makes the reply to WeChat's notification wait until the backend has accepted the report, at most 4 s.
	NotifySync bool `json:"notify_sync"`
}

// OpenPay opens the payment pages of wechat-proxy's clients to everybody: see [Compat].
type OpenPay struct {
	// MaxFen is the most that an order may have whose amount a browser names, without a key and without a link of
	// POST /app/{app}/pay/links. Default none may be placed so.
	MaxFen int64 `json:"max_fen"`
}

// check returns an error for settings that a cannot have.
func (o OpenPay) check(a App) error {
	switch {
	case o.MaxFen < 0:
		return errors.New("open_pay.max_fen: want 0 or more")
	case o.MaxFen > 0 && a.Pay == nil:
		return errors.New("open_pay.max_fen: needs pay")
	case o.MaxFen > 0 && a.SignKey == "":
		return errors.New("open_pay.max_fen: needs sign_key, which signs what browsers keep")
	}
	return nil
}

// Merchant is a merchant number of WeChat Pay (商户号). Several apps may use the same one.
type Merchant struct {
	MchID string `json:"mch_id"`

	// SubMchID (子商户号) is set for a shop of the service provider MchID. SubAppID is the appid of the shop, if it has one.
	SubMchID string `json:"sub_mch_id"`
	SubAppID string `json:"sub_app_id"`

	AppIDs []string `json:"app_ids"` // more appids that orders may use

	// V3 and V2 are the keys of the versions of the API. With both, Version places new orders, v3 by default or v2, and each order
	// stays with the version that placed it.
	V3      *APIv3 `json:"v3"`
	V2      *APIv2 `json:"v2"`
	Version string `json:"version"`

	// ServerIP is the address of the server that places orders, sent as spbill_create_ip of those of V2 without a client_ip; default
	// 127.0.0.1.
	ServerIP string `json:"server_ip"`

	Sandbox string `json:"sandbox"` // a simulation by WeChat, for V2 alone: xdc, or old; default none

	at string // path in the configuration, if it is that of an app
}

// APIv2 has the APIv2 keys of a merchant, as texts or file names. Changed files are read again.
type APIv2 struct {
	APIKey         string `json:"api_key"`
	PreviousAPIKey string `json:"previous_api_key"` // also verifies and decrypts, while APIKey is being changed
	SignType       string `json:"sign_type"`        // HMAC-SHA256, the default, or MD5

	// The certificate that refunds, reversals and fund flow bills need; default that of V3.
	Cert           string `json:"cert" blanks:"kept"` // apiclient_cert.pem
	CertFile       string `json:"cert_file"`          // apiclient_cert.pem, or apiclient_cert.p12, which includes the private key
	CertPassword   string `json:"cert_password"`      // of a p12 file; default MchID
	PrivateKey     string `json:"private_key" blanks:"kept"`
	PrivateKeyFile string `json:"private_key_file"` // apiclient_key.pem; default CertFile
}

// APIv3 has the APIv3 keys of a merchant, as texts or file names. Changed files are read again.
type APIv3 struct {
	APIv3Key         string `json:"api_v3_key"`
	PreviousAPIv3Key string `json:"previous_api_v3_key"` // also decrypts, while APIv3Key is being changed

	SerialNo       string `json:"serial_no"`          // of the certificate; default that of Cert
	Cert           string `json:"cert" blanks:"kept"` // apiclient_cert.pem
	CertFile       string `json:"cert_file"`          // apiclient_cert.pem, or apiclient_cert.p12, which includes the private key
	CertPassword   string `json:"cert_password"`      // of a p12 file; default MchID
	PrivateKey     string `json:"private_key" blanks:"kept"`
	PrivateKeyFile string `json:"private_key_file"` // apiclient_key.pem
	PublicKeyID    string `json:"public_key_id"`    // PUB_KEY_ID_…
	PublicKey      string `json:"public_key" blanks:"kept"`
	PublicKeyFile  string `json:"public_key_file"` // pub_key.pem
}

// HasPay reports whether an app takes payments.
func (c Config) HasPay() bool {
	for _, a := range c.Apps {
		if a.Pay != nil {
			return true
		}
	}
	return false
}

// checkPay checks the merchants and the payment settings of the apps. loadMerchants checks the keys.
func (c Config) checkPay() error {
	numbers := make(map[string]string, len(c.Merchants))
	for name, m := range c.Merchants {
		if err := checkAppName(name); err != nil {
			return fmt.Errorf("merchants: %w", err)
		}
		if err := m.check(); err != nil {
			return fmt.Errorf("%s.%w", m.path(name), err)
		}
		number := m.MchID + "/" + m.SubMchID
		if other, taken := numbers[number]; taken {
			other, name := min(name, other), max(name, other)
			return fmt.Errorf("%s.mch_id: merchant %q has the same number: want one entry for each number", c.Merchants[name].path(name), other)
		}
		numbers[number] = name
	}
	for name, a := range c.Apps {
		if a.Pay == nil {
			continue
		}
		if err := c.checkAppPay(name, a); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) checkAppPay(name string, a App) error {
	p := a.Pay
	at := "apps." + name + ".pay."
	if p.Own != nil { // of an app that is registered at run time
		return errors.New(at + "merchant: want a name: only the configuration has keys here")
	}
	if _, ok := c.Merchants[p.Merchant]; !ok {
		return errors.New(at + "merchant: want a name under merchants")
	}
	if p.NotifyTo != "" {
		if err := checkTarget(p.NotifyTo); err != nil {
			return fmt.Errorf("%snotify_to: %w", at, err)
		}
	}
	if p.NotifySync && p.NotifyTo == "" {
		return errors.New(at + "notify_sync: needs notify_to")
	}
	public := cmp.Or(a.PublicURL, c.PublicURL)
	if public == "" {
		return errors.New("public_url: must be set for " + at[:len(at)-1] + ", since WeChat sends notifications there")
	}
	if pay.CheckNotifyURL("", payURL(public, name)) != nil {
		return errors.New("public_url: want https for " + at[:len(at)-1] + ": WeChat sends notifications only to https")
	}
	return nil
}

func (m Merchant) check() error {
	if err := checkBlanks("", reflect.ValueOf(m)); err != nil {
		return err
	}
	switch {
	case m.MchID == "" || strings.Trim(m.MchID, "0123456789") != "":
		return errors.New("mch_id: want the digits of the merchant number (商户号), in quotes")
	case strings.Trim(m.SubMchID, "0123456789") != "":
		return errors.New("sub_mch_id: want the digits of the number of the shop (子商户号), in quotes")
	case m.SubAppID != "" && m.SubMchID == "":
		return errors.New("sub_app_id: needs sub_mch_id")
	}
	return m.checkVersions()
}

func (m Merchant) checkVersions() error {
	_, known := sandboxes[m.Sandbox]
	switch {
	case m.V3 == nil && m.V2 == nil:
		return errors.New("v3: must be set, or v2")
	case m.Version != "" && m.Version != "v3" && m.Version != "v2":
		return fmt.Errorf("version: invalid value %.20q: want v3 or v2", m.Version)
	case m.Version == "v3" && m.V3 == nil, m.Version == "v2" && m.V2 == nil:
		return fmt.Errorf("version: needs the keys of %s", m.Version)
	case !known:
		return fmt.Errorf("sandbox: invalid value %.20q: want xdc or old", m.Sandbox)
	case m.ServerIP != "" && m.V2 == nil:
		return errors.New("server_ip: needs v2, which alone is sent it")
	case m.Sandbox != "" && (m.V2 == nil || m.V3 != nil):
		return errors.New("sandbox: needs v2, without v3, which has no sandbox")
	}
	if v := m.V3; v != nil {
		if err := checkOneOf("v3.cert", v.Cert, v.CertFile, "v3.private_key", v.PrivateKey, v.PrivateKeyFile, "v3.public_key", v.PublicKey, v.PublicKeyFile); err != nil {
			return err
		}
	}
	if v := m.V2; v != nil {
		return checkOneOf("v2.cert", v.Cert, v.CertFile, "v2.private_key", v.PrivateKey, v.PrivateKeyFile)
	}
	return nil
}

// checkOneOf returns an error if both a text and a file are set. settings are triples of a key, its text and its file.
func checkOneOf(settings ...string) error {
	for i := 0; i < len(settings); i += 3 {
		if key := settings[i]; settings[i+1] != "" && settings[i+2] != "" {
			return fmt.Errorf("%s: is set, and so is %s_file: want one of them", key, key[len("v3."):])
		}
	}
	return nil
}

// checkPay checks the payment settings of a key.
func (k Key) checkPay() error {
	hasAPI := false
	for _, s := range k.Scopes {
		hasAPI = hasAPI || s == "pay-api"
	}
	switch {
	case hasAPI && len(k.Paths) == 0:
		return errors.New("paths: must be set for the scope pay-api, such as [/v3/merchant-service/*]")
	case !hasAPI && len(k.Paths) > 0:
		return errors.New("paths: needs the scope pay-api")
	case k.MaxFen < 0:
		return errors.New("max_fen: want 0 or more")
	case k.DayFen < 0:
		return errors.New("day_fen: want 0 or more")
	}
	for i, p := range k.Paths {
		plain := strings.TrimSuffix(p, "/*")
		if !isAPIPath(plain) && plain != "/v3" || path.Clean(plain) != plain || strings.Contains(plain, "*") {
			return fmt.Errorf("paths[%d]: want a path of APIv3 such as /v3/certificates, or all below one such as /v3/merchant-service/*", i)
		}
	}
	return nil
}
