package payv3_test

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

func TestConfigurationsThatCannotWorkAreRefusedInWords(t *testing.T) {
	own := certificate(merchantKey(), 0xABCDEF, time.Now(), time.Now().Add(time.Hour))
	for _, c := range []struct {
		field, words string
		change       func(*payv3.Config)
	}{
		{"AppID", "is empty", func(c *payv3.Config) { c.AppID = "" }},
		{"MchID", "digits", func(c *payv3.Config) { c.MchID = "wx1" }},
		{"APIv3Key", "want 32", func(c *payv3.Config) { c.APIv3Key = "short" }},
		{"PreviousAPIv3Key", "want 32", func(c *payv3.Config) { c.PreviousAPIv3Key = "short" }},
		{"SerialNo", "is empty", func(c *payv3.Config) { c.SerialNo = "" }},
		{"SerialNo", "decimal", func(c *payv3.Config) { c.SerialNo = "171234567890123456789012345678901234567890123456" }},
		{"SerialNo", "hex", func(c *payv3.Config) { c.SerialNo = "serial" }},
		{"SerialNo", "is a public key id", func(c *payv3.Config) { c.SerialNo = publicKeyID }},
		{"SerialNo", "not the serial of Certificate", func(c *payv3.Config) { c.Certificate = own }},
		{"Certificate", "does not belong to Key", func(c *payv3.Config) { c.Certificate, c.SerialNo, c.Key = own, "", keys()[2] }},
		{"Key", "not set", func(c *payv3.Config) { c.Key = nil }},
		{"PublicKeyID", "PUB_KEY_ID_", func(c *payv3.Config) { c.PublicKeyID = "0114232134912410000000000000" }},
		{"PublicKeyID", "our own certificate", func(c *payv3.Config) { c.PublicKeyID = merchantSerial }},
		{"PublicKeyID", "is empty", func(c *payv3.Config) { c.PublicKeyID = "" }},
		{"PublicKey", "not set", func(c *payv3.Config) { c.PublicKey = nil }},
		{"PublicKey", "our own key", func(c *payv3.Config) { c.PublicKey = &merchantKey().PublicKey }},
		{"BaseURL", "URL", func(c *payv3.Config) { c.BaseURL = "api.mch.weixin.qq.com" }},
		{"NotifyURL", "https", func(c *payv3.Config) { c.NotifyURL = "shop.example.com" }},
	} {
		cfg := config()
		c.change(&cfg)
		_, err := payv3.New(cfg)
		var wrong *pay.FieldError
		require.ErrorAs(t, err, &wrong, c.words)
		require.Equal(t, "Config."+c.field, wrong.Field)
		require.Contains(t, wrong.Reason, c.words)
	}
	cfg := config()
	cfg.Certificate, cfg.SerialNo = own, ""
	require.Equal(t, "v3/"+mchID, newMerchant(t, cfg).Name())
	cfg.SerialNo = "ab:cd:ef" // as openssl prints it, in another case
	newMerchant(t, cfg)
}

