package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// program returns the path of this program, which is built once for all tests.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "shop"); built.err != nil {
			return
		}
		if out, err := exec.Command("go", "build", "-o", filepath.Join(built.dir, "shop.exe"), ".").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(t, built.err)
	return filepath.Join(built.dir, "shop.exe")
}

// command returns a run of the program on a free port, in a folder with a file .env, and with no environment but env.
func command(t *testing.T, envFile string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t), append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	cmd.Dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(cmd.Dir, ".env"), []byte(envFile), 0o600))
	cmd.Env = append([]string{"HOME=" + cmd.Dir}, env...)
	return cmd
}

// runProcess runs a command until the test ends, and returns the first line that it prints, its URL, and the second one if it simulates WeChat.
func runProcess(t *testing.T, cmd *exec.Cmd, simulates bool) (at, phone string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the shop's log:\n%s", stderr.String())
		}
	})
	lines := bufio.NewReader(stdout)
	at, err = lines.ReadString('\n')
	if err == nil && simulates {
		phone, err = lines.ReadString('\n')
	}
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	phone, _, _ = strings.Cut(phone, "/phone")
	return strings.TrimSuffix(at, "/\n"), phone
}
