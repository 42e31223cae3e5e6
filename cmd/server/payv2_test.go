package main_test

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/wetoken/wetoken/pay/payv3"
)

// p12Files returns p12 files of a merchant with old and new encryption, by openssl, too, where it is installed.
func p12Files(t *testing.T, s *payShop) map[string]string {
	t.Helper()
	key, err := payv3.ParseKey([]byte(s.account.PrivateKey))
	require.NoError(t, err)
	cert, err := payv3.ParseCertificate([]byte(s.account.Certificate))
	require.NoError(t, err)
	files := make(map[string]string)
	for name, encoder := range map[string]*pkcs12.Encoder{"rc2": pkcs12.LegacyRC2, "des": pkcs12.LegacyDES, "aes": pkcs12.Modern} {
		data, err := encoder.Encode(key, cert, nil, payMchID)
		require.NoError(t, err)
		files[name] = filepath.Join(s.dir, name+".p12")
		require.NoError(t, os.WriteFile(files[name], data, 0o600))
	}
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		return files
	}
	for name, more := range map[string][]string{
		"openssl":        nil, // AES in version 3
		"openssl-legacy": {"-legacy"},
		"openssl-des":    {"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"},
	} {
		file := filepath.Join(s.dir, name+".p12")
		args := append([]string{"pkcs12", "-export", "-in", "cert.pem", "-inkey", "key.pem", "-out", file, "-passout", "pass:" + payMchID, "-name", "Tenpay Certificate"}, more...)
		cmd := exec.CommandContext(t.Context(), openssl, args...)
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("this openssl does not write %s: %s", name, out) // such as one without the legacy provider
			continue
		}
		files[name] = file
	}
	return files
}

func (p *process) send(t *testing.T, method, path, body string) (status int, kind string, got map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.base+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+shopKey)
	resp, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &got), "%s: %s", path, raw)
	return resp.StatusCode, resp.Header.Get("Content-Type"), got
}

func TestAMerchantOfAPIv2RefundsOverTLSWithAP12File(t *testing.T) {
	t.Parallel()
	s := newPayShop(t)
	wechat := httptest.NewUnstartedServer(s.pay)
	wechat.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	wechat.StartTLS()
	t.Cleanup(wechat.Close)
	ca := filepath.Join(s.dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: wechat.Certificate().Raw}), 0o600))
	env := append(s.env, "WECHAT_PAY="+wechat.URL, "SSL_CERT_FILE="+ca, "API_KEY="+s.account.APIKey)
	config := func(name, cert string) string {
		text := regexp.MustCompile(`(?m)^    v3: .*$`).ReplaceAllLiteralString(s.config("sqlite:"+filepath.Join(s.dir, name+".db")), `    v2: {api_key: "${API_KEY}"`+cert+`}`)
		require.Contains(t, text, "v2:")
		return write(t, text)
	}
	refund := func(p *process, no string) (int, string, map[string]any) {
		return p.send(t, "POST", "/app/shop/pay/refunds", `{"out_trade_no":"`+no+`","out_refund_no":"`+no+`-r","fen":30,"total_fen":100}`)
	}
	files := p12Files(t, s)
	require.GreaterOrEqual(t, len(files), 3)
	n := 0
	for name, file := range files {
		p := start(t, env, "-config", config(name, `, cert_file: "`+file+`"`))
		no := "order-" + name
		status, body := p.order(t, no)
		require.Equal(t, http.StatusOK, status, body)
		id, err := s.pay.Pay(payMchID, no, "")
		require.NoError(t, err)
		status, _, got := p.send(t, "GET", "/app/shop/pay/orders/"+no, "")
		require.Equal(t, http.StatusOK, status, got)
		require.Equal(t, id, got["transaction_id"], got)
		status, _, got = refund(p, no)
		require.Equal(t, http.StatusOK, status, "%s: %v", name, got)
		n++
		require.Equal(t, n, s.pay.Calls("/secapi/pay/refund"))
		require.NoError(t, s.pay.FinishRefund(payMchID, no+"-r", "SUCCESS"))
		status, _, got = p.send(t, "GET", "/app/shop/pay/refunds/"+no+"-r", "")
		require.Equal(t, http.StatusOK, status, got)
		require.Equal(t, "SUCCESS", got["state"])
		require.NotContains(t, p.log.String(), s.account.APIKey)
		p.kill()
	}

	wrong := config("wrong", `, cert_file: "`+files["aes"]+`", cert_password: `+password)
	require.Contains(t, refused(t, env, "-config", wrong), "merchants.m1.v2.cert_file: cannot be decoded as p12: want the right cert_password")

	p := start(t, env, "-config", config("none", ""))
	status, body := p.order(t, "order-none")
	require.Equal(t, http.StatusOK, status, body)
	_, err := s.pay.Pay(payMchID, "order-none", "")
	require.NoError(t, err)
	status, _, got := refund(p, "order-none")
	require.Equal(t, http.StatusBadGateway, status, got)
	require.Contains(t, got["errmsg"], "ertificate")
	require.Equal(t, n, s.pay.Calls("/secapi/pay/refund"), "a refund without a certificate is not sent")

	for _, path := range []string{"//app/shop/pay/refunds", "/app/shop//pay/refunds", "/app/shop/pay/orders/../refunds", "/app/shop/pay/./refunds", "/app/shop/pay/orders/%2e%2e/refunds", "/APP/shop/pay/refunds"} {
		status, kind, got := p.send(t, "POST", path, `{"out_trade_no":"order-aes","out_refund_no":"r9","fen":30}`)
		require.Equal(t, http.StatusNotFound, status, path)
		require.Contains(t, kind, "application/json", path)
		require.NotEmpty(t, got["errmsg"], path)
	}
	require.Equal(t, n, s.pay.Calls("/secapi/pay/refund"))
}
