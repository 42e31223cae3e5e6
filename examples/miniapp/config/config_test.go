package config_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/config"
	"github.com/wetoken/wetoken/pay/payv3"
)

// old is a configuration as the old program has it, with its own spellings, and the block of this one.
const old = `
open-platform:
  wechat:
    pay:
      active: true
      produce: true
      mchid: 1900000001
      certificate-path: /etc/wechat
      certificate-name: apiclient_cert.pem
      key-file-path: /etc/wechat/apiclient_key.pem
      api-v3-secretkey: ${API_V3_KEY}
    mini-app:
      active: true
      authorizeUrl: https://api.weixin.qq.com/sns/jscode2session
      grantType: authorization_code
      app-key: wxmini
      app-secret: ${MINI_SECRET}
    official-account:
      activate: true
      authorize:
        authorize-url: https://open.weixin.qq.com/connect/oauth2/authorize
        access-token-url: https://api.weixin.qq.com/sns/oauth2/access_token
        access-token-refresh-url: https://api.weixin.qq.com/sns/oauth2/refresh_token
        userinfo-url: https://api.weixin.qq.com/sns/userinfo
        response-type: code
        scope: snsapi_userinfo
        state: wechatRedirectUrl
        grant-type: authorization_code
      access-token-url: https://api.weixin.qq.com/cgi-bin/token
      app-id: wxofficial
      app-secret: ${OFFICIAL_SECRET}
      grant-type: client_credential
      config-token: ${CONFIG_TOKEN}
miniapp:
  url: https://shop.example.com
  seal-keys: ${SEAL_KEYS}
`

func env(name string) (string, bool) {
	return "s3cret-" + strings.ToLower(name), strings.HasSuffix(name, "_KEY") || strings.HasSuffix(name, "_SECRET") || strings.HasSuffix(name, "_TOKEN") || strings.HasSuffix(name, "_KEYS")
}

func parse(t *testing.T, changes ...string) (*config.Config, error) {
	t.Helper()
	for i := 0; i < len(changes); i += 2 {
		require.Contains(t, old, changes[i])
	}
	return config.Parse([]byte(strings.NewReplacer(changes...).Replace(old)), env)
}

func TestTheOldTreeIsReadByItsOwnNames(t *testing.T) {
	c, err := parse(t)
	require.NoError(t, err)
	w := c.OpenPlatform.WeChat
	require.True(t, w.Pay.On() && w.MiniApp.On() && w.OfficialAccount.On())
	require.False(t, c.Simulated())
	require.Equal(t, "1900000001", w.Pay.MchID)
	require.Equal(t, "s3cret-api_v3_key", w.Pay.APIv3SecretKey)
	require.Equal(t, "s3cret-mini_secret", w.MiniApp.AppSecret)
	base, err := w.MiniApp.API()
	require.NoError(t, err)
	require.Equal(t, "https://api.weixin.qq.com", base)
	base, err = w.OfficialAccount.Open()
	require.NoError(t, err)
	require.Equal(t, "https://open.weixin.qq.com", base)
	require.Equal(t, "wechatRedirectUrl", w.OfficialAccount.Authorize.State)

	for _, part := range []any{*c, c, w, w.Pay, &w.Pay, w.MiniApp, w.OfficialAccount, c.Miniapp, []any{w}, map[string]any{"w": c.OpenPlatform}} {
		text := fmt.Sprintf("%v %+v %#v %s", part, part, part, part) + logged(part)
		require.NotContains(t, text, "s3cret", "%T", part)
	}
}

func logged(c any) string {
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("config", "c", c)
	return b.String()
}

func TestASwitchHasEitherSpelling(t *testing.T) {
	c, err := parse(t, "activate: true", "active: true", "active: true\n      produce", "activate: true\n      produce")
	require.NoError(t, err)
	require.True(t, c.OpenPlatform.WeChat.Pay.On() && c.OpenPlatform.WeChat.OfficialAccount.On())
	c, err = parse(t, "activate: true", "activate: false")
	require.NoError(t, err)
	require.False(t, c.OpenPlatform.WeChat.OfficialAccount.On())
	c, err = parse(t, "produce: true", "produce: false")
	require.NoError(t, err)
	require.True(t, c.Simulated())
	c, err = parse(t, "activate: true", "activate: ${X_KEY}")
	require.ErrorContains(t, err, "bool")
	require.NotContains(t, err.Error(), "s3cret")
	require.Nil(t, c)
}

