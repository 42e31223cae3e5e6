package main_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// dir is where the program is built.
var dir string

func TestMain(m *testing.M) {
	var err error
	if dir, err = os.MkdirTemp("", "remote-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// build builds the program once. After an error exe is what the compiler printed.
var build = sync.OnceValues(func() (exe string, err error) {
	exe = filepath.Join(dir, "remote.exe")
	out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return exe, nil
})

// start runs the program, and returns the address that its first line names.
func start(t *testing.T, args ...string) (home string) {
	t.Helper()
	exe, err := build()
	require.NoError(t, err, exe)
	cmd := exec.Command(exe, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
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

// visitor is a browser, and the person before it.
type visitor struct {
	t  *testing.T
	hc *http.Client
}

func newVisitor(t *testing.T) *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{t, &http.Client{Jar: jar}}
}

func (v *visitor) read(resp *http.Response, err error) (at *url.URL, body string) {
	v.t.Helper()
	require.NoError(v.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	return resp.Request.URL, string(b)
}

func (v *visitor) open(address string) (at *url.URL, body string) {
	v.t.Helper()
	return v.read(v.hc.Get(address))
}

// match returns the part of a page in the parentheses of a pattern.
func (v *visitor) match(pattern, body string) string {
	v.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(body)
	require.NotNil(v.t, m, body)
	return strings.ReplaceAll(m[1], "&amp;", "&")
}

// login is where the site's page leads.
func (v *visitor) login(body string) string {
	v.t.Helper()
	return v.match(`id="login" href="([^"]+)"`, body)
}

// consent is the address of the button on WeChat's consent page.
func (v *visitor) consent(at *url.URL, body, as string) string {
	v.t.Helper()
	ticket := v.match(`name="ticket" value="([^"]+)"`, body)
	return "http://" + at.Host + "/connect/answer?" + url.Values{"ticket": {ticket}, "as": {as}, "do": {"allow"}}.Encode()
}
