package main_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// initialize runs server init in a folder with answers.
func initialize(t *testing.T, dir, answers string, env []string, args ...string) (printed string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program("server"), append([]string{"init"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, append(os.Environ(), env...), strings.NewReader(answers)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Run()
	t.Log(out.String())
	return out.String(), cmd.ProcessState.ExitCode()
}

// readSecrets returns the variables of a file that server init wrote, and requires that nothing else has their values.
func readSecrets(t *testing.T, dir, printed string) map[string]string {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "wetoken.env"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	text, err := os.ReadFile(filepath.Join(dir, "wetoken.env"))
	require.NoError(t, err)
	config, err := os.ReadFile(filepath.Join(dir, "wetoken.yaml"))
	require.NoError(t, err)
	all := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^(\w+)='?(.*?)'?$`).FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = m[2]
		require.NotContains(t, printed, m[2])
		require.NotContains(t, string(config), m[2])
	}
	return all
}

// startInitialized starts the server as server init says, through a shell.
func startInitialized(t *testing.T, dir string) *process {
	t.Helper()
	script := `set -a; . "$0"/wetoken.env; set +a; exec "$@"`
	return startWith(t, []string{"sh", "-c", script, dir}, nil, "-config", filepath.Join(dir, "wetoken.yaml"))
}

// addWeChat has the server of a folder call a WeChat that knows wx0123456789abcdef, and returns the configuration as it was.
func addWeChat(t *testing.T, dir, secret string) (before string) {
	t.Helper()
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", secret)
	srv := httptest.NewServer(wx)
	t.Cleanup(srv.Close)
	file := filepath.Join(dir, "wetoken.yaml")
	config, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(config, "endpoints: {api: '"+srv.URL+"'}\n"...), 0o600))
	return string(config)
}

func (p *process) statusWith(t *testing.T, key, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", p.base+path, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

func TestInitWritesAConfigurationThatStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	printed, code := initialize(t, dir, "", nil, "-yes")
	require.Zero(t, code)
	secrets := readSecrets(t, dir, printed)
	require.Len(t, secrets, 2)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"appId":"wx0123456789abcdef","appSecret":"a-secret"}`), 0o600))
	addWeChat(t, dir, "a-secret")
	stdout, stderr, code := execute(t, []string{"WETOKEN_MASTER_KEYS=" + secrets["WETOKEN_MASTER_KEYS"], "ADMIN_KEY=" + secrets["ADMIN_KEY"]},
		"import", "accesstoken", filepath.Join(dir, "config.json"), "-config", filepath.Join(dir, "wetoken.yaml"))
	require.Zero(t, code, stdout+stderr)
	p := startInitialized(t, dir)
	require.Equal(t, http.StatusOK, p.statusWith(t, secrets["ADMIN_KEY"], "/app/app-0123456789abcdef/token"))
	require.Equal(t, http.StatusUnauthorized, p.statusWith(t, secrets["ADMIN_KEY"]+"x", "/app/app-0123456789abcdef/token"))
	p.kill()

	before, err := os.ReadFile(filepath.Join(dir, "wetoken.env"))
	require.NoError(t, err)
	printed, code = initialize(t, dir, "", nil, "-yes")
	require.Equal(t, 2, code)
	require.Contains(t, printed, "wetoken.yaml exists, and is not overwritten")
	require.NoError(t, os.Remove(filepath.Join(dir, "wetoken.yaml")))
	printed, code = initialize(t, dir, "", nil, "-yes")
	require.Equal(t, 2, code)
	require.Contains(t, printed, "wetoken.env exists, and is not overwritten")
	after, err := os.ReadFile(filepath.Join(dir, "wetoken.env"))
	require.NoError(t, err)
	require.Equal(t, before, after)

	printed, code = initialize(t, dir, "", nil, "-yes", "-config", "second.yaml") // whose stores are those of the first
	require.Equal(t, 2, code)
	require.Contains(t, printed, "nothing was written: store: has values of another server")
	require.NoFileExists(t, filepath.Join(dir, "second.env"))
	require.NoFileExists(t, filepath.Join(dir, "second.yaml"))
}

