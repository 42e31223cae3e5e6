package main_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// start runs the program with a WeChat of its own, and returns the address that its first line names.
func start(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "login.exe")
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
	return strings.TrimSpace(line)
}

func TestAVisitorLogsInAndOut(t *testing.T) {
	home := start(t)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	hc := &http.Client{Jar: jar}
	read := func(resp *http.Response, err error) (at *url.URL, body string) {
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.Request.URL, string(b)
	}
	href := func(body string) string {
		m := regexp.MustCompile(`id="login" href="([^"]+)"`).FindStringSubmatch(body)
		require.NotNil(t, m, body)
		return strings.ReplaceAll(m[1], "&amp;", "&")
	}

	_, body := read(hc.Get(home))
	at, body := read(hc.Get(href(body)))
	ticket := regexp.MustCompile(`name="ticket" value="([^"]+)"`).FindStringSubmatch(body)
	require.NotNil(t, ticket, body)
	answer := "http://" + at.Host + "/connect/answer?" + url.Values{"ticket": {ticket[1]}, "as": {"O'Neil"}, "do": {"allow"}}.Encode()
	at, body = read(hc.Get(answer))
	require.Equal(t, strings.TrimSuffix(home, "/"), "http://"+at.Host)
	require.Contains(t, body, `O&#39;Neil &lt;&#34;the bold&#34;&gt;`)

	_, body = read(hc.Get(home))
	require.Contains(t, body, "O&#39;Neil")
	_, body = read(hc.Get(home + "in?login_code=made-up"))
	require.Contains(t, body, "log in again")
	_, body = read(hc.Post(home+"out", "", nil))
	require.NotEmpty(t, href(body))
}
