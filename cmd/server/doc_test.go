package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestTheDocumentedConfigurationIsServed(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(source), "//\tpublic_url:")
	require.True(t, ok)
	text, _, ok := strings.Cut("//\tpublic_url:"+rest, "//\n// # Stores")
	require.True(t, ok)
	config := strings.ReplaceAll(text, "//\t", "")
	dir := t.TempDir()
	config = regexp.MustCompile(`(?m)^store: \S+`).ReplaceAllString(config, "store: 'memory:'") // there is none here
	config = regexp.MustCompile(`(?m)^records: \S+`).ReplaceAllString(config, "records: sqlite:"+filepath.Join(dir, "records.db"))
	config = regexp.MustCompile(`jsonrpc: \S+`).ReplaceAllString(config, "jsonrpc: "+freeAddress(t))
	config = strings.ReplaceAll(config, "/etc/wetoken/", dir+"/")
	payments := new(paytest.Server)
	t.Cleanup(payments.Close)
	account := payments.AddMerchant(paytest.Merchant{MchID: "1900000001"})
	for name, text := range map[string]string{"apiclient_cert.pem": account.Certificate, "apiclient_key.pem": account.PrivateKey, "pub_key.pem": account.PublicKey} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}

	var env []string
	for _, name := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(config, -1) {
		value := "a-value-of-this-test-of-" + name[1]
		switch {
		case strings.HasSuffix(name[1], "API_V3_KEY"), strings.HasSuffix(name[1], "API_KEY"):
			value = strings.Repeat("k", 32)
		case name[1] == "PUBLIC_KEY_ID":
			value = account.PublicKeyID
		}
		if strings.Contains(name[1], "AES") {
			value = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
		}
		env = append(env, name[1]+"="+value)
	}
	env = append(env, "WETOKEN_MASTER_KEYS="+newKey())
	p := start(t, env, "-config", write(t, config))
	resp, err := http.Get("http://" + p.public + "/MP_verify_abc.txt")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, refused(t, env[1:], "-config", write(t, config)), "${SHOP_KEY}")
}
