package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

// sandboxes are the values of Merchant.Sandbox.
var sandboxes = map[string]payv2.Sandbox{"": "", "xdc": payv2.SandboxXDC, "old": payv2.SandboxOld}

// merchantSettingsV2 maps the fields of payv2.Config to keys of the configuration.
var merchantSettingsV2 = map[string]string{
	"MchID": "mch_id", "APIKey": "v2.api_key", "PreviousAPIKey": "v2.previous_api_key", "SignType": "v2.sign_type", "Certificate": "v2.cert", "Sandbox": "sandbox", "ServerIP": "server_ip",
}

// readV2 reads the keys of APIv2. Without a certificate of its own it has that of APIv3: a merchant has one for both.
func (k *merchantKeys) readV2(m Merchant, load loader, decodeP12 decoder) error {
	v := m.V2
	k.v2 = payv2.Config{MchID: m.MchID, APIKey: v.APIKey, PreviousAPIKey: v.PreviousAPIKey, SignType: payv2.SignType(v.SignType), Sandbox: sandboxes[m.Sandbox], ServerIP: m.ServerIP}
	cert, err := load("v2.cert", v.Cert, v.CertFile)
	if err != nil {
		return err
	}
	private, err := load("v2.private_key", v.PrivateKey, v.PrivateKeyFile)
	if err != nil {
		return err
	}
	switch {
	case cert == nil && private != nil:
		return fmt.Errorf("v2.cert_file: is not set, and %s is: want both, or neither", m.setting("v2.private_key"))
	case cert == nil && k.v3.Certificate != nil && k.v3.Key != nil:
		k.v2.Certificate = tls.Certificate{Certificate: [][]byte{k.v3.Certificate.Raw}, PrivateKey: k.v3.Key, Leaf: k.v3.Certificate}
	case isP12(v.CertFile):
		key, leaf, err := openP12("v2", cert, m.MchID, v.CertPassword, decodeP12)
		if err != nil {
			return err
		}
		k.v2.Certificate = tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	case cert != nil:
		return k.readPEMV2(m, cert, private)
	}
	return nil
}

// readPEMV2 reads a certificate and its private key, which are in one file or in two.
func (k *merchantKeys) readPEMV2(m Merchant, cert, private []byte) error {
	setting := m.setting("v2.cert")
	if private == nil {
		if private = cert; !bytes.Contains(cert, []byte("PRIVATE KEY-----")) {
			return fmt.Errorf("v2.private_key_file: is not set, and %s has no private key: want apiclient_key.pem", setting)
		}
	}
	pair, err := tls.X509KeyPair(cert, private)
	if err != nil {
		return fmt.Errorf("%s: want apiclient_cert.pem, with its private key (apiclient_key.pem) in %s", setting, m.setting("v2.private_key"))
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return errors.New(setting + ": is not a certificate")
		}
	}
	k.v2.Certificate = pair
	return nil
}

// buildV2 returns the Merchant over APIv2 for an app with this appid. queryRefund is that of the Merchant over APIv3, if any.
func (m *merchant) buildV2(keys *merchantKeys, appID string, queryRefund func(context.Context, string) (pay.Refund, error), g *Gateway) (*payv2.Merchant, error) {
	c := keys.v2
	c.AppID, c.AppIDs, c.BaseURL, c.HTTP, c.QueryRefund = m.defaultAppID(appID), m.config.AppIDs, g.endpoints.Pay, g.http, queryRefund
	built, err := payv2.New(c)
	if err != nil {
		return nil, m.config.inSetting(merchantSettingsV2, err)
	}
	if m.config.SubMchID != "" {
		built = built.Sub(m.config.SubMchID, m.config.SubAppID)
	}
	return built, nil
}
