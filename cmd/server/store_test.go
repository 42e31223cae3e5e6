package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/needed"
)

// execute runs the program to its end.
func execute(t testing.TB, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program("server"), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// refused runs the program, which must exit with one line that contains no password.
func refused(t *testing.T, env []string, args ...string) (line string) {
	t.Helper()
	stdout, stderr, code := execute(t, env, args...)
	require.Equal(t, 2, code, stderr)
	require.Empty(t, stdout)
	line = strings.TrimSuffix(stderr, "\n")
	t.Log(line)
	require.NotContains(t, line, "\n")
	require.NotContains(t, line, password)
	return line
}

const password = "hunter2"

func TestAWrongStoreIsOneLineAndExitCode2(t *testing.T) {
	t.Parallel()
	nobody := freeAddress(t)
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	require.NoError(t, os.WriteFile(garbage, bytes.Repeat([]byte("garbage "), 1000), 0o600))
	for name, c := range map[string]struct{ url, says string }{
		"no URL":                {password, "store: want a URL such as redis://"},
		"blank":                 {"redis://:" + password + "@" + nobody + "\n", "store: begins or ends with a blank or a line end"},
		"odd kind":              {"mongodb://u:" + password + "@h", `unknown kind of store "mongodb"`},
		"odd database of Redis": {"redis://:" + password + "@" + nobody + "/x", "database"},
		"bare %":                {"mysql://u:" + password + "%@h/x", "reserved characters"},
		"no database":           {"postgres://u:" + password + "@h", "invalid URL: want postgres://USER:PASSWORD@HOST[:PORT]/NAME"},
		"odd parameter":         {"mysql://u:" + password + "@h/x?timeout=soon", "soon"},
		"odd parameter of pgx":  {"postgres://u:" + password + "@h/x?connect_timeout=soon", "soon"},
		"odd parameter of ora":  {"oracle://u:" + password + "@h/x?colour=red", "colour"},
		"no file":               {"sqlite:", "sqlite:FILE"},
		"a file of another":     {"sqlite:" + garbage, "not a database"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, refused(t, nil, "-demo", "-store", c.url), c.says)
			config := write(t, fmt.Sprintf("records: %q\nkeys: [{name: n, key: %s, apps: ['*'], scopes: ['*']}]", c.url, shopKey))
			require.Contains(t, refused(t, nil, "-config", config), strings.Replace(c.says, "store: ", "records: ", 1))
		})
	}
}

func TestAnSQLiteFileIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "odd name?&#%41.db")
	start(t, nil, "-demo", "-store", "sqlite:"+file)
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
	}
}

func TestAnSQLiteFileThatOthersCanReadIsAWarning(t *testing.T) {
	t.Parallel()
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o640: true, 0o604: true, 0o622: true} {
		file := filepath.Join(t.TempDir(), "store.db")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.NoError(t, os.Chmod(file, mode))
		p := start(t, nil, "-demo", "-store", "sqlite:"+file)
		require.Equal(t, warned, strings.Contains(p.log.String(), "level=WARN msg=\"a file of the store can be read or written by other users: chmod 600 it\" file="+file), mode)
	}
}

func (p *process) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := http.Get(p.base + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func TestReadyzReportsRecordsThatAreDown(t *testing.T) {
	t.Parallel()
	s := newRedis(t)
	config := fmt.Sprintf("records: %q\nkeys: [{name: n, key: %s, apps: ['*'], scopes: ['*']}]", s.url(s.address), shopKey)
	p := start(t, nil, "-config", write(t, config))
	s.kill()
	require.Equal(t, http.StatusServiceUnavailable, p.status("/readyz"))
	require.Contains(t, p.get(t, "/readyz"), "the records cannot be used")
	s.start(t)
	require.Equal(t, http.StatusOK, p.status("/readyz"))
}

// postgres returns the URL of a new database.
func postgres(t *testing.T) string {
	t.Helper()
	base := needed.Address(t, "WETOKEN_TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test?sslmode=disable", func(url string) error {
		c, err := pgx.Connect(t.Context(), url)
		if err == nil {
			err = c.Close(t.Context())
		}
		return err
	})
	c, err := pgx.Connect(t.Context(), base)
	require.NoError(t, err)
	name := "wetoken_" + strings.ToLower(rand.Text())
	_, err = c.Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := c.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, err)
		c.Close(context.Background())
	})
	u, err := url.Parse(base)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

func TestMigrateMakesTheTablesAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) string{
		"PostgreSQL": postgres,
		"MariaDB": func(t *testing.T) string {
			s := newMariaDB(t)
			require.NoError(t, s.execute(t.Context(), "DROP TABLE wetoken.wetoken_store"))
			return s.url(s.address)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := open(t)
			early := launch(t, nil, "-demo", "-store", url)
			waitUntil(t, 20*time.Second, "the server listens", func() bool { return early.status("/healthz") == http.StatusOK })
			require.Contains(t, early.get(t, "/readyz"), "server migrate")
			var nodes sync.WaitGroup
			for range 8 {
				nodes.Go(func() {
					stdout, stderr, code := execute(t, nil, "migrate", "-store", url)
					if code != 0 || stdout != "store: its table exists\n" {
						t.Errorf("exit code %d: %s%s", code, stdout, stderr)
					}
				})
			}
			nodes.Wait()
			early.ready(t)
			start(t, nil, "-demo", "-store", url)
			_, stderr, code := execute(t, nil, "migrate", "-store", url)
			require.Zero(t, code, stderr)
		})
	}
}

func TestMigrateGoesThroughBothStoresOfTheConfiguration(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "records.db")
	config := write(t, "store: \"memory:\"\nrecords: sqlite:"+file+"\nkeys: [{name: n, key: "+shopKey+", apps: ['*'], scopes: ['*']}]")
	stdout, stderr, code := execute(t, nil, "migrate", "-config", config)
	require.Zero(t, code, stderr)
	require.Equal(t, "store: has no tables\nrecords: its table exists\n", stdout)
	require.FileExists(t, file)
}

func TestReadyzNamesTheTableThatIsMissing(t *testing.T) {
	t.Parallel()
	s := newMariaDB(t)
	p := start(t, nil, "-demo", "-store", s.url(s.address))
	require.NoError(t, s.execute(t.Context(), "DROP TABLE wetoken.wetoken_store"))
	require.Equal(t, http.StatusServiceUnavailable, p.status("/readyz"))
	require.Contains(t, p.get(t, "/readyz"), "server migrate")
	s.migrate(t)
	require.Equal(t, http.StatusOK, p.status("/readyz"))
}
