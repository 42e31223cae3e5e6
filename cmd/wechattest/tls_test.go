package main_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheProgramServesHTTPSForRefundsOfAPIv2(t *testing.T) {
	program, file := build(t), filepath.Join(t.TempDir(), "ca.pem")
	cmd := exec.CommandContext(t.Context(), program, "-tls", file, "-merchant", "1900000001")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	base, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)
	require.Regexp(t, `^https://127\.0\.0\.1:\d+$`, base)

	trusted := x509.NewCertPool()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, trusted.AppendCertsFromPEM(text))
	call := func(path, body string, certificates ...tls.Certificate) string {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted, Certificates: certificates}}}
		method := http.MethodGet
		if body != "" {
			method = http.MethodPost
		}
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(raw)
	}
	var keys struct {
		Certificate string `json:"certificate"`
		PrivateKey  string `json:"private_key"`
	}
	require.NoError(t, json.Unmarshal([]byte(call("/_paytest/merchant?mchid=1900000001", "")), &keys))
	pair, err := tls.X509KeyPair([]byte(keys.Certificate), []byte(keys.PrivateKey))
	require.NoError(t, err)
	require.Contains(t, call("/secapi/pay/refund", "<xml></xml>"), "No required SSL certificate was sent")
	require.Contains(t, call("/secapi/pay/refund", "<xml></xml>", pair), "return_code", "the certificate was taken, and the body is read")
	_, err = http.Get(base + "/phone")
	require.ErrorContains(t, err, "certificate", "it is in no list of this machine")
}
