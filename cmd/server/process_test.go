package main_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	server "github.com/wetoken/wetoken/cmd/server"
)

// programs is the folder of the programs under test, server and wechattest, which are built once.
var programs string

func program(name string) string { return filepath.Join(programs, name) }

func TestMain(m *testing.M) {
	runtime.KeepAlive(server.Run)
	var err error
	if programs, err = os.MkdirTemp("", "server"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	build := exec.Command("go", "build", "-o", programs, ".", "github.com/wetoken/wetoken/cmd/wechattest")
	if out, err := build.CombinedOutput(); err != nil {
		os.Stderr.Write(out)
		os.Exit(1)
	}
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) {
		err = flag.Set("test.parallel", "3") // tests of clusters wait more than they work
	}
	code := 1
	if err == nil {
		code = m.Run()
	}
	os.RemoveAll(programs)
	os.Exit(code)
}

// lastPort is the last port that was used. Ports are below those that the system uses for connections, so that none is
// taken before the server listens on it.
var lastPort atomic.Int32

const firstPort, ports = 12000, 20000

// freeAddress returns an address with a free port.
func freeAddress(t testing.TB) string {
	t.Helper()
	lastPort.CompareAndSwap(0, int32(os.Getpid()*100)) // away from another run at the same time
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+uint32(lastPort.Add(1))%ports)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// logBuffer collects the output of a process, for use by several goroutines.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *logBuffer) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *logBuffer) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// process is a running server.
type process struct {
	cmd    *exec.Cmd
	base   string // of its private side
	public string // address of its public side
	stdout *bufio.Reader
	log    logBuffer
	wait   func() error // for its end
}

// skip skips a test that lacks something, or fails it where every test must run.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
		t.Fatal("WETOKEN_TEST_REQUIRE is 1, but " + why)
	}
	t.Skip("SKIPPED, NOT TESTED: " + why)
}

// start runs the server and waits until it is ready.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := launch(t, env, args...)
	p.ready(t)
	return p
}

// startWith is start through a program that runs the command in its arguments.
func startWith(t *testing.T, by, env []string, args ...string) *process {
	t.Helper()
	p := launchWith(t, by, env, args...)
	p.ready(t)
	return p
}

// launch runs the server.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return launchWith(t, nil, env, args...)
}

func launchWith(t *testing.T, by, env []string, args ...string) *process {
	t.Helper()
	private, public := freeAddress(t), freeAddress(t)
	p := &process{base: "http://" + private, public: public}
	command := append(append(slices.Clone(by), program("server")), args...)
	p.cmd = exec.Command(command[0], append(command[1:], "-private", private, "-public", public)...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdout = bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	p.wait = sync.OnceValue(p.cmd.Wait)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", p.base, tail(p.log.String()))
		}
	})
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.wait()
}

func (p *process) ready(t *testing.T) {
	t.Helper()
	waitUntil(t, 20*time.Second, "the server is ready", func() bool { return p.status("/readyz") == http.StatusOK })
}

// status returns the status of the reply to a GET, or 0.
func (p *process) status(path string) int {
	resp, err := http.Get(p.base + path)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// ask returns status and body of the reply to a GET with the caller key.
func (p *process) ask(t testing.TB, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+path, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+shopKey)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// waitUntil calls so until it returns true, in the goroutine of the test.
func waitUntil(t testing.TB, within time.Duration, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); !so(); <-tick.C {
		if time.Since(begin) > within {
			t.Fatalf("not so within %s: %s", within, what)
		}
	}
}

func tail(s string) string {
	if len(s) > 4000 {
		return "…" + s[len(s)-4000:]
	}
	return s
}

func write(t testing.TB, config string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "wetoken.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	return file
}
