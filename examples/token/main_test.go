package main_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// start runs the program with a WeChat of its own, and returns the URL and the header value that its first line names.
func start(t *testing.T) (url, authorization string) {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "token.exe")
	out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	cmd := exec.Command(exe, "-addr", "127.0.0.1:0")
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
	parts := regexp.MustCompile(`^curl -s -H "Authorization: (Bearer \w+)" (http://\S+)\n$`).FindStringSubmatch(line)
	require.NotNil(t, parts, "first line of output: %q", line)
	return parts[2], parts[1]
}

func TestTheProgramGivesATokenToCallersWithTheKey(t *testing.T) {
	url, authorization := start(t)
	for _, c := range []struct {
		authorization string
		status        int
	}{
		{authorization, http.StatusOK},
		{"", http.StatusUnauthorized},
		{authorization + "x", http.StatusUnauthorized},
		{strings.TrimPrefix(authorization, "Bearer "), http.StatusUnauthorized},
	} {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", c.authorization)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, c.status, resp.StatusCode, "with Authorization: %q", c.authorization)
		if c.status != http.StatusOK {
			continue
		}
		var answer struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int    `json:"expires_in"`
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		require.NotEmpty(t, answer.AccessToken)
		require.Positive(t, answer.ExpiresIn)
	}
}

func TestTheProgramWantsAKeyForARealApp(t *testing.T) {
	cmd := exec.Command("go", "run", ".")
	cmd.Env = append(cmd.Environ(), "WECHAT_APP_ID=wx1234567890abcdef", "WECHAT_SECRET=s", "WETOKEN_KEY=")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "WETOKEN_KEY is empty")
}
