package main_test

import (
	"bytes"
	"context"
	"image"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/store"
	"github.com/wetoken/wetoken/internal/webdriver"
)

// visit is a browser at a running shop.
type visit struct {
	t         *testing.T
	b         *webdriver.Tab
	db        *store.Store
	name      string // of the database
	at, phone string // URLs
	log       string // the file that the program prints to
	axe       string // the script that checks pages; empty: pages are not checked
	screen    string // the windows
	hand      string
}

// code returns the code that the shop has sent to a mobile.
func (v *visit) code(mobile string) string {
	v.t.Helper()
	printed, err := os.ReadFile(v.log)
	require.NoError(v.t, err)
	sent := regexp.MustCompile(`(?m)^sms: the code for `+mobile+` is (\d{4})$`).FindAllSubmatch(printed, -1)
	require.NotEmpty(v.t, sent)
	return string(sent[len(sent)-1][1])
}

// open goes to a page of the shop.
func (v *visit) open(path string) { v.b.Open(v.at + path) }

// fill sets fields of a form by their names, without the limits that a browser has for those who type.
func (v *visit) fill(form string, fields map[string]string) {
	v.t.Helper()
	v.b.Find(form)
	v.b.Run(`var form = document.querySelector(arguments[0]), fields = arguments[1];
		form.noValidate = true;
		for (var name in fields) {
			var field = form.elements[name];
			if (field.tagName === "SELECT") field.options[0].value = fields[name], field.selectedIndex = 0;
			else field.value = fields[name];
		}`, nil, form, fields)
}

// post fills in and sends a form.
func (v *visit) post(form string, fields map[string]string) {
	v.t.Helper()
	v.fill(form, fields)
	v.follow(form + " button:not([formaction])")
}

// follow clicks an element that leads to another page, and waits for that page.
func (v *visit) follow(css string) {
	v.t.Helper()
	v.b.Find(css)
	v.b.Run(`document.documentElement.dataset.left = ""`, nil)
	v.b.Click(css)
	v.b.Find("html:not([data-left]) main")
}

// scan returns the text of the QR code on the screen.
func (v *visit) scan() string {
	v.t.Helper()
	img, _, err := image.Decode(bytes.NewReader(v.b.Screenshot()))
	require.NoError(v.t, err)
	bits, err := gozxing.NewBinaryBitmapFromImage(img)
	require.NoError(v.t, err)
	code, err := qrcode.NewQRCodeReader().Decode(bits, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	require.NoError(v.t, err)
	return code.GetText()
}

// pay pays with the phone, and goes back to the screen.
func (v *visit) pay(code, amount string) {
	v.t.Helper()
	v.b.Switch(v.hand)
	v.b.Open(v.phone + "/phone")
	v.b.Type("#what", code)
	v.b.Click("#open")
	require.Equal(v.t, amount, v.b.Text("#amount"))
	v.b.Click("#pay")
	v.b.Find("#state[data-state=paid]")
	v.b.Switch(v.screen)
}

// look checks the page: it does not scroll sideways on a phone and on a computer, and axe-core finds nothing serious.
func (v *visit) look() {
	v.t.Helper()
	if v.axe == "" {
		return
	}
	for _, width := range []int{360, 1280} {
		v.b.Resize(width, 900)
		var wide int
		v.b.Run("return document.documentElement.scrollWidth", &wide)
		require.LessOrEqual(v.t, wide, width, v.b.URL())
	}
	v.b.Run(v.axe, nil)
	var found []string
	v.b.RunAsync(`var done = arguments[0];
		axe.run(document, { resultTypes: ["violations"] }).then(function (result) {
			done(result.violations.filter(function (v) { return v.impact === "serious" || v.impact === "critical"; }).map(function (v) {
				return v.id + ": " + v.nodes.map(function (n) { return n.html + " " + n.failureSummary; }).join("; ");
			}));
		}, function (err) { done([String(err)]); });`, &found)
	require.Empty(v.t, found, v.b.URL())
}

// requireQuiet fails if a script has failed or a page's policy has blocked something. The refusals that a test causes are also messages
// of the console: the pages after which it has them are not quiet.
func (v *visit) requireQuiet() {
	v.t.Helper()
	require.Empty(v.t, v.b.Console())
}

// requireRefused fails unless the page says what is wrong, and nothing of what was sent has become an element or a script.
func (v *visit) requireRefused(text string) {
	v.t.Helper()
	v.b.FindText(text)
	var planted int
	v.b.Run(`return document.querySelectorAll("#planted").length + (window.planted ? 1 : 0)`, &planted)
	require.Zero(v.t, planted, v.b.URL())
	for _, message := range v.b.Console() {
		require.Contains(v.t, message, "network: ", "only the status of the page is a message")
		require.Contains(v.t, message, "the server responded with a status of 4")
	}
}

// loadAxe installs axe-core and returns its script, or "" without npm.
func loadAxe(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile(filepath.Join("testdata", "npm", "package.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), data, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock",
		"--fetch-retries=0", "--fetch-timeout=10000")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
			require.Fail(t, "axe-core cannot check the pages", "npm install: %v\n%s", err, out)
		}
		t.Logf("SKIPPED, NOT TESTED: the accessibility and the width of the pages: npm install: %v\n%s", err, out)
		return ""
	}
	script, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	require.NoError(t, err)
	return string(script)
}
