package imports

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/wetoken/wetoken/gateway"
)

// The kinds of merchants of windsome/wechat-payment.
const (
	ordinary = "普通商户"
	provider = "服务商"
)

// DecodeP12 decodes a PKCS #12 file.
type DecodeP12 func(file []byte, password string) (key any, certificate *x509.Certificate, err error)

// ReadPayment reads the merchant of windsome/wechat-payment from its config.json, and from the p12 file beside it.
func ReadPayment(file string, decode DecodeP12) (*Source, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	o, more, err := parseObject(data)
	if err != nil {
		return nil, unreadable("%s %w", file, err)
	}
	r, err := o.row("type", "appId", "mchId", "subAppId", "subMchId", "notifyUrl", "partnerKey", "pfx", "passphrase", "cbNotifyUrl")
	if err != nil {
		return nil, unreadable("%s: %w", file, err)
	}
	s := new(Source)
	if more > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d more objects are in the list: wechat-payment used only the first one", more))
	}
	if u, err := url.Parse(r["notifyUrl"]); err == nil && u.Host != "" {
		s.Notes = append(s.Notes, fmt.Sprintf("orders made before are notified at %s://%s%s: keep that served until they are finished", u.Scheme, u.Host, u.EscapedPath()))
	}
	m := Merchant{From: file, Name: r["mchId"], Err: checkPayment(r)}
	a := App{From: file, PayOnly: true, Named: true, Settings: gateway.App{AppID: r["appId"]}}
	sub, subApp := "", ""
	if r["type"] == provider {
		sub, subApp = r["subMchId"], r["subAppId"]
	}
	if made, _ := newMerchant(file, r["appId"], r["mchId"], sub, subApp, r["partnerKey"]); made != nil {
		m.Name, m.AppID, m.Settings = made.Name, made.AppID, made.Settings
	}
	if subApp != "" { // its people pay, and orders name the provider's appid, too
		a.Settings.AppID, m.Settings.AppIDs = subApp, []string{r["appId"]}
	}
	a.Name = nameOf(a.Settings.AppID)
	a.Settings.Pay = &gateway.Pay{Merchant: m.Name, NotifyTo: r["cbNotifyUrl"]}
	if r["pfx"] == "" {
		m.Notes = append(m.Notes, "has no pfx: refunds need a certificate")
	} else if m.Err == nil {
		m.Err = m.readP12(filepath.Dir(file), r, decode)
	}
	s.Merchants, s.Apps = append(s.Merchants, m), append(s.Apps, a)
	return s, nil
}

// checkPayment returns an error for a configuration that can be no merchant.
func checkPayment(r row) error {
	for _, key := range []string{"appId", "mchId", "partnerKey"} {
		if r[key] == "" {
			return fmt.Errorf("%s is empty", key)
		}
	}
	switch {
	case r["type"] != "" && r["type"] != ordinary && r["type"] != provider:
		return fmt.Errorf("type is neither %s nor %s", ordinary, provider)
	case r["type"] == provider && r["subMchId"] == "":
		return fmt.Errorf("subMchId is empty, and type is %s", provider)
	}
	return nil
}

// readP12 sets the certificate and the private key of a merchant.
func (m *Merchant) readP12(dir string, r row, decode DecodeP12) error {
	name := r["pfx"]
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	file, err := readFile(name)
	if err != nil {
		return fmt.Errorf("pfx: %w", err)
	}
	password := r["passphrase"]
	if password == "" {
		password = r["mchId"] // WeChat's default
	}
	key, certificate, err := decode(file, password)
	if err != nil {
		return errors.New("pfx: cannot be decoded with passphrase, which is mchId by default: " + strings.TrimPrefix(err.Error(), "pkcs12: "))
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return errors.New("pfx: its private key is of an unknown kind")
	}
	m.Settings.V2.Cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	m.Settings.V2.PrivateKey = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return nil
}
