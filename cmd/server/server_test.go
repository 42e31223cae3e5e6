package main_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestTheDemosLinesWorkWhenPasted(t *testing.T) {
	needProgram(t, "WETOKEN_TEST_CURL", "curl")
	p := start(t, nil, "-demo")
	var lines []string
	for line := ""; !strings.HasPrefix(line, "go run ./examples/remote "); {
		var err error
		line, err = p.stdout.ReadString('\n')
		require.NoError(t, err)
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") || strings.HasPrefix(line, "NO=") {
			lines = append(lines, line)
		}
	}
	require.Len(t, lines, 13)
	var tokens []string
	for _, line := range lines[:2] {
		out, err := exec.Command("sh", "-c", line).Output()
		require.NoError(t, err, line)
		var got struct {
			Token     string `json:"access_token"`
			ExpiresIn int    `json:"expires_in"`
		}
		require.NoError(t, json.Unmarshal(out, &got), "%s", out)
		require.Positive(t, got.ExpiresIn)
		tokens = append(tokens, got.Token)
	}
	require.NotEqual(t, tokens[0], tokens[1])
	out, err := exec.Command("sh", "-c", regexp.MustCompile(`-H '[^']*'`).ReplaceAllString(lines[0], "-o /dev/null -w '%{http_code}'")).Output()
	require.NoError(t, err)
	require.Equal(t, "401", string(out))

	out, err = exec.Command("sh", "-c", strings.Join(lines[2:], "\nprintf '\\n--\\n'\n")).Output()
	require.NoError(t, err)
	answers := strings.Split(string(out), "\n--\n")
	require.Len(t, answers, 11)
	for i, want := range []string{
		``, // of NO=
		`"code_url":"weixin:.*"qr_url":"http://127\.0\.0\.1:\d+/app/demo/pay/qr/\w+"`,
		`"transaction_id":"4200`,
		`"state":"SUCCESS".*"fen":1200`,
		`"state":"PROCESSING"`,
		`^{"errcode":0,"errmsg":"success","access_token":"` + tokens[1] + `","expires_in":\d+,"expires_date":"\d{14}"}$`,
		`^{"accessToken":"` + tokens[1] + `"}$`,
		`^{"jsonrpc":"2.0","id":1,"result":"` + tokens[1] + `"}`,
		`^{"access_token":"` + tokens[1] + `","expires_in":\d+}$`,
		`^{"success":true}$`,
		`^{"Key":"shop","AppId":"wxdemo000000000000","Secret":"\*{8}",.*"Calls":\["/api","/js"\],"Expires":null}$`,
	} {
		require.Regexp(t, want, answers[i], lines[2+i])
	}
}

const config = `
endpoints: {api: "${WECHAT}"}
keys:
  - {name: shop-backend, key: "${SHOP_KEY}", apps: [shop], scopes: [token]}
apps:
  shop:
    name: 小店
    app_id: wx0123456789abcdef
    secret: ${SHOP_SECRET}   # from the environment
    expires_at: 2099-01-01T00:00:00Z
`

const shopKey = "a-key-of-this-test-for-shop"

func serveConfig(t *testing.T, wx *wechattest.Server, args ...string) *process {
	t.Helper()
	srv := httptest.NewServer(wx)
	t.Cleanup(srv.Close)
	env := []string{"WECHAT=" + srv.URL, "SHOP_KEY=" + shopKey, "SHOP_SECRET=a-secret-of-this-test"}
	return start(t, env, append([]string{"-config", write(t, config)}, args...)...)
}

func (p *process) token(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", p.base+"/app/shop/token", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+shopKey)
	return http.DefaultClient.Do(req)
}

func TestAFileIsServedAndSecretsStayOutOfTheLog(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "a-secret-of-this-test")
	p := serveConfig(t, wx, "-log-level", "debug", "-store", "memory")
	resp, err := p.token(t.Context())
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.wait())
	require.Contains(t, p.log.String(), `level=DEBUG msg=admitted caller=shop-backend app=shop scope=token`)
	for _, hidden := range []string{shopKey, "a-secret-of-this-test", wx.Tokens("wx0123456789abcdef")[0].Value} {
		require.NotContains(t, p.log.String(), hidden)
	}
}

