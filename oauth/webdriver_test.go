package oauth_test

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

// driver is a running chromedriver, which speaks WebDriver: JSON over HTTP.
type driver struct{ url string }

// startDriver needs Debian's packages chromium and chromium-driver. Without them the test is skipped, or fails where
// WETOKEN_TEST_REQUIRE=1 says that they must be there.
func startDriver(t *testing.T) *driver {
	t.Helper()
	for _, program := range []string{"chromedriver", "chromium"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
				t.Fatalf("%s is missing, and WETOKEN_TEST_REQUIRE=1: install the packages chromium and chromium-driver", program)
			}
			t.Skipf("NOT TESTED: no real browser logs in here, as %s is missing: install the packages chromium and chromium-driver", program)
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
			return &driver{"http://127.0.0.1:" + m[1]}
		}
	}
	t.Fatal("chromedriver has ended without naming its port")
	return nil
}

// call sends one command. An answer without success fails the test.
func (d *driver) call(t *testing.T, method, path string, body, value any) {
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

// tab is a phone's browser with cookies of its own.
type tab struct {
	t    *testing.T
	d    *driver
	path string
}

func (d *driver) tab(t *testing.T) *tab {
	t.Helper()
	args := []string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--accept-lang=zh-CN", "--user-data-dir=" + t.TempDir()}
	options := map[string]any{
		"args":            args,
		"mobileEmulation": map[string]any{"deviceMetrics": map[string]any{"width": 375, "height": 700, "pixelRatio": 2.0}},
	}
	var session struct {
		ID string `json:"sessionId"`
	}
	d.call(t, "POST", "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "goog:chromeOptions": options, "timeouts": map[string]int{"implicit": 45_000, "pageLoad": 60_000},
	}}}, &session)
	b := &tab{t: t, d: d, path: "/session/" + session.ID}
	t.Cleanup(func() { d.call(t, "DELETE", b.path, nil, nil) })
	return b
}

func (b *tab) open(address string) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.path+"/url", map[string]string{"url": address}, nil)
}

func (b *tab) url() (address string) {
	b.t.Helper()
	b.d.call(b.t, "GET", b.path+"/url", nil, &address)
	return address
}

// find waits for an element to be there.
func (b *tab) find(css string) string { return b.wait("css selector", css) }

func (b *tab) wait(using, value string) string {
	b.t.Helper()
	var element map[string]string
	b.d.call(b.t, "POST", b.path+"/element", map[string]string{"using": using, "value": value}, &element)
	for _, id := range element {
		return b.path + "/element/" + id
	}
	b.t.Fatalf("no element %s", value)
	return ""
}

func (b *tab) click(css string) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.find(css)+"/click", struct{}{}, nil)
}

func (b *tab) text(css string) (text string) {
	b.t.Helper()
	b.d.call(b.t, "GET", b.find(css)+"/text", nil, &text)
	return text
}

// run runs a script in the page, with args as its arguments, and returns what it returns.
func (b *tab) run(script string, value any, args ...any) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.path+"/execute/sync", map[string]any{"script": script, "args": append([]any{}, args...)}, value)
}

// runAsync is run for a script that hands its result to its last argument, a function.
func (b *tab) runAsync(script string, value any, args ...any) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.path+"/execute/async", map[string]any{"script": script, "args": append([]any{}, args...)}, value)
}
