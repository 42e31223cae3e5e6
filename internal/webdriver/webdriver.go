// Package webdriver drives Chromium in tests, through chromedriver.
package webdriver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Driver is a running chromedriver, which speaks WebDriver: JSON over HTTP.
type Driver struct{ url string }

// Start starts a chromedriver that ends with the test. It needs Debian's packages chromium and chromium-driver. Without them the test is skipped, or fails with
// WETOKEN_TEST_REQUIRE=1.
func Start(t *testing.T) *Driver {
	t.Helper()
	for _, program := range []string{"chromedriver", "chromium"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
				t.Fatalf("%s is missing, and WETOKEN_TEST_REQUIRE=1: install the packages chromium and chromium-driver", program)
			}
			t.Skipf("NOT TESTED: there is no real browser here, as %s is missing: install the packages chromium and chromium-driver", program)
		}
	}
	cmd := exec.Command("chromedriver", "--port=0")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	port := regexp.MustCompile(`started successfully on port (\d+)`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := port.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return &Driver{"http://127.0.0.1:" + m[1]}
		}
	}
	t.Fatal("chromedriver has ended without naming its port")
	return nil
}

// call sends one command. An answer without success fails the test.
func (d *Driver) call(t *testing.T, method, path string, body, value any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var content io.Reader
	if method == http.MethodPost {
		b, err := json.Marshal(body)
		require.NoError(t, err)
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, content)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode, "%s %s: %.600s", method, path, raw)
	if value != nil {
		out := struct {
			Value any `json:"value"`
		}{value}
		require.NoError(t, json.Unmarshal(raw, &out))
	}
}
