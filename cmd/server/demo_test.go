package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// runningDemo is a demo, with the addresses and the key that it has printed.
type runningDemo struct {
	key, private, public, wechat string
	log                          *logBuffer
}

// startDemo runs the demo on free ports of an address, until the test ends.
func startDemo(t *testing.T, address string, args ...string) runningDemo {
	t.Helper()
	cmd := exec.Command(program("server"), append([]string{"-demo", "-public", address, "-private", address}, args...)...)
	printed, log := new(logBuffer), new(logBuffer)
	cmd.Stdout, cmd.Stderr = printed, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line := regexp.MustCompile(`examples/remote -public (\S+) -private (\S+) -key (\S+) -wechat (\S+)\n`)
	waitUntil(t, 20*time.Second, "the demo prints its lines", func() bool { return line.MatchString(printed.String()) })
	site := line.FindStringSubmatch(printed.String())
	return runningDemo{public: site[1], private: site[2], key: site[3], wechat: site[4], log: log}
}

func ask(t *testing.T, address, key string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(raw)
}

func TestTheDemoIsTheSameAtEachStartUnlessFresh(t *testing.T) {
	t.Parallel()
	const appID = "/app/wxdemo000000000000/token"
	tokenOf := func(d runningDemo, path string) int {
		status, _ := ask(t, strings.TrimSuffix(d.private, "/app/demo")+path, d.key)
		return status
	}
	openID := func(d runningDemo) string {
		_, body := ask(t, d.wechat+"/_wechattest/openid?app=wxdemo000000000000&person=%E5%B0%8F%E6%98%8E", "")
		var got struct{ OpenID string }
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		return got.OpenID
	}
	one, two := startDemo(t, "127.0.0.1:0"), startDemo(t, "127.0.0.1:0")
	require.Equal(t, one.key, two.key)
	require.NotEmpty(t, openID(one))
	require.Equal(t, openID(one), openID(two))
	require.NotEqual(t, one.private, two.private, "each has its own free port")
	for _, d := range []runningDemo{one, two} {
		require.Equal(t, http.StatusOK, tokenOf(d, "/app/demo/token"), "the real port is printed")
		require.Equal(t, http.StatusOK, tokenOf(d, appID))
		status, _ := ask(t, d.public+"/js/config.js", "")
		require.NotEqual(t, http.StatusNotFound, status, "the real port is printed")
		require.NotContains(t, d.log.String(), "WARN")
	}

	fresh, other := startDemo(t, "127.0.0.1:0", "-fresh"), startDemo(t, "127.0.0.1:0", "-fresh")
	require.NotEqual(t, one.key, fresh.key)
	require.NotEqual(t, other.key, fresh.key)
	require.Equal(t, http.StatusOK, tokenOf(fresh, "/app/demo/token"))
	require.Equal(t, http.StatusNotFound, tokenOf(fresh, appID), "the app is another one, and so are the openids")
}

func TestTheKnownDemoIsServedOnLoopbackAlone(t *testing.T) {
	t.Parallel()
	known := startDemo(t, "127.0.0.1:0")
	far := startDemo(t, "0.0.0.0:0")
	require.NotEqual(t, known.key, far.key)
	require.Contains(t, far.log.String(), "level=WARN")
	require.Contains(t, far.private, "http://127.0.0.1:", "the lines are for this machine")
	status, _ := ask(t, far.private+"/token", known.key)
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = ask(t, far.private+"/token", far.key)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, refused(t, nil, "-fresh", "-config", "x.yaml"), "-fresh")
}
