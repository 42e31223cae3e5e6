//go:build unix

package message_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
)

// TestMain lets processes_test.go start the test binary again, as a backend or the server of a Receiver, so that processes
// can be killed.
func TestMain(m *testing.M) {
	role := os.Getenv("WETOKEN_MESSAGE_TEST_ROLE")
	if role == "" {
		os.Exit(m.Run())
	}
	if err := serveRole(role, os.Getenv("WETOKEN_MESSAGE_TEST_WITH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveRole serves on a free port, prints the address, and continues until it is killed.
func serveRole(role, with string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var h http.Handler
	var calls atomic.Int32
	switch role {
	case "slow":
		h = backend(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	case "garbage":
		h = backend(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<html><body>502 Bad Gateway</body></html>")
		})
	case "redirecting":
		h = backend(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, with, http.StatusTemporaryRedirect) })
	case "good", "dead":
		h = backend(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, replyJSON("good")) })
	case "eight":
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				fmt.Fprint(w, calls.Load())
				return
			}
			calls.Add(1)
			<-time.After(8 * time.Second)
			io.WriteString(w, replyJSON("after eight seconds"))
		})
	case "receiver":
		if h, err = newProcessReceiver(with); err != nil {
			return err
		}
	default:
		return fmt.Errorf("no role %q", role)
	}
	fmt.Println(l.Addr())
	return http.Serve(l, h)
}

// backend reads the whole request first, as a server must to detect that the client hangs up.
func backend(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			h(w, r)
		}
	})
}

// processConfig configures the process of a Receiver.
type processConfig struct {
	Dir, URL string
	Form     message.Form
	Answer   bool
	Timeout  time.Duration
}

func newProcessReceiver(with string) (http.Handler, error) {
	var s processConfig
	if err := json.Unmarshal([]byte(with), &s); err != nil {
		return nil, err
	}
	config := official().config()
	config.Store = files{s.Dir}
	config.Forward.Backends = []message.Backend{{URL: s.URL, Form: s.Form, Answer: s.Answer, Timeout: s.Timeout}}
	config.Log = slog.New(slog.DiscardHandler)
	in, err := message.New(config)
	if err != nil {
		return nil, err
	}
	go in.Run(context.Background())
	return in, nil
}

// start starts a process and returns its address and a way to kill it.
func start(t testing.TB, role, with string) (address string, kill func()) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "WETOKEN_MESSAGE_TEST_ROLE="+role, "WETOKEN_MESSAGE_TEST_WITH="+with)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // SIGKILL
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line), kill
}

func startReceiver(t testing.TB, s processConfig) (address string, kill func()) {
	with, err := json.Marshal(s)
	require.NoError(t, err)
	return start(t, "receiver", string(with))
}
