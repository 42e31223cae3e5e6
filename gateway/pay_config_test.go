package gateway_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestAPayConfigurationIsCheckedInWords(t *testing.T) {
	base := openTill(t, nil).config
	expired, early := certificate(t, -48*time.Hour, -time.Hour), certificate(t, time.Hour, 48*time.Hour)
	other := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(payKeys()[1])}))
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "cert.pem")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	for want, change := range map[string]func(*gateway.Config){
		"apps.shop.pay.merchant: want a name under merchants": func(c *gateway.Config) { c.Apps["shop"].Pay.Merchant = "m2" },
		"apps.shop.pay.notify_to: want an http or https URL":  func(c *gateway.Config) { c.Apps["shop"].Pay.NotifyTo = "shop/paid" },
		"apps.other.pay.notify_sync: needs notify_to":         func(c *gateway.Config) { c.Apps["other"].Pay.NotifySync = true },
		"public_url: must be set":                             func(c *gateway.Config) { c.PublicURL = "" },
		"public_url: want https":                              func(c *gateway.Config) { c.PublicURL = "http://wx.example.com" },
		"merchants.m1.mch_id: want the digits":                func(c *gateway.Config) { c.Merchants["m1"] = gateway.Merchant{MchID: "m", V3: c.Merchants["m1"].V3} },
		"merchants.m1.version: invalid value \"v4\": want v3 or v2": func(c *gateway.Config) {
			c.Merchants["m1"] = gateway.Merchant{MchID: mchID, V3: c.Merchants["m1"].V3, Version: "v4"}
		},
		"merchants.m1.version: needs the keys of v2": func(c *gateway.Config) {
			c.Merchants["m1"] = gateway.Merchant{MchID: mchID, V3: c.Merchants["m1"].V3, Version: "v2"}
		},
		"merchants.m1.sandbox: invalid value": func(c *gateway.Config) { c.Merchants["m1"] = v2Merchant("sandboxnew", nil) },
		"merchants.m1.sandbox: needs v2": func(c *gateway.Config) {
			c.Merchants["m1"] = gateway.Merchant{MchID: mchID, V3: c.Merchants["m1"].V3, Sandbox: "xdc"}
		},
		"merchants.m1.v2.api_key: has 3 bytes: want 32": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.APIKey = "abc" })
		},
		"merchants.m1.v2.previous_api_key: has 3": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.PreviousAPIKey = "abc" })
		},
		"merchants.m1.v2.sign_type: is \"RSA\": want": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.SignType = "RSA" })
		},
		"merchants.m1.v2.cert_file: open /nowhere": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.CertFile = "/nowhere" })
		},
		"merchants.m1.v2.cert: is set, and so is cert_file": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.Cert, v.CertFile = "x", "y" })
		},
		"merchants.m1.server_ip: is no IP address": func(c *gateway.Config) {
			m := v2Merchant("", nil)
			m.ServerIP = "shop.example.com"
			c.Merchants["m1"] = m
		},
		"merchants.m1.server_ip: needs v2": func(c *gateway.Config) {
			m := c.Merchants["m1"]
			m.ServerIP = "192.0.2.7"
			c.Merchants["m1"] = m
		},
		"merchants.m1.v2.private_key_file: is not set, and v2.cert has no private key": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.Cert = c.Merchants["m1"].V3.Cert })
		},
		"merchants.m1.v2.cert: want apiclient_cert.pem": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.Cert, v.PrivateKey = c.Merchants["m1"].V3.Cert, "nonsense" })
		},
		"merchants.m1.v2.cert_file: is not set, and v2.private_key is": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.PrivateKey = "x" })
		},
		"merchants.m1.v2.cert_file: p12 files are not supported": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.CertFile = p12(t) })
		},
		"merchants.m1.v3.cert: the certificate expired on": func(c *gateway.Config) { c.Merchants["m1"].V3.Cert = expired },
		"merchants.m1.v3.cert_file: the certificate expired on": func(c *gateway.Config) {
			c.Merchants["m1"].V3.Cert, c.Merchants["m1"].V3.CertFile = "", file(expired)
		},
		"merchants.m1.v2.cert: the certificate expired on": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.Cert, v.PrivateKey = expired, c.Merchants["m1"].V3.PrivateKey })
		},
		"merchants.m1.v2.cert_file: the certificate expired on": func(c *gateway.Config) {
			c.Merchants["m1"] = v2Merchant("", func(v *gateway.APIv2) { v.CertFile, v.PrivateKey = file(expired), c.Merchants["m1"].V3.PrivateKey })
		},
		"merchants.m1.v3.cert: the certificate is not valid before": func(c *gateway.Config) { c.Merchants["m1"].V3.Cert = early },
		"merchants.m1.v3.cert: does not belong to":                  func(c *gateway.Config) { c.Merchants["m1"].V3.PrivateKey = other },
		"merchants.m1.v3.cert_file: does not belong to": func(c *gateway.Config) {
			v := c.Merchants["m1"].V3
			v.Cert, v.CertFile, v.PrivateKey = "", file(v.Cert), other
		},
		"merchants.m1.v3: must be set":                      func(c *gateway.Config) { c.Merchants["m1"] = gateway.Merchant{MchID: mchID} },
		"merchants.m2.mch_id: merchant \"m1\" has the same": func(c *gateway.Config) { c.Merchants["m2"] = c.Merchants["m1"] },
		"merchants.m1.v3.api_v3_key: has 3 bytes: want 32":  func(c *gateway.Config) { c.Merchants["m1"].V3.APIv3Key = "abc" },
		"merchants.m1.v3.cert_file: ":                       func(c *gateway.Config) { c.Merchants["m1"].V3.Cert, c.Merchants["m1"].V3.CertFile = "", "/nowhere" },
		"merchants.m1.v3.cert: is set, and so is cert_file": func(c *gateway.Config) { c.Merchants["m1"].V3.CertFile = "x" },
		"merchants.m1.v3.private_key: ":                     func(c *gateway.Config) { c.Merchants["m1"].V3.PrivateKey = "nonsense" },
		"merchants.m1.v3.private_key_file: the name of a file contains the text of a key": func(c *gateway.Config) {
			c.Merchants["m1"].V3.PrivateKey, c.Merchants["m1"].V3.PrivateKeyFile = "", "-----BEGIN PRIVATE KEY-----\nnonsense"
		},
		"merchants.m1.v3.private_key_file: is not set":     func(c *gateway.Config) { c.Merchants["m1"].V3.PrivateKey = "" },
		"keys[0].paths: needs the scope pay-api":           func(c *gateway.Config) { c.Keys[0].Paths = []string{"/v3/x"} },
		"keys[4].paths: must be set for the scope pay-api": func(c *gateway.Config) { c.Keys[4].Paths = nil },
		"keys[4].paths[0]: want a path of APIv3":           func(c *gateway.Config) { c.Keys[4].Paths = []string{"/v3/../x/*"} },
		"keys[1].max_fen: want 0 or more":                  func(c *gateway.Config) { c.Keys[1].MaxFen = -1 },
		"p12 files are not supported by this program":      func(c *gateway.Config) { c.Merchants["m1"].V3.Cert, c.Merchants["m1"].V3.CertFile = "", p12(t) },
	} {
		c := base
		copied := *base.Merchants["m1"].V3
		c.Merchants = map[string]gateway.Merchant{"m1": {MchID: mchID, V3: &copied}}
		c.Keys = append([]gateway.Key(nil), base.Keys...)
		c.Apps = map[string]gateway.App{}
		for name, a := range base.Apps {
			if a.Pay != nil {
				p := *a.Pay
				a.Pay = &p
			}
			c.Apps[name] = a
		}
		change(&c)
		_, err := gateway.New(gateway.Options{Config: c, Log: slog.New(slog.DiscardHandler)})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "nonsense")
	}
}

// certificate returns a certificate of the merchant's key, in PEM, that is valid between two times from now.
func certificate(t *testing.T, from, to time.Duration) string {
	key := payKeys()[0]
	template := &x509.Certificate{SerialNumber: big.NewInt(0xABCDEF7777), NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func v2Merchant(sandbox string, change func(*gateway.APIv2)) gateway.Merchant {
	v := &gateway.APIv2{APIKey: strings.Repeat("k", 32)}
	if change != nil {
		change(v)
	}
	return gateway.Merchant{MchID: mchID, V2: v, Sandbox: sandbox}
}

func p12(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "apiclient_cert.p12")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	return file
}
