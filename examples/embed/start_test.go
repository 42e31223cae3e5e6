//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is the running program with its simulated WeChat.
type program struct {
	at     string // URL of the bookshop
	push   string // command that pushes a message
	weChat string // URL of the simulated WeChat

	stop func() // interrupts the program, and waits for its end
	log  *output
}

// output is what a program has written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// command returns the command of the READMEs with more flags. Its processes are a group, since go run passes no signal on to the program.
func command(more ...string) *exec.Cmd {
	words := append(strings.Fields(line), "-addr", "127.0.0.1:0")
	words = append(words, more...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "WECHAT_APP_ID=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// start runs the program on a free port, with its simulated WeChat.
func start(t *testing.T, more ...string) *program {
	t.Helper()
	p := new(program)
	lines := p.run(t, command(more...))
	m := regexp.MustCompile(`^(http://\S+)/   # log in.*\n(curl .* (http://\S+)/_wechattest/push)   # `).FindStringSubmatch(lines)
	require.NotNil(t, m, lines)
	p.at, p.push, p.weChat = m[1], m[2], m[3]
	return p
}

// run runs cmd until the test ends, and returns its first two lines.
func (p *program) run(t *testing.T, cmd *exec.Cmd) (lines string) {
	t.Helper()
	p.log = new(output)
	cmd.Stderr = p.log
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p.stop = sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		_, _ = io.Copy(io.Discard, stdout) // until all processes have ended
		_ = cmd.Wait()
	})
	t.Cleanup(p.stop)
	r := bufio.NewReader(stdout)
	for range 2 {
		line, err := r.ReadString('\n')
		require.NoError(t, err, "%s", p.log)
		lines += line
	}
	return lines
}
