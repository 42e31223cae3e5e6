package webdriver

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tab is the browser of a phone, with its own cookies.
type Tab struct {
	t    *testing.T
	d    *Driver
	path string
}

// Tab starts a phone's browser, 360 pixels wide, that ends with the test. flags are Chromium's own.
func (d *Driver) Tab(t *testing.T, flags ...string) *Tab {
	t.Helper()
	return d.start(t, map[string]any{
		"args":            flags,
		"mobileEmulation": map[string]any{"deviceMetrics": map[string]any{"width": 360, "height": 700, "pixelRatio": 2.0}},
	})
}

// Desktop is Tab for the browser of a computer.
func (d *Driver) Desktop(t *testing.T, flags ...string) *Tab {
	t.Helper()
	return d.start(t, map[string]any{"args": append([]string{"--window-size=1280,800"}, flags...)})
}

func (d *Driver) start(t *testing.T, options map[string]any) *Tab {
	t.Helper()
	args := []string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--user-data-dir=" + t.TempDir()}
	if flags := options["args"].([]string); !strings.Contains(strings.Join(flags, " "), "--accept-lang=") {
		args = append(args, "--accept-lang=zh-CN")
	}
	options["args"] = append(args, options["args"].([]string)...)
	var session struct {
		ID string `json:"sessionId"`
	}
	d.call(t, "POST", "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": map[string]string{"browser": "ALL"}, "timeouts": map[string]int{"implicit": 45_000, "pageLoad": 60_000},
	}}}, &session)
	b := &Tab{t: t, d: d, path: "/session/" + session.ID}
	t.Cleanup(func() { d.call(t, "DELETE", b.path, nil, nil) })
	return b
}

// In returns the same browser for a subtest.
func (b *Tab) In(t *testing.T) *Tab { return &Tab{t, b.d, b.path} }

// Open opens a page.
func (b *Tab) Open(address string) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.path+"/url", map[string]string{"url": address}, nil)
}

// URL returns the address of the page.
func (b *Tab) URL() (address string) {
	b.t.Helper()
	b.d.call(b.t, "GET", b.path+"/url", nil, &address)
	return address
}

// Find waits for an element.
func (b *Tab) Find(css string) (path string) { return b.wait("css selector", css) }

// FindText waits for an element of the page that has this text in it.
func (b *Tab) FindText(text string) (path string) {
	return b.wait("xpath", `//body//*[contains(., "`+text+`")]`)
}

func (b *Tab) wait(using, value string) string {
	b.t.Helper()
	var element map[string]string
	b.d.call(b.t, "POST", b.path+"/element", map[string]string{"using": using, "value": value}, &element)
	for _, id := range element {
		return b.path + "/element/" + id
	}
	b.t.Fatalf("no element %s", value)
	return ""
}

// Click clicks an element.
func (b *Tab) Click(css string) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.Find(css)+"/click", struct{}{}, nil)
}

// Text returns the text of an element.
func (b *Tab) Text(css string) (text string) {
	b.t.Helper()
	b.d.call(b.t, "GET", b.Find(css)+"/text", nil, &text)
	return text
}

// Run runs a script in the page, with args as its arguments, and returns what it returns.
func (b *Tab) Run(script string, value any, args ...any) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.path+"/execute/sync", map[string]any{"script": script, "args": append([]any{}, args...)}, value)
}

// RunAsync is Run for a script that passes its result to its last argument, a function.
func (b *Tab) RunAsync(script string, value any, args ...any) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.path+"/execute/async", map[string]any{"script": script, "args": append([]any{}, args...)}, value)
}

// Type enters text into an element.
func (b *Tab) Type(css, text string) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.Find(css)+"/value", map[string]string{"text": text}, nil)
}

// Screenshot returns a PNG of what the person sees.
func (b *Tab) Screenshot() []byte {
	b.t.Helper()
	var text string
	b.d.call(b.t, "GET", b.path+"/screenshot", nil, &text)
	image, err := base64.StdEncoding.DecodeString(text)
	require.NoError(b.t, err)
	return image
}

// EnterFrame goes into a frame of the page, LeaveFrame back to the page.
func (b *Tab) EnterFrame(css string) {
	b.t.Helper()
	id := b.Find(css)
	id = id[strings.LastIndex(id, "/")+1:]
	b.d.call(b.t, "POST", b.path+"/frame", map[string]any{"id": map[string]string{"element-6066-11e4-a52e-4f735466cecf": id}}, nil)
}

// LeaveFrame goes back to the page.
func (b *Tab) LeaveFrame() {
	b.t.Helper()
	b.d.call(b.t, "POST", b.path+"/frame", map[string]any{"id": nil}, nil)
}

// Windows returns the handles of the windows, for Switch.
func (b *Tab) Windows() (handles []string) {
	b.t.Helper()
	b.d.call(b.t, "GET", b.path+"/window/handles", nil, &handles)
	return handles
}

// Switch goes to another window, and shows it: the layout of a hidden window is not up to date when it is clicked.
func (b *Tab) Switch(handle string) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.path+"/window", map[string]string{"handle": handle}, nil)
	b.DevTools("Page.bringToFront", map[string]any{}, nil)
}

// NewWindow opens another window, and returns its handle.
func (b *Tab) NewWindow() string {
	b.t.Helper()
	var window struct{ Handle string }
	b.d.call(b.t, "POST", b.path+"/window/new", map[string]string{"type": "tab"}, &window)
	return window.Handle
}

// Console returns the messages of the console since the last call, such as errors of scripts and what a page's policy has blocked.
func (b *Tab) Console() (messages []string) {
	b.t.Helper()
	var entries []struct{ Level, Source, Message string }
	b.d.call(b.t, "POST", b.path+"/se/log", map[string]string{"type": "browser"}, &entries)
	for _, e := range entries {
		messages = append(messages, e.Level+" "+e.Source+": "+e.Message)
	}
	return messages
}

// DevTools sends a command of the Chrome DevTools Protocol, such as Network.setCookie.
func (b *Tab) DevTools(command string, params map[string]any, value any) {
	b.t.Helper()
	b.d.call(b.t, "POST", b.path+"/goog/cdp/execute", map[string]any{"cmd": command, "params": params}, value)
}

// Resize changes the size of the page.
func (b *Tab) Resize(width, height int) {
	b.t.Helper()
	b.DevTools("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}
