package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// start runs the program with its simulated WeChat Pay, and returns the URLs of the program and the phone.
func start(t *testing.T) (at, phone string) {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "pay.exe")
	out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	cmd := exec.Command(exe, "-addr", "127.0.0.1:0")
	cmd.Env = append(cmd.Environ(), "WECHAT_MCH_ID=")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var printed strings.Builder
	lines := bufio.NewReader(stdout)
	for range 3 {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		printed.WriteString(line)
	}
	parts := regexp.MustCompile(`^(http://\S+)/\ncurl -s -X POST (http://\S+)/orders .*\n(http://\S+)/phone .*\n$`).FindStringSubmatch(printed.String())
	require.NotNil(t, parts, "%s", printed.String())
	require.Equal(t, parts[1], parts[2])
	return parts[1], parts[3]
}

// call returns the reply to a request.
func call(t *testing.T, method, url string, body ...string) (status int, fields map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(strings.Join(body, "")))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode == http.StatusOK {
		require.NoError(t, json.Unmarshal(raw, &fields), "%s", raw)
	}
	return resp.StatusCode, fields
}

// payBy pays the order of an entry on the phone.
func payBy(t *testing.T, phone, entry string) {
	t.Helper()
	status, sheet := call(t, http.MethodPost, phone+"/_paytest/open_sheet", entry)
	require.Equal(t, http.StatusOK, status)
	status, sheet = call(t, http.MethodPost, phone+"/_paytest/answer_sheet", fmt.Sprintf(`{"id":%q,"do":"pay"}`, sheet["id"]))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "paid", sheet["state"])
}

func waitForPaid(t *testing.T, at, no string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, state := call(t, http.MethodGet, at+"/orders/"+no)
		return state["paid"] == true
	}, 20*time.Second, 20*time.Millisecond)
}

func TestTheProgramSettlesAPaidOrder(t *testing.T) {
	at, phone := start(t)
	status, order := call(t, http.MethodPost, at+"/orders")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, order["code_url"], "weixin://")
	no := order["out_trade_no"].(string)
	_, state := call(t, http.MethodGet, at+"/orders/"+no)
	require.Equal(t, false, state["paid"])

	payBy(t, phone, fmt.Sprintf(`{"code_url":%q}`, order["code_url"]))
	waitForPaid(t, at, no)

	status, refund := call(t, http.MethodPost, at+"/orders/"+no+"/refund")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "PROCESSING", refund["state"])
	status, _ = call(t, http.MethodPost, at+"/orders/socks-other/refund")
	require.Equal(t, http.StatusNotFound, status)
}

func TestAMiniProgramPaysWithTheJSONOfAnOrder(t *testing.T) {
	at, phone := start(t)
	status, order := call(t, http.MethodPost, at+"/orders", `{"trade":"jsapi","openid":"o1"}`)
	require.Equal(t, http.StatusOK, status)
	params := order["params"].(map[string]any)
	for _, name := range []string{"timeStamp", "nonceStr", "package", "signType", "paySign"} {
		require.IsType(t, "", params[name], name)
	}
	entry, err := json.Marshal(map[string]any{"params": params, "openid": "o1"})
	require.NoError(t, err)
	payBy(t, phone, string(entry))
	waitForPaid(t, at, order["out_trade_no"].(string))

	status, _ = call(t, http.MethodPost, at+"/orders", `{"trade":"gift"}`)
	require.NotEqual(t, http.StatusOK, status)
	status, _ = call(t, http.MethodPost, at+"/orders", `{`)
	require.Equal(t, http.StatusBadRequest, status)
}
