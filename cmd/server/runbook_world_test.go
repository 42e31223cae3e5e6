package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	guideApp    = "wx0123456789abcdef"
	guideSecret = "a-secret-of-" + guideApp
	apiV2Key    = "0123456789abcdef0123456789abcdef"
)

// runbook is the section Step by step of the migrating guide, and the programs that its lines are about: an old system at 10.0.0.4,
// a server at 10.0.0.5 with a proxy in front, and a new backend at 10.0.0.6.
type runbook struct {
	*importer
	tokens              oldSystem
	old, backend, front *httptest.Server
	pay                 *paytest.Server
	server              *process
	dir                 string
	section             string
	replace             *strings.Replacer
	proxied             map[string]string // paths in front, and where they lead

	mu              sync.Mutex
	texts           map[string][]string // messages by who received them: old or new
	payments        []http.Header
	paymentsByOrder map[string]string
}

func newRunbook(t *testing.T) *runbook {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		skip(t, "curl is not installed")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "migrating.md"))
	if os.IsNotExist(err) {
		skip(t, "this is no checkout of the repository")
	}
	require.NoError(t, err)
	b := &runbook{dir: t.TempDir(), texts: make(map[string][]string), paymentsByOrder: make(map[string]string), pay: new(paytest.Server), importer: newImporter(t, "")}
	t.Cleanup(b.pay.Close)
	_, section, _ := strings.Cut(string(page), "\n## Step by step\n")
	b.section, _, _ = strings.Cut(section, "\n## ")
	b.wx.AddApp(guideApp, guideSecret)
	serve := func(h http.Handler) *httptest.Server {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s
	}
	b.tokens.wx = serve(b.wx)
	payments := serve(b.pay)
	in, err := message.New(message.Config{AppID: guideApp, Token: "tokenofthistest", EncodingAESKey: wholeAESKey})
	require.NoError(t, err)
	in.Handle(message.Any, func(_ context.Context, m *message.Message) (message.Reply, error) {
		b.receive("old", m.MsgType+m.Content)
		return message.Text("from the old one"), nil
	})
	receiver := wetoken.Handler(in)
	b.old = serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/msg") {
			r.URL.Path = "/message"
			receiver.ServeHTTP(w, r)
			return
		}
		if r.Method == http.MethodPost {
			b.receive("old", r.URL.Path)
			_, _ = io.WriteString(w, "<xml><return_code>SUCCESS</return_code></xml>")
			return
		}
		fmt.Fprintf(w, `{"access_token":%[1]q,"accessToken":%[1]q}`, b.tokens.token.Load())
	}))
	b.backend = serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m struct{ MsgType, Content, Order string }
		var paid struct {
			No string `json:"out_trade_no"`
		}
		_, _ = json.Unmarshal(body, &m), json.Unmarshal(body, &paid)
		if r.URL.Path == "/paid" {
			b.mu.Lock()
			b.payments = append(b.payments, r.Header)
			b.paymentsByOrder[paid.No] = string(body)
			b.mu.Unlock()
			return
		}
		b.receive("new", m.MsgType+m.Content)
		_, _ = io.WriteString(w, `{"MsgType":"text","Content":"from the new one"}`)
	}))
	b.proxied = make(map[string]string)
	b.front = serve(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		b.mu.Lock()
		to, ok := b.proxied[r.In.URL.Path]
		b.mu.Unlock()
		if !ok {
			to = b.old.URL + r.In.URL.Path
		}
		u, _ := url.Parse(to)
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.Path = u.Scheme, u.Host, u.Path
	}})
	config := fmt.Sprintf("endpoints: {api: %q, pay: %q}\n", b.tokens.wx.URL, payments.URL) + b.block(t, "yaml", "public_url")
	config = strings.Replace(config, "/var/lib/wetoken/records.db", filepath.Join(b.dir, "records.db"), 1)
	b.config = write(t, config)
	b.env = append(b.env, "KEY="+shopKey, "ADMIN_KEY=a-key-of-this-test-for-operators")
	require.NoError(t, b.tokens.fetch(guideApp, guideSecret))
	return b
}

func (b *runbook) receive(who, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.texts[who] = append(b.texts[who], text)
}

// takeTexts returns the messages that came since it was called last.
func (b *runbook) takeTexts() map[string][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	texts := b.texts
	b.texts = make(map[string][]string)
	return texts
}

// block returns the first code block of the section in a language that contains a text.
func (b *runbook) block(t *testing.T, language, contains string) string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```").FindAllStringSubmatch(b.section, -1) {
		if strings.Contains(m[1], contains) {
			found = append(found, m[1])
		}
	}
	require.NotEmpty(t, found, "%s with %s", language, contains)
	return found[0]
}

// line returns the line of a block that ends in a comment, the name of a system.
func (b *runbook) line(t *testing.T, language, contains, system string) string {
	t.Helper()
	for line := range strings.Lines(b.block(t, language, contains)) {
		if code, comment, ok := strings.Cut(strings.TrimSpace(line), " # "); ok && comment == system {
			return code
		}
	}
	t.Fatalf("%s has no line for %s", contains, system)
	return ""
}

// startServer starts the server, with the addresses of the guide.
func (b *runbook) startServer(t *testing.T) {
	t.Helper()
	b.server = start(t, b.env, "-config", b.config)
	old := b.old.URL
	b.replace = strings.NewReplacer("http://10.0.0.5:8081", b.server.base, "http://10.0.0.5:8080", "http://"+b.server.public, "http://10.0.0.6:9000", b.backend.URL,
		"http://10.0.0.4:9999", old, "http://10.0.0.4:3310", old, "http://10.0.0.4:8080", old, "https://api.weixin.qq.com", b.tokens.wx.URL,
		"THE_TOKEN", "tokenofthistest", "THE_AES_KEY", wholeAESKey)
}

// bash runs lines of the guide, and returns the lines that they printed.
func (b *runbook) bash(t *testing.T, system, lines string, env ...string) []string {
	t.Helper()
	script := "set -e\n"
	if system != "" {
		script += b.line(t, "sh", "OLD_TOKEN=", system) + "\n"
	}
	for line := range strings.Lines(lines) {
		script += strings.TrimSpace(line) + "\necho\n"
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", b.replace.Replace(script))
	cmd.Dir, cmd.Env = b.dir, append(append(os.Environ(), b.env...), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s", script, out)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// proxy adds a line of nginx to the proxy in front.
func (b *runbook) proxy(t *testing.T, line string) (path string) {
	t.Helper()
	m := regexp.MustCompile(`^location = (\S+) \{ proxy_pass (\S+); \}`).FindStringSubmatch(line)
	require.NotNil(t, m, line)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.proxied[m[1]] = b.replace.Replace(m[2])
	return m[1]
}

func (b *runbook) unproxy(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.proxied, path)
}
