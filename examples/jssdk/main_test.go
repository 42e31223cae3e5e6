package main_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// start runs the program with a WeChat of its own, and returns the address that its first line names.
func start(t *testing.T, args ...string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "jssdk.exe")
	out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(exe, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(cmd.Environ(), "WECHAT_APP_ID=")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

func read(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b)
}

func TestThePageMayBeSignedByAServer(t *testing.T) {
	page := start(t, "-public", "http://127.0.0.1:1/app/demo", "-script", "http://127.0.0.1:2")
	resp, err := http.Get(page)
	body := read(t, resp, err)
	require.Contains(t, body, `src="http://127.0.0.1:1/app/demo/js/config.js?`)
	require.Contains(t, body, `src="http://127.0.0.1:2/open/js/jweixin-1.6.0.js"`)
}

func TestThePageIsSignedAsItsScriptWouldHaveIt(t *testing.T) {
	page := start(t)
	read := func(resp *http.Response, err error) string { return read(t, resp, err) }
	script := regexp.MustCompile(`src="(http[^"]+)/open/js/jweixin-1.6.0.js"`).FindStringSubmatch(read(http.Get(page)))
	require.NotNil(t, script)

	at, err := url.Parse(page)
	require.NoError(t, err)
	var config map[string]any
	ask := `{"url":"` + page + `"}`
	require.NoError(t, json.Unmarshal([]byte(read(http.Post("http://"+at.Host+"/wx/js/config", "text/plain", strings.NewReader(ask)))), &config))
	verdict := func(page string) string {
		q := url.Values{"call": {"config"}, "url": {page}, "appId": {config["appId"].(string)}, "signature": {config["signature"].(string)}}
		q.Set("nonceStr", config["nonceStr"].(string))
		stamp, err := json.Marshal(int64(config["timestamp"].(float64)))
		require.NoError(t, err)
		q.Set("timestamp", string(stamp))
		return read(http.Get(script[1] + "/open/js/verify?" + q.Encode()))
	}
	require.JSONEq(t, `{"errMsg":"config:ok"}`, verdict(page))
	require.JSONEq(t, `{"errMsg":"config:invalid signature"}`, verdict(page+"&x=1"))
}