func TestInvalidConfigurationsAreNamedByTheirPath(t *testing.T) {
	const w = "open-platform.wechat."
	for _, c := range []struct{ says, from, to string }{
		{"line 16: unknown key " + w + "mini-app.appkey: want activate, active, app-key", "app-key: wxmini", "appkey: wxmini"},
		{"unknown key " + w + "pay.api-v3-key", "api-v3-secretkey", "apiV3Key"},
		{"unknown key server", "\nminiapp:", "\nserver: {}\nminiapp:"},
		{"unknown key " + w + "official-account.authorize.secret", "response-type: code", "secret: x"},
		{w + "pay: active and activate are both set", "active: true\n      produce", "active: true\n      activate: true\n      produce"},
		{w + "pay.produce is not set", "produce: true", "public-key-id: x"},
		{w + "pay.mchid is not set", "mchid: 1900000001", ""},
		{w + "pay.certificate-name is not set", "certificate-name: apiclient_cert.pem", ""},
		{w + "pay.api-v3-secretkey: environment variable NOT_SET is not set", "${API_V3_KEY}", "${NOT_SET}"},
		{w + "mini-app.app-secret is not set", "app-secret: ${MINI_SECRET}", ""},
		{w + "mini-app.grant-type is \"client_credential\": want authorization_code", "grantType: authorization_code", "grantType: client_credential"},
		{w + "mini-app.authorize-url: want a URL that ends in /sns/jscode2session", "sns/jscode2session", "sns/jscode"},
		{w + "mini-app.authorize-url", "https://api.weixin.qq.com/sns/jscode2session", "http://api.weixin.qq.com/sns/jscode2session"},
		{w + "official-account.authorize.scope is \"snsapi_login\"", "snsapi_userinfo", "snsapi_login"},
		{w + "official-account.authorize.userinfo-url has another host", "https://api.weixin.qq.com/sns/userinfo", "https://evil.example/sns/userinfo"},
		{"have the same appid", "wxofficial", "wxmini"},
		{"miniapp.url is not set", "url: https://shop.example.com", ""},
		{"miniapp.url: want a URL without a path", "https://shop.example.com", "https://shop.example.com/x"},
		{"miniapp.seal-keys is not set", "seal-keys: ${SEAL_KEYS}", ""},
		{"miniapp.simulator is set, but pay.produce is not false", "seal-keys:", "simulator: http://127.0.0.1:1\n  seal-keys:"},
		{"already defined", "mchid: 1900000001", "mchid: 1\n      mchid: 2"},
		{"aliases are not supported", "app-id: wxofficial", "app-id: &a x\n      welcome: *a"},
	} {
		_, err := parse(t, c.from, c.to)
		require.ErrorContains(t, err, c.says)
		require.NotContains(t, err.Error(), "s3cret")
	}
	for _, text := range []string{"", "[]", "open-platform", "{"} {
		_, err := config.Parse([]byte(text), env)
		require.Error(t, err, text)
	}
	off := strings.NewReplacer("active: true", "active: false", "activate: true", "activate: false").Replace(old)
	_, err := config.Parse([]byte(off), env)
	require.ErrorContains(t, err, "neither mini-app nor official-account is active")
}

func TestAFileWithSecretsForEverybodyIsNoticed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wx.yaml")
	t.Setenv("SEAL_KEYS", "x")
	text := strings.NewReplacer("${API_V3_KEY}", "x", "${MINI_SECRET}", "x", "${OFFICIAL_SECRET}", "x", "${CONFIG_TOKEN}", "x").Replace(old)
	for mode, insecure := range map[os.FileMode]bool{0o600: false, 0o644: true} {
		require.NoError(t, os.WriteFile(file, []byte(text), mode))
		require.NoError(t, os.Chmod(file, mode))
		_, found, err := config.Load(file)
		require.NoError(t, err)
		require.Equal(t, insecure, found, mode)
	}
	require.NoError(t, os.WriteFile(file, []byte("x: 1"), 0o600))
	_, _, err := config.Load(file)
	require.ErrorContains(t, err, file)
	_, _, err = config.Load(file + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTheCertificateFileGivesTheSerialNumber(t *testing.T) {
	folder := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	serial := new(big.Int).SetBytes([]byte{0x40, 0x8b, 0x07, 0xe7})
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "1900000001"}, NotAfter: time.Now().Add(time.Hour)},
		&x509.Certificate{SerialNumber: serial}, key.Public(), key)
	require.NoError(t, err)
	write := func(name, kind string, der []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	write("apiclient_cert.pem", "CERTIFICATE", der)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	write("apiclient_key.pem", "PRIVATE KEY", pkcs8)

	c, err := parse(t, "certificate-path: /etc/wechat", "certificate-path: "+folder, "/etc/wechat/apiclient_key.pem", folder+"/apiclient_key.pem")
	require.NoError(t, err)
	p := c.OpenPlatform.WeChat.Pay
	p.APIv3SecretKey = strings.Repeat("k", 32)
	merchant, err := p.Merchant()
	require.NoError(t, err)
	require.Equal(t, "408B07E7", fmt.Sprintf("%X", merchant.Certificate.SerialNumber))
	merchant.AppID = "wxmini"
	_, err = payv3.New(merchant)
	require.NoError(t, err)

	p.CertificateName = "missing.pem"
	_, err = p.Merchant()
	require.ErrorContains(t, err, "open-platform.wechat.pay.certificate-name")
	p.CertificateName = "apiclient_key.pem"
	_, err = p.Merchant()
	require.ErrorContains(t, err, "certificate-name")
}
