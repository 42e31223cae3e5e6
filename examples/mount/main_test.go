package main_test

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheProgramServesEachRouterByName(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "mount.exe")
	out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	for _, name := range []string{"", "servemux", "chi", "gin", "echo"} {
		cmd := exec.Command(exe, "-addr", "127.0.0.1:0", name)
		cmd.Env = append(cmd.Environ(), "GIN_MODE=release") // in its debug mode gin prints its routes first
		output, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		line, err := bufio.NewReader(output).ReadString('\n')
		require.NoError(t, err)
		url, ok := strings.CutPrefix(strings.TrimSpace(line), "curl -s ")
		require.True(t, ok, "first line of output: %q", line)

		resp, err := http.Get(url)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(body), "access_token", "%q", name)
	}

	out, err = exec.Command(exe, "martini").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "want servemux, chi, gin or echo")
}
