package main_test

import (
	"bufio"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// start runs the program with a WeChat of its own, and returns the address that it prints.
func start(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "platform.exe")
	out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(exe, "-addr", "127.0.0.1:0")
	cmd.Env = append(cmd.Environ(), "COMPONENT_APP_ID=")
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

func TestAccountsAuthorizeTheExample(t *testing.T) {
	home := start(t)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	open := func(address string) (status int, body string) {
		res, err := browser.Get(address)
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(text)
	}
	_, page := open(home)
	require.Contains(t, page, "none yet")
	for _, appID := range []string{"wxalice000000000000", "wxbob00000000000000"} {
		var link []string
		require.Eventually(t, func() bool { // the first ticket may be on its way
			_, page := open(home + "authorize")
			link = regexp.MustCompile(`id="go" href="([^"]+)"`).FindStringSubmatch(page)
			return link != nil
		}, 30*time.Second, 50*time.Millisecond)
		_, page := open(html.UnescapeString(link[1]))
		ticket := regexp.MustCompile(`name="ticket" value="([^"]+)"`).FindStringSubmatch(page)
		require.NotNil(t, ticket, page)
		base, _, _ := strings.Cut(html.UnescapeString(link[1]), "/cgi-bin/")
		_, page = open(base + "/safe/bindcomponent_answer?do=allow&account=" + appID + "&ticket=" + ticket[1])
		require.Regexp(t, `<li id="`+appID+`">[^<]+: its token works</li>`, page)
	}
	res, err := http.Get(home + "authorized?auth_code=x")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}
