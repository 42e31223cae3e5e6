package docs_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

const (
	callerKey = "a-caller-key-of-this-test"
	signKey   = "a-sign-key-of-this-test"
	tokenOf   = "tokenofthistest"
	aesKeyOf  = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// language is one that the programs in clients are written in.
type language struct {
	program  string // runs it
	required bool   // .ci/run installs it
	tokens   func(t *testing.T, args ...string) []string
	backend  []string
}

var languages = map[string]language{
	"php": {"php", true, func(t *testing.T, args ...string) []string {
		args = append(args, filepath.Join(t.TempDir(), "token"))
		return append([]string{"testdata/tokens.php", "clients/tokens.php"}, args...)
	}, []string{"-S", "127.0.0.1:0", "clients/backend.php"}},
	"node": {"node", true, func(_ *testing.T, args ...string) []string {
		return append([]string{"testdata/tokens.mjs", "clients/tokens.mjs"}, args...)
	}, []string{"clients/backend.mjs", "0"}},
	"python": {"python3", true, func(_ *testing.T, args ...string) []string {
		return append([]string{"-B", "testdata/tokens.py", "clients/tokens.py"}, args...)
	}, []string{"clients/backend.py", "0"}},
	// A JDK is large, so .ci/run installs none: the programs in Java run where there is one, of version 17 or later.
	"java": {"java", false, javaTokens, quickJava("clients/Backend.java", "0")},
}

// javaTokens puts the driver and the client into one file, as java runs one file.
func javaTokens(t *testing.T, args ...string) []string {
	client, err := os.ReadFile("clients/Tokens.java")
	require.NoError(t, err)
	driver, err := os.ReadFile("testdata/Run.java")
	require.NoError(t, err)
	imports, class, ok := strings.Cut(string(client), "\n/**")
	require.True(t, ok)
	file := filepath.Join(t.TempDir(), "Run.java")
	require.NoError(t, os.WriteFile(file, []byte(imports+"\n"+string(driver)+"\n/**"+class), 0o600))
	return append(quickJava(file), args...)
}

// quickJava runs a file in a JVM that starts soon rather than runs fast.
func quickJava(file string, args ...string) []string {
	return append([]string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", file}, args...)
}

// each runs a test in each language that is here.
func each(t *testing.T, test func(t *testing.T, l language)) {
	for name, l := range languages {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(l.program); err != nil {
				if l.required && os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
					t.Fatalf("%s is missing, and WETOKEN_TEST_REQUIRE=1", l.program)
				}
				t.Skipf("SKIPPED, NOT TESTED: the programs of docs/clients in %s: %s is missing", name, l.program)
			}
			test(t, l)
		})
	}
}

// front is the private side of a gateway, which can be replaced by another one, on a socket.
type front struct {
	gateway atomic.Pointer[gateway.Gateway]

	mu   sync.Mutex
	seen []string // methods
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r.Method)
	f.mu.Unlock()
	f.gateway.Load().Private().ServeHTTP(w, r)
}

// methods are those of all requests so far.
func (f *front) methods() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.seen, " ")
}

// program is a client that runs: each line that it is given is answered by one.
type program struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

func run(t *testing.T, l language, args []string) *program {
	p := &program{t: t}
	cmd := exec.CommandContext(t.Context(), l.program, args...)
	cmd.Stderr = t.Output()
	var err error
	p.in, err = cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // it is killed with the test's context
	return p
}

func (p *program) ask(line string) string {
	_, err := fmt.Fprintln(p.in, line)
	require.NoError(p.t, err)
	answer, err := p.out.ReadString('\n')
	require.NoError(p.t, err)
	return strings.TrimSpace(answer)
}

// token is what the client says that the token is.
func (p *program) token() string {
	token, ok := strings.CutPrefix(p.ask("token"), "ok ")
	require.True(p.t, ok, token)
	return token
}

func config(public string) gateway.Config {
	return gateway.Config{
		PublicURL: public,
		Keys:      []gateway.Key{{Name: "client", Key: callerKey, Apps: []string{"*"}, Scopes: []string{"token", "renew"}}},
		Apps: map[string]gateway.App{
			"shop":  {AppID: "wx1111111111111111", Secret: "secret"},
			"brief": {AppID: "wx2222222222222222", Secret: "secret"},
		},
	}
}