func TestSIGTERMLetsRequestsUnderWayFinish(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "a-secret-of-this-test")
	wx.AddFault(wechattest.Fault{Delay: time.Second})
	p := serveConfig(t, wx)
	answered := make(chan int)
	go func() {
		resp, err := p.token(context.Background())
		if err != nil {
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	require.Eventually(t, func() bool { return wx.Calls("/cgi-bin/stable_token") == 1 }, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, http.StatusOK, <-answered)
	require.NoError(t, p.wait(), "a drained server exits with 0")
}

func TestSIGHUPAfterSIGTERMCutsOffNoRequest(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "a-secret-of-this-test")
	asked, release := make(chan struct{}, 1), make(chan struct{})
	wechat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-release
		wx.ServeHTTP(w, r)
	}))
	t.Cleanup(wechat.Close)
	env := []string{"WECHAT=" + wechat.URL, "SHOP_KEY=" + shopKey, "SHOP_SECRET=a-secret-of-this-test"}
	p := start(t, env, "-config", write(t, config))
	answered := make(chan int, 1)
	go func() {
		status := 0
		if resp, err := p.token(context.Background()); err == nil {
			resp.Body.Close()
			status = resp.StatusCode
		}
		answered <- status
	}()
	<-asked
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	waitUntil(t, 10*time.Second, "the addresses are closed", func() bool {
		c, err := net.Dial("tcp", p.public)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
	close(release)
	require.Equal(t, http.StatusOK, <-answered)
	require.NoError(t, p.wait())
}

func TestAnEmptyAddressInTheEnvironmentIsNamed(t *testing.T) {
	line := refused(t, []string{"WETOKEN_PRIVATE="}, "-demo")
	require.Equal(t, `server: -private (or WETOKEN_PRIVATE): invalid address "": want one to listen on such as 127.0.0.1:8080 or :8080`, line)
	_, stderr, code := execute(t, []string{"WETOKEN_PRIVATE="}, "migrate", "-store", "memory:")
	require.Zero(t, code, "a command has no address: %s", stderr)
}

func TestOneAddressIsBothSidesAndPort0IsNot(t *testing.T) {
	both := freeAddress(t)
	for address, health := range map[string][]int{both: {200}, "127.0.0.1:0": {404, 200}} { // of the public side, and the private one
		cmd := exec.Command(program("server"), "-demo", "-public", address, "-private", address)
		log := new(logBuffer)
		cmd.Stderr = log
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		waitUntil(t, 10*time.Second, "the server listens", func() bool { return strings.Contains(log.String(), "msg=listening") })
		found := regexp.MustCompile(`(?:both|public|private)=(127\.0\.0\.1:\d+)`).FindAllStringSubmatch(log.String(), -1)
		require.Len(t, found, len(health), log.String())
		for i, want := range health {
			resp, err := http.Get("http://" + found[i][1] + "/healthz")
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, want, resp.StatusCode, found[i][1])
		}
	}
}

func TestNamesAndAgentsMayBeDigits(t *testing.T) {
	wx := new(wechattest.Server)
	for _, id := range []string{"wx0123456789abcdef", "wx1111111111111111"} {
		wx.AddApp(id, "a-secret-of-this-test")
	}
	wx.Add(wechattest.App{ID: "ww0123456789abcdef", Secret: "a-secret-of-this-test", Kind: wechattest.Work, AgentID: 7})
	srv := httptest.NewServer(wx)
	t.Cleanup(srv.Close)
	env := []string{"WECHAT=" + srv.URL, "AGENT_ID=7", "SHOP_KEY=" + shopKey, "SHOP_SECRET=a-secret-of-this-test"}
	file := write(t, `
endpoints: {api: "${WECHAT}", work: "${WECHAT}"}
keys:
  - {name: all, key: "${SHOP_KEY}", apps: ["*"], scopes: [token, ticket]}
apps:
  1001: {app_id: wx0123456789abcdef, secret: "${SHOP_SECRET}"}
  007: {app_id: wx1111111111111111, secret: "${SHOP_SECRET}"}
  corp: &corp {app_id: ww0123456789abcdef, secret: "${SHOP_SECRET}", kind: work, agent_id: "${AGENT_ID}"}
  again: {<<: *corp, name: the same}
`)
	p := start(t, env, "-config", file)
	for _, path := range []string{"/app/1001/token", "/app/007/token", "/app/corp/ticket/agent_config", "/app/again/token"} {
		status, body := p.ask(t, path)
		require.Equal(t, http.StatusOK, status, "%s: %s", path, body)
	}
}

func TestNoValueOfAFileThatCannotBeReadIsShown(t *testing.T) {
	for _, line := range []string{
		"secret: *S3cret-0123456789", "secret: &S3cret-0123456789", "secret: !!int S3cret-0123456789", "secret: !!binary S3cret-0123456789",
		"secret: %S3cret-0123456789", "secret: @S3cret-0123456789", `secret: "S3cret\q-0123456789"`, "secret: !S3cret-0123456789",
		"{[S3cret-0123456789]: x}", "{&S3cret-0123456789 a: *S3cret-0123456789}", "{secret:S3cret-0123456789}", "{secret:S3cret-0: x, secret:S3cret-0: y}", "secret: 'S3cret-0123456789",
	} {
		said := refused(t, nil, "-config", write(t, "apps:\n  shop:\n    "+line+"\n"))
		require.NotContains(t, said, "S3cret", line)
	}
}

func TestNoPasswordInAStoresURLIsShown(t *testing.T) {
	for _, url := range []string{"S3cret:6379", "s3cret://127.0.0.1", "S3cret@127.0.0.1:6379", "redis//:S3cret@127.0.0.1:6379", ":S3cret@127.0.0.1:6379"} {
		said := refused(t, nil, "-config", write(t, "keys: []"), "-store", url)
		require.NotContains(t, strings.ToLower(said), "s3cret", url)
		require.Contains(t, said, "redis", "what kinds there are")
	}
}