func TestInitAsksAndMakesTheTables(t *testing.T) {
	t.Parallel()
	db := newMariaDB(t)
	const special = "p&w$'%20"
	require.NoError(t, db.execute(t.Context(), "CREATE DATABASE fresh"))
	require.NoError(t, db.execute(t.Context(), "CREATE USER wetoken IDENTIFIED BY 'p&w$'' '"))
	require.NoError(t, db.execute(t.Context(), "GRANT ALL ON fresh.* TO wetoken"))
	dir := t.TempDir()
	records := "mysql://wetoken:" + special + "@" + db.address + "/fresh"
	answers := strings.Join([]string{"https://wx.example.com", "", records, "wx0123456789abcdef", "小店", "mini", "a-secret#of this'app", ""}, "\n")
	printed, code := initialize(t, dir, answers, nil)
	require.Zero(t, code)
	for _, question := range []string{"Base URL that", "URL of the shared store", "[sqlite:" + dir + "/wetoken.db]", "Appid of a first app", "Its name", "[official]", "Its secret"} {
		require.Contains(t, printed, question)
	}
	require.NoError(t, db.execute(t.Context(), "SELECT * FROM fresh.wetoken_store"), "the table is made")
	secrets := readSecrets(t, dir, printed)
	require.Len(t, secrets, 4)

	require.Contains(t, addWeChat(t, dir, "a-secret#of this'app"), `public_url: "https://wx.example.com"`)
	p := startInitialized(t, dir)
	require.Equal(t, http.StatusOK, p.statusWith(t, secrets["ADMIN_KEY"], "/app/小店/token"))
}

func TestInitRefusesWhatAServerWouldNotStartWith(t *testing.T) {
	t.Parallel()
	cache := newRedis(t) // without appendonly
	nobody := freeAddress(t)
	for name, c := range map[string]struct {
		says, answers string
		env, args     []string
	}{
		"no answers":    {says: "no answer (EOF): give the answers as flags, with -yes"},
		"a long answer": {says: "it is too long", answers: strings.Repeat("x", 10_000)},
		"public URL":    {says: "public_url: want a base URL", args: []string{"-yes", "-public-url", "wx.example.com"}},
		"app name":      {says: "invalid name", env: []string{"APP_SECRET=a-secret"}, args: []string{"-yes", "-app-id", "wx0123456789abcdef", "-app", "a/b"}},
		"app kind":      {says: "kind: want official", env: []string{"APP_SECRET=a-secret"}, args: []string{"-yes", "-app-id", "wx0123456789abcdef", "-app-kind", "odd"}},
		"no secret":     {says: "APP_SECRET: must be set", args: []string{"-yes", "-app-id", "wx0123456789abcdef"}},
		"no app":        {says: "need -app-id", args: []string{"-yes", "-app", "shop"}},
		"kind of store": {says: `unknown kind of store "mongodb"`, args: []string{"-yes", "-store", "mongodb://u:" + password + "@h"}},
		"store away":    {says: "store:", args: []string{"-yes", "-store", "mysql://u:" + password + "@" + nobody + "/x"}},
		"cache":         {says: "records: would lose payments", args: []string{"-yes", "-records", cache.url(cache.address)}},
		"master key":    {says: "WETOKEN_MASTER_KEYS is set", env: []string{"WETOKEN_MASTER_KEYS=" + newKey()}, args: []string{"-yes"}},
		"argument":      {says: `invalid argument "now"`, args: []string{"now"}},
		"same file":     {says: "are the same file", args: []string{"-config", "a", "-env", "a"}},
		"no folder":     {says: "no such file", args: []string{"-yes", "-config", "missing/wetoken.yaml", "-store", "memory:", "-records", "memory:"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			printed, code := initialize(t, dir, c.answers, c.env, c.args...)
			require.Equal(t, 2, code)
			require.Contains(t, printed, c.says)
			require.NotContains(t, printed, password)
			for _, pattern := range []string{"*.yaml", "*.env"} {
				files, err := filepath.Glob(filepath.Join(dir, pattern))
				require.NoError(t, err)
				require.Empty(t, files)
			}
		})
	}
}
