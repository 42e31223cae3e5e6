//go:build unix

package main_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/config"
	"github.com/wetoken/wetoken/examples/miniapp/store"
)

var readmes = []string{"README.md", "README.zh-CN.md"}

// block returns the block of code in a language of a README.
func block(t *testing.T, file, language string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	m := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	require.Len(t, m, 1)
	return m[0][1]
}

func TestTheCommandOfTheREADMERuns(t *testing.T) {
	t.Parallel()
	command := strings.TrimSpace(block(t, readmes[0], "sh"))
	require.Equal(t, command, strings.TrimSpace(block(t, readmes[1], "sh")))
	words := append(strings.Fields(command), "-addr", "127.0.0.1:0")
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Stderr = "../..", os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run does not pass signals on
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		<-ended
	})
	lines := bufio.NewScanner(out)
	var printed []string
	for len(printed) < 4 && lines.Scan() {
		printed = append(printed, lines.Text())
	}
	go func() { ended <- cmd.Wait() }()
	require.Len(t, printed, 4, "%q", printed)
	for _, line := range printed[:3] {
		address, _, _ := strings.Cut(line, " ")
		resp, err := http.Get(address)
		require.NoError(t, err, line)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode, line)
	}
	curl, err := exec.Command("sh", "-c", printed[3]).Output()
	require.NoError(t, err)
	require.Contains(t, string(curl), `"code":"bill"`, "yesterday nothing was sold")
}

func TestTheConfigurationOfTheREADMEIsValid(t *testing.T) {
	t.Parallel()
	var all [2]string
	for i, file := range readmes {
		text := block(t, file, "yaml")
		c, err := config.Parse([]byte(text), func(string) (string, bool) { return "x", true })
		require.NoError(t, err)
		require.False(t, c.Simulated())
		all[i] = regexp.MustCompile(`(?m) *#.*$`).ReplaceAllString(text, "")
	}
	require.Equal(t, all[0], all[1])
}

func TestTheRoutesOfTheREADMEExist(t *testing.T) {
	t.Parallel()
	route := regexp.MustCompile("`(GET|POST|PUT) (/[^`?]*)[^`]*`")
	p := start(t, store.GivePoints)
	var listed [2]string
	for i, file := range readmes {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		found := route.FindAllStringSubmatch(string(text), -1)
		require.Greater(t, len(found), 12)
		listed[i] = fmt.Sprint(found)
		for _, m := range found {
			path := strings.NewReplacer("{no}", "mp000000", "{day}", "2026-01-01").Replace(m[2])
			r := p.call(m[1], path, "", "{}")
			require.NotContains(t, []int{http.StatusMethodNotAllowed, http.StatusInternalServerError}, r.status, m[0])
			require.False(t, r.status == http.StatusNotFound && r.Code == "", m[0])
		}
	}
	require.Equal(t, listed[0], listed[1])
}
