package main_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
	config = regexp.MustCompile(`(?m)^(store|records): \S+`).ReplaceAllString(config, "$1: 'memory:'") // there are none here

	var env []string
	for _, name := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(config, -1) {
		value := "a-value-of-this-test"
		if strings.Contains(name[1], "AES") {
			value = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
		}
		env = append(env, name[1]+"="+value)
	}
	p := start(t, env, "-config", write(t, config))
	resp, err := http.Get("http://" + p.public + "/MP_verify_abc.txt")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, refused(t, env[1:], "-config", write(t, config)), "${SHOP_KEY}")
}