func newGateway(t *testing.T, c gateway.Config, wx *wechattest.Server) *gateway.Gateway {
	g, err := gateway.New(gateway.Options{Config: c, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return g
}

func TestTokenClientsKeepATokenAndReplaceARefusedOne(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1111111111111111", "secret")
		wx.Add(wechattest.App{ID: "wx2222222222222222", Secret: "secret", Life: 55 * time.Second})
		wechat := httptest.NewServer(wx)
		defer wechat.Close()
		f := new(front)
		f.gateway.Store(newGateway(t, config(""), wx))
		server := httptest.NewServer(f)
		defer server.Close()
		call := wechat.URL + "/cgi-bin/get_api_domain_ip?access_token="

		p := run(t, l, l.tokens(t, server.URL+"/app/shop/token", callerKey, call))
		short := run(t, l, l.tokens(t, server.URL+"/app/brief/token", callerKey, call))
		stranger := run(t, l, l.tokens(t, server.URL+"/app/shop/token", "a-key-that-nobody-has", call))
		first := p.token()
		require.Equal(t, first, p.token())
		require.Equal(t, "ok 0", p.ask("call"))
		require.Equal(t, "GET", f.methods(), "the token was kept")

		wx.Revoke(first)
		require.Equal(t, "ok 0", p.ask("call"))
		require.Equal(t, "GET POST", f.methods(), "the refused token was posted once")
		second := p.token()
		require.NotEqual(t, first, second)

		// WeChat refuses the new one too, and is not reached for another: 503.
		wx.Refuse(second)
		wx.AddFault(wechattest.Fault{Path: "/cgi-bin/stable_token", Status: 500})
		require.Equal(t, "ok 40001", p.ask("call"))
		require.Equal(t, 2, strings.Count(f.methods(), "POST"), "the refused token was posted once")
		require.Equal(t, second, p.token(), "the old one was kept")
		wx.ClearFaults()

		// A token is asked for again 60 s before its end, and kept to its end where there is no other.
		before := strings.Count(f.methods(), "GET")
		brief := short.token()
		f.gateway.Store(newGateway(t, config(""), wx)) // one that holds no token
		wx.AddFault(wechattest.Fault{Path: "/cgi-bin/stable_token", Status: 500})
		require.Equal(t, 503, status(t, server.URL+"/app/brief/token"))
		require.Equal(t, brief, short.token())
		require.GreaterOrEqual(t, strings.Count(f.methods(), "GET"), before+3, "it was asked for again")

		answer := stranger.ask("token")
		require.Contains(t, answer, "401")
		require.Contains(t, answer, "unknown caller key")
		require.NotContains(t, answer, "nobody-has")
	})
}

func status(t *testing.T, url string) int {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+callerKey)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// backend starts a backend, and returns its URL.
func backend(t *testing.T, l language) string {
	cmd := exec.CommandContext(t.Context(), l.program, l.backend...)
	cmd.Env = append(os.Environ(), "SIGN_KEY="+signKey)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = write, write
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	t.Cleanup(func() {
		_ = cmd.Wait()
		_ = read.Close()
	})
	lines := bufio.NewReader(read)
	address := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
	for {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, line)
		if found := address.FindString(line); found != "" {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return "http://" + found + "/wx"
		}
	}
}

func TestBackendsTellWhatIsFromWetoken(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		url := backend(t, l)
		for name, keys := range map[string][2]string{
			"its key":                       {signKey, ""},
			"its key is being changed":      {"another-sign-key", signKey},
			"its key has just been changed": {signKey, "another-sign-key"},
		} {
			require.Equal(t, "got it", forwarded(t, url, keys), name)
		}

		now, body := time.Now(), `{"MsgType":"text"}`
		for name, c := range map[string]struct {
			header string
			status int
		}{
			"genuine":            {sign(now, body, signKey), 200},
			"among others":       {sign(now, body, "another") + ",v2=abc,v1=" + hash(now, body, signKey), 200},
			"no header":          {"", 401},
			"no signature":       {fmt.Sprintf("t=%d", now.Unix()), 401},
			"no time":            {"v1=" + hash(now, body, signKey), 401},
			"another key":        {sign(now, body, "another"), 401},
			"empty key":          {sign(now, body, ""), 401},
			"another body":       {sign(now, body+" ", signKey), 401},
			"old":                {sign(now.Add(-10*time.Minute), body, signKey), 401},
			"from the future":    {sign(now.Add(10*time.Minute), body, signKey), 401},
			"another time":       {fmt.Sprintf("t=%d,v1=%s", now.Unix()+1, hash(now, body, signKey)), 401},
			"a part":             {sign(now, body, signKey)[:40], 401},
			"more":               {sign(now, body, signKey) + "00", 401},
			"capitals":           {strings.ToUpper(sign(now, body, signKey)), 401},
			"odd time":           {strings.Replace(sign(now, body, signKey), "t=", "t=+", 1), 401},
			"bytes that are odd": {"t=\xff,v1=\xff", 401},
		} {
			require.Equal(t, c.status, deliver(t, url, c.header, body), name)
		}
	})
}

// forwarded is what a user reads who writes to an app whose messages are forwarded to url.
func forwarded(t *testing.T, url string, keys [2]string) string {
	wx := new(wechattest.Server)
	wx.AddApp("wx1111111111111111", "secret")
	c := config("")
	app := c.Apps["shop"]
	app.SignKey, app.PreviousSignKey = keys[0], keys[1]
	app.Message = &gateway.Message{Token: tokenOf, AESKey: aesKeyOf, Forward: []gateway.Forward{
		{URL: url, Form: message.FormJSON, Answer: true, Timeout: gateway.Duration(14 * time.Second)},
	}}
	c.Apps["shop"] = app
	public := httptest.NewServer(newGateway(t, c, wx).Public())
	defer public.Close()
	callback := push.Callback{AppID: app.AppID, URL: public.URL + "/app/shop/message", Token: tokenOf, EncodingAESKey: aesKeyOf}
	pushed, err := callback.Push(t.Context(), push.Message{Content: "hello"})
	require.NoError(t, err)
	require.Empty(t, pushed.Fault)
	return pushed.Shown
}

func sign(at time.Time, body, key string) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hash(at, body, key))
}

func hash(at time.Time, body, key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return hex.EncodeToString(mac.Sum(nil))
}

// deliver posts a body with a Wetoken-Signature, and returns the status of the answer.
func deliver(t *testing.T, url, signature, body string) int {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Wetoken-Delivery", "0123456789abcdef")
	if signature != "" {
		r.Header["Wetoken-Signature"] = []string{signature}
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
