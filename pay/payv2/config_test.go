package payv2_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

func TestConfigurationsThatCannotWorkAreRefusedInWords(t *testing.T) {
	for _, c := range []struct {
		field, words string
		change       func(*payv2.Config)
	}{
		{"AppID", "is empty", func(c *payv2.Config) { c.AppID = "" }},
		{"MchID", "digits", func(c *payv2.Config) { c.MchID = "wx1" }},
		{"APIKey", "want 32", func(c *payv2.Config) { c.APIKey = "" }},
		{"PreviousAPIKey", "want 32", func(c *payv2.Config) { c.PreviousAPIKey = "short" }},
		{"SignType", "want HMAC-SHA256 or MD5", func(c *payv2.Config) { c.SignType = "RSA" }},
		{"Sandbox", "want xdc or sandboxnew", func(c *payv2.Config) { c.Sandbox = "x" }},
		{"Certificate", "lacks a part", func(c *payv2.Config) { c.Certificate = tls.Certificate{Certificate: [][]byte{{1}}} }},
		{"BaseURL", "URL", func(c *payv2.Config) { c.BaseURL = "api.mch.weixin.qq.com" }},
		{"BackupURL", "URL", func(c *payv2.Config) { c.BackupURL = "https://u@h" }},
		{"NotifyURL", "https", func(c *payv2.Config) { c.NotifyURL = "shop.example.com" }},
		{"NotifyURL", "has a query", func(c *payv2.Config) { c.NotifyURL += "?a=1" }},
	} {
		cfg := config()
		c.change(&cfg)
		_, err := payv2.New(cfg)
		var wrong *pay.FieldError
		require.ErrorAs(t, err, &wrong, c.words)
		require.Equal(t, "Config."+c.field, wrong.Field)
		require.Contains(t, wrong.Reason, c.words)
	}
	require.Equal(t, "v2/"+mchID, newMerchant(t, config()).Name())
}

func TestNothingPrintsAKey(t *testing.T) {
	c := config()
	for _, v := range []any{c, &c, newMerchant(t, c), newMerchant(t, c).Sub("1", "")} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			require.NotContains(t, fmt.Sprintf(verb, v), apiKey)
			require.NotContains(t, fmt.Sprintf(verb, v), "66396631653264")
		}
		b, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(b), apiKey)
	}
}

func TestEachCertificateHasItsOwnTransport(t *testing.T) {
	used := make(map[string]int)
	f := newFake(func(path string, in fields) (fields, string) {
		return ok("out_trade_no", "order-1", "trade_state", "NOTPAY"), ""
	})
	shared := new(http.Client)
	m := f.merchant(t, func(c *payv2.Config) { shared = c.HTTP })
	before := shared.Transport.(*http.Transport).TLSClientConfig.Certificates
	_, err := m.Query(t.Context(), "order-1")
	require.NoError(t, err)
	require.NoError(t, m.Reverse(t.Context(), "order-1"))
	for i, path := range f.paths {
		used[path] = f.certs[i]
	}
	require.Equal(t, map[string]int{"/pay/orderquery": 0, "/secapi/pay/reverse": 1}, used)
	require.Equal(t, before, shared.Transport.(*http.Transport).TLSClientConfig.Certificates, "the client of the caller is not changed")
}
