package main_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	modproxy "github.com/wetoken/wetoken/internal/modproxy"
	"github.com/wetoken/wetoken/internal/testform"
)

// repository returns the folder of the root module. The test needs files that a checkout has and a module's zip lacks.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	if _, err := os.Stat(filepath.Join(root, "go.work")); err != nil {
		skip(t, "this is no checkout of the repository: "+err.Error())
	}
	return root
}

// skip skips a test that lacks something, or fails it if everything must be present.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
		t.Fatal("WETOKEN_TEST_REQUIRE is 1, but " + why)
	}
	t.Skip("SKIPPED: " + why)
}

// required returns the version of the root module that the nested ones require.
func required(t *testing.T, root string) string {
	t.Helper()
	mod, err := os.ReadFile(filepath.Join(root, "cmd/server/go.mod"))
	require.NoError(t, err)
	m := regexp.MustCompile(`\sgithub\.com/wetoken/wetoken (\S+)`).FindSubmatch(mod)
	require.NotNil(t, m, "cmd/server/go.mod does not require the root module")
	return string(m[1])
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func fileURL(dir string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String()
}

// offline matches the errors of go when it cannot reach a module proxy.
var offline = regexp.MustCompile(`dial tcp|no such host|i/o timeout|TLS handshake timeout|module lookup disabled`)

// download downloads the third-party modules of the server into this machine's module cache. They differ from those of
// the workspace, where other modules require newer versions.
func download(t *testing.T, root string) {
	t.Helper()
	mod := filepath.Join(t.TempDir(), "go.mod") // a copy, since it is changed
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, "cmd/server", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(mod), name), content, 0o644))
	}
	list := exec.Command("go", "list", "-m", "-f", "-replace={{.Path}}={{.Dir}}")
	list.Dir = root
	list.Env = append(os.Environ(), "GOWORK="+filepath.Join(root, "go.work"))
	replaces, err := list.Output()
	require.NoError(t, err)
	edit := append([]string{"mod", "edit"}, strings.Split(strings.TrimSpace(string(replaces)), "\n")...)
	out, err := exec.Command("go", append(edit, mod)...).CombinedOutput()
	require.NoError(t, err, "%s", out)

	cmd := exec.Command("go", "mod", "download", "-modfile="+mod)
	cmd.Dir = filepath.Join(root, "cmd/server")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
	out, err = cmd.CombinedOutput()
	if err != nil && offline.Match(out) {
		skip(t, "modules that the server needs are not in the module cache, and cannot be had:\n"+string(out))
	}
	require.NoError(t, err, "%s", out)
}

// install installs the server as `go install` does for somebody without our code, with our modules from a proxy made
// here, and other modules from this machine's module cache. With the flag -n it does not compile.
func install(t *testing.T, flags ...string) (server string) {
	t.Helper()
	root := repository(t)
	proxy, bin := t.TempDir(), t.TempDir()
	version := required(t, root)
	download(t, root)
	require.NoError(t, modproxy.Write(proxy, root, version))

	args := append([]string{"install"}, flags...)
	cmd := exec.Command("go", append(args, "github.com/wetoken/wetoken/cmd/server@"+version)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(),
		"GOBIN="+bin,
		"GOMODCACHE="+t.TempDir(),
		"GOPROXY="+fileURL(proxy)+","+fileURL(filepath.Join(goEnv(t, "GOMODCACHE"), "cache", "download")),
		"GOPRIVATE=", "GONOPROXY=", "GOSUMDB=off", "GOWORK=off", "GOTOOLCHAIN=local",
		"GOFLAGS=-modcacherw -trimpath", "CGO_ENABLED=0", // the cache can be removed, and compiled packages are found again
	)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return filepath.Join(bin, "server"+goEnv(t, "GOEXE"))
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// demo starts the server's demo and returns the command lines that it prints.
func demo(t *testing.T, server string) (commands []string) {
	t.Helper()
	cmd := exec.Command(server, "-demo", "-public", freeAddress(t), "-private", freeAddress(t))
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WETOKEN_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait(), "the server ends when it is told to")
	})
	for lines := bufio.NewScanner(output); len(commands) < 2 && lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); strings.HasPrefix(line, "curl ") {
			commands = append(commands, line)
		}
	}
	return commands
}

// run runs a command line that the demo printed. Without curl, the test makes the request itself.
func run(t *testing.T, command string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err == nil {
		out, err := exec.Command("sh", "-c", command).Output()
		require.NoError(t, err, command)
		return string(out)
	}
	part := regexp.MustCompile(`^curl -s -H '(\w+): ([^']+)' (http:\S+)`).FindStringSubmatch(command)
	require.NotNil(t, part, command)
	req, err := http.NewRequest(http.MethodGet, part[3], nil)
	require.NoError(t, err)
	req.Header.Set(part[1], part[2])
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func TestTheServerInstallsByVersionAndItsDemoGivesTokens(t *testing.T) {
	if !testform.Full() {
		install(t, "-n")
		t.Log("The server's modules and packages were all found. It is not compiled and run.")
	}
	testform.NeedFull(t)
	commands := demo(t, install(t))
	require.NotEmpty(t, commands, "the demo printed no curl line")
	for _, command := range commands {
		out := run(t, command)
		var answer struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int    `json:"expires_in"`
		}
		require.NoError(t, json.Unmarshal([]byte(out), &answer), "%s\n%s", command, out)
		require.NotEmpty(t, answer.AccessToken, command)
		require.Positive(t, answer.ExpiresIn, command)
	}
}
