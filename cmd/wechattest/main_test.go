package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// build makes the program once for the test.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "wechattest")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return program
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(b)
}

func TestTheProgramServesUntilItIsTold(t *testing.T) {
	program := build(t)
	cmd := exec.CommandContext(t.Context(), program, "-app", "wx1:s1", "-app", "mini:s2:mini", "-app", "ww1:s3:work", "-app", "ww1:s4:work:1000002", "-merchant", "1900000002", "-merchant", "1900000003:wx1:mini", "-host", "wechat", "-life", "1h")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	base, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)
	require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, base)

	for path, want := range map[string]string{
		"/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=s1":  `"expires_in":3600`,
		"/cgi-bin/token?grant_type=client_credential&appid=mini&secret=s2": `"expires_in":3600`,
		"/cgi-bin/gettoken?corpid=ww1&corpsecret=s3":                       `"expires_in":3600`,
		"/cgi-bin/gettoken?corpid=ww1&corpsecret=s4":                       `"expires_in":3600`,
		"/cgi-bin/gettoken?corpid=ww1&corpsecret=s1":                       `"errcode":40001`,
		"/phone":                              "/phone/pay/open",
		"/_paytest/merchant?mchid=1900000002": `"appids":null`,
		"/_paytest/merchant?mchid=1900000003": `"appids":["wx1","mini"]`,
		"/_wechattest/calls?path=/nowhere":    `{"calls":0}`,
	} {
		require.Contains(t, fetch(t, base+path), want, path)
	}

	merchant, err := http.Post(base+"/_paytest/merchants", "application/json", strings.NewReader(`{"mchid":"1900000001","appids":["wx1"]}`))
	require.NoError(t, err)
	var keys struct {
		MchID       string `json:"mchid"`
		PrivateKey  string `json:"private_key"`
		PublicKeyID string `json:"public_key_id"`
	}
	require.NoError(t, json.NewDecoder(merchant.Body).Decode(&keys))
	require.NoError(t, merchant.Body.Close())
	require.Equal(t, "1900000001", keys.MchID)
	require.Regexp(t, "^-----BEGIN PRIVATE KEY-----", keys.PrivateKey)
	require.Regexp(t, `^PUB_KEY_ID_\d{28}$`, keys.PublicKeyID)
	require.Contains(t, fetch(t, base+"/v3/certificates"), "Http头缺少Accept", "WeChat Pay answers beside WeChat")

	var token struct {
		Value string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal([]byte(fetch(t, base+"/cgi-bin/gettoken?corpid=ww1&corpsecret=s4")), &token))
	for agent, want := range map[string]int{"1000002": 0, "1000003": 40056} {
		sent, err := http.Post(base+"/cgi-bin/message/send?access_token="+token.Value, "application/json",
			strings.NewReader(`{"touser":"u","msgtype":"text","agentid":`+agent+`,"text":{"content":"a"}}`))
		require.NoError(t, err)
		var answer struct{ ErrCode int }
		require.NoError(t, json.NewDecoder(sent.Body).Decode(&answer))
		require.NoError(t, sent.Body.Close())
		require.Equal(t, want, answer.ErrCode)
	}
	for host, want := range map[string]int{"wechat:8099": 200, "evil.example": 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/_wechattest/calls", nil)
		require.NoError(t, err)
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.StatusCode, host)
	}

	// A call that hangs does not keep the program from ending.
	res, err := http.Post(base+"/_wechattest/fail", "application/json", strings.NewReader(`{"path":"/cgi-bin/token","hang":true}`))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	hung := make(chan error, 1)
	go func() {
		_, err := http.Get(base + "/cgi-bin/token")
		hung <- err
	}()
	require.Eventually(t, func() bool {
		return strings.Contains(fetch(t, base+"/_wechattest/calls?path=/cgi-bin/token"), `{"calls":3}`)
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), "a clean end: %s", &stderr)
	require.Error(t, <-hung)
	require.Empty(t, stderr.String())
}

func TestABadCommandLineIsOneLineAndStatusTwo(t *testing.T) {
	program := build(t)
	for _, args := range [][]string{
		{"-nope"},
		{"-tls", "/nowhere/ca.pem"},
		{"-life", "soon"},
		{"-life", "10ms"},
		{"-app", "topsecret"},
		{"-app", "wx1:"},
		{"-app", ":topsecret"},
		{"-app", "wx1:topsecret:other"},
		{"-app", "wx1:topsecret:mini:7"},
		{"-app", "wx1:topsecret::7"},
		{"-app", "ww1:topsecret:work:"},
		{"-app", "ww1:topsecret:work:0"},
		{"-app", "ww1:topsecret:work:seven"},
		{"-app", "ww1:topsecret:work:7:8"},
		{"-merchant", ""},
		{"-merchant", "1900000001:"},
		{"wx1:topsecret"},
	} {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Run(), &exit, args)
		require.Equal(t, 2, exit.ExitCode(), args)
		require.Empty(t, stdout.String())
		require.Equal(t, 1, strings.Count(stderr.String(), "\n"), stderr.String())
		require.NotContains(t, stderr.String(), "topsecret")
	}
}

func TestAnAddressThatIsTakenIsStatusOne(t *testing.T) {
	var exit *exec.ExitError
	out, err := exec.CommandContext(t.Context(), build(t), "-addr", "127.0.0.1:99999").CombinedOutput()
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode(), string(out))
}