func TestKeysAreReadInAnyForm(t *testing.T) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(merchantKey())
	require.NoError(t, err)
	spki, err := x509.MarshalPKIXPublicKey(&merchantKey().PublicKey)
	require.NoError(t, err)
	own := certificate(merchantKey(), 5, time.Now(), time.Now().Add(time.Hour))
	type form struct {
		label string
		der   []byte
		read  func([]byte) error
	}
	private := func(text []byte) error {
		key, err := payv3.ParseKey(text)
		if err == nil && !merchantKey().Equal(key) {
			return fmt.Errorf("another key")
		}
		return err
	}
	public := func(text []byte) error {
		key, err := payv3.ParsePublicKey(text)
		if err == nil && !key.Equal(&merchantKey().PublicKey) {
			return fmt.Errorf("another key")
		}
		return err
	}
	cert := func(text []byte) error {
		c, err := payv3.ParseCertificate(text)
		if err == nil && c.SerialNumber.Cmp(big.NewInt(5)) != 0 {
			return fmt.Errorf("another certificate")
		}
		return err
	}
	forms := []form{
		{"PRIVATE KEY", pkcs8, private}, {"RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(merchantKey()), private},
		{"PUBLIC KEY", spki, public}, {"RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&merchantKey().PublicKey), public},
		{"CERTIFICATE", own.Raw, cert},
	}
	for _, f := range forms {
		text := string(pem.EncodeToMemory(&pem.Block{Type: f.label, Bytes: f.der}))
		bare := base64.StdEncoding.EncodeToString(f.der)
		for name, dressed := range map[string]string{
			"pem": text, "crlf": strings.ReplaceAll(text, "\n", "\r\n"), "bom": "\ufeff" + text, "escaped": strings.ReplaceAll(text, "\n", `\n`),
			"escaped crlf": strings.ReplaceAll(text, "\n", `\r\n`), "one line": strings.ReplaceAll(text, "\n", " "), "no breaks": strings.ReplaceAll(text, "\n", ""),
			"quoted": `"` + text + `"`, "bare": bare, "bare lines": strings.Join(strings.Split(text, "\n")[1:len(strings.Split(text, "\n"))-2], "\n"),
			"base64 of the file": base64.StdEncoding.EncodeToString([]byte(text)), "der": string(f.der), "blanks": "\n\n  " + text + "\n\n",
			"in text": "Bag Attributes\n" + text, "unpadded": strings.TrimRight(bare, "="),
		} {
			require.NoError(t, f.read([]byte(dressed)), "%s %s", f.label, name)
		}
		for _, broken := range []string{"", " \n", "secret-text-of-a-key", text[:len(text)/2], "-----BEGIN " + f.label + "-----\n!!!!\n-----END " + f.label + "-----", strings.Repeat("A", 1<<20)} {
			err := f.read([]byte(broken))
			require.Error(t, err)
			require.NotContains(t, err.Error(), "secret-text")
		}
	}
	for _, f := range forms {
		for _, other := range forms {
			if fmt.Sprintf("%p", f.read) == fmt.Sprintf("%p", other.read) {
				continue
			}
			err := other.read(pem.EncodeToMemory(&pem.Block{Type: f.label, Bytes: f.der}))
			require.ErrorContains(t, err, "found a ", "%s as %s", f.label, other.label)
		}
	}
	_, err = payv3.ParseKey([]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----"))
	require.ErrorContains(t, err, "encrypted")
}

// kms can sign but not decrypt.
type kms struct{ crypto.Signer }

func (k kms) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.Signer.Sign(nil, digest, opts)
}

func TestAKeyInAKMSSignsAndCannotRead(t *testing.T) {
	f := newFake()
	sensitive, err := payv3Encrypt(&merchantKey().PublicKey, "13800000000")
	require.NoError(t, err)
	f.answer = always(200, `{"payer_phone":"`+sensitive+`"}`)
	c := config()
	c.Key, c.HTTP = kms{merchantKey()}, f.client()
	var out struct {
		Phone payv3.Secret `json:"payer_phone"`
	}
	err = newMerchant(t, c).Do(t.Context(), "GET", "/v3/merchant-service/complaints-v2/1", nil, &out)
	require.ErrorContains(t, err, "crypto.Decrypter")
	c.Key = merchantKey()
	require.NoError(t, newMerchant(t, c).Do(t.Context(), "GET", "/v3/merchant-service/complaints-v2/1", nil, &out))
	require.Equal(t, "13800000000", string(out.Phone))
}

func TestIdleConnectionsAreGivenUpBeforeWeChatDoes(t *testing.T) {
	require.Equal(t, 7*time.Second, payv3.DefaultHTTP.Transport.(*http.Transport).IdleConnTimeout)
}

func TestNewMakesNoCall(t *testing.T) {
	c := config()
	c.PublicKey, c.PublicKeyID = nil, ""
	c.HTTP = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a call was made")
		return nil, io.EOF
	})}
	m := newMerchant(t, c)
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, string(b)+fmt.Sprintf("%+v %#v", c, m), apiV3Key)
}
