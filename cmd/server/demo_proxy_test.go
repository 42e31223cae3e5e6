package main_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheRequestsOfWechatProxysClientsWorkAgainstTheDemo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(name); err != nil {
			skip(t, name+" is missing")
		}
	}
	d := startDemo(t, "127.0.0.1:0")
	cmd := exec.CommandContext(t.Context(), "bash", "testdata/wechat-proxy.sh")
	cmd.Env = append(os.Environ(), "PRIVATE="+strings.TrimSuffix(d.private, "/app/demo"), "PUBLIC="+strings.TrimSuffix(d.public, "/app/demo"),
		"KEY="+d.key, "APPID=wxdemo000000000000", "SECRET=wetoken-demo-secret-not-live")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, d.log)
	require.GreaterOrEqual(t, strings.Count(string(out), "ok: "), 26)
	require.NotContains(t, d.log.String(), "wetoken-demo-secret-not-live")
	require.NotContains(t, d.log.String(), "tokenofthescript")
}
