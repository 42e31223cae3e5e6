package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
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
	found(t, "WETOKEN_TEST_CURL", "curl")
	p := start(t, nil, "-demo")
	var lines []string
	for len(lines) < 2 {
		line, err := p.stdout.ReadString('\n')
		require.NoError(t, err)
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") {
			lines = append(lines, line)
		}
	}
	var tokens []string
	for _, line := range lines {
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
	require.Contains(t, p.log.String(), `level=DEBUG msg="let in" caller=shop-backend app=shop scope=token`)
	for _, hidden := range []string{shopKey, "a-secret-of-this-test", wx.Tokens("wx0123456789abcdef")[0].Value} {
		require.NotContains(t, p.log.String(), hidden)
	}
}

func TestSIGTERMLetsRequestsUnderWayFinish(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "a-secret-of-this-test")
	wx.Fail(wechattest.Fault{Delay: time.Second})
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

func TestAnEmptyAddressInTheEnvironmentIsNamed(t *testing.T) {
	line := refused(t, []string{"WETOKEN_PRIVATE="}, "-demo")
	require.Equal(t, `server: -private (or WETOKEN_PRIVATE): want an address to listen on such as 127.0.0.1:8080 or :8080, not ""`, line)
	_, stderr, code := execute(t, []string{"WETOKEN_PRIVATE="}, "migrate", "-store", "memory:")
	require.Zero(t, code, "a command has no address: %s", stderr)
}

func TestOneAddressIsBothSidesAndPort0IsNot(t *testing.T) {
	both := freeAddress(t)
	for address, health := range map[string][]int{both: {200}, "127.0.0.1:0": {404, 200}} { // of the public side, and the private one
		cmd := exec.Command(program("server"), "-demo", "-public", address, "-private", address)
		log := new(journal)
		cmd.Stderr = log
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		until(t, 10*time.Second, "the server listens", func() bool { return strings.Contains(log.String(), "msg=listening") })
		found := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(log.String(), -1)
		require.Len(t, found, len(health), log.String())
		for i, want := range health {
			resp, err := http.Get("http://" + found[i] + "/healthz")
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, want, resp.StatusCode, found[i])
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

func TestWhatCannotBeServedIsOneLineAndExitCode2(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	good := strings.ReplaceAll(config, "${WECHAT}", "https://api.example.com")
	env := []string{"SHOP_KEY=" + shopKey, "SHOP_SECRET=a-secret-of-this-test"}
	for name, c := range map[string]struct {
		config string
		args   []string
		env    []string
		says   string
	}{
		"nothing said":       {says: "-config"},
		"empty file":         {config: "# nothing\n", says: "keys: "},
		"no such file":       {args: []string{"-config", "/nonexistent.yaml"}, says: "/nonexistent.yaml"},
		"no YAML":            {config: "apps: [", says: "wetoken.yaml"},
		"unknown key":        {config: good + "    secrte: x\n", says: `unknown key "secrte"`},
		"no keys":            {config: "apps: {}", says: "keys:"},
		"missing secret":     {config: strings.ReplaceAll(good, "secret: ${SHOP_SECRET}", "name2: x"), says: "name2"},
		"empty secret":       {config: good, env: []string{"SHOP_SECRET="}, says: "apps.shop.secret: is empty"},
		"unset variable":     {config: strings.ReplaceAll(good, "SHOP_SECRET", "NOT_SET_ANYWHERE"), says: "${NOT_SET_ANYWHERE}"},
		"bad endpoint":       {config: strings.ReplaceAll(good, "https://api", "api"), says: "endpoints.api"},
		"bad address":        {config: good, args: []string{"-private", "nowhere"}, says: `-private (or WETOKEN_PRIVATE): want an address to listen on such as 127.0.0.1:8080 or :8080, not "nowhere"`},
		"empty address":      {config: good, args: []string{"-private", ""}, says: `-private (or WETOKEN_PRIVATE): want an address`},
		"address of no port": {config: good, args: []string{"-public", "127.0.0.1:"}, says: `-public (or WETOKEN_PUBLIC): want an address`},
		"port too high":      {config: good, args: []string{"-public", ":65536"}, says: `-public (or WETOKEN_PUBLIC): want an address`},
		"demo and file":      {config: good, args: []string{"-demo"}, says: "choose one"},
		"demo, file in env":  {args: []string{"-demo"}, env: []string{"WETOKEN_CONFIG=/etc/wetoken.yaml"}, says: "choose one"},
		"address taken":      {config: good, args: []string{"-private", taken.Addr().String()}, says: "-private: cannot listen on " + taken.Addr().String()},
		"odd store":          {config: good, args: []string{"-store", "mongodb://127.0.0.1"}, says: "mongodb"},
		"odd flag":           {args: []string{"-cnofig"}, says: "-cnofig"},
		"odd level":          {config: good, args: []string{"-log-level", "loud"}, says: "log-level"},
		"odd level in env":   {config: good, env: []string{"WETOKEN_LOG_LEVEL=loud"}, says: "WETOKEN_LOG_LEVEL"},
		"a word too many":    {config: good, args: []string{"serve"}, says: `"serve"`},
		"text of digits":     {config: strings.ReplaceAll(good, "${SHOP_SECRET}", "0123"), says: "secret"},
		"two of one key":     {config: good + "keys: []\n", says: "keys"},
		"agent of letters":   {config: good + "    agent_id: ${SHOP_KEY}\n", says: "apps.shop.agent_id: want a number, not text"},
		"empty agent":        {config: good + "    agent_id: ${NONE}\n", env: []string{"NONE="}, says: "apps.shop.agent_id: want a number, not text"},
		"two documents":      {config: good + "---\nkeys: []\n", says: "wetoken.yaml"},
		"an app_id too few":  {config: strings.ReplaceAll(good, "app_id: wx0123456789abcdef", "kind: mini"), says: "apps.shop.app_id"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"-public", "127.0.0.1:0", "-private", "127.0.0.1:0"}
			if c.config != "" {
				args = append(args, "-config", write(t, c.config))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, program("server"), append(args, c.args...)...)
			cmd.Env = append(append(os.Environ(), env...), c.env...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, 2, exit.ExitCode(), stderr.String())
			line := strings.TrimRight(stderr.String(), "\n")
			t.Log(line)
			require.Contains(t, line, c.says)
			require.NotContains(t, line, "\n")
			require.NotContains(t, line, "a-secret-of-this-test")
		})
	}
}

func TestSIGHUPAsksWeChatAgain(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "a-secret-of-this-test")
	wx.Fail(wechattest.Fault{Code: 40164})
	p := serveConfig(t, wx)
	answered := func() int {
		resp, err := p.token(t.Context())
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, http.StatusBadGateway, answered())
	wx.Heal() // in WeChat's console
	require.Equal(t, http.StatusBadGateway, answered(), "the refusal is remembered")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
	until(t, 10*time.Second, "WeChat was asked again", func() bool {
		return strings.Contains(p.log.String(), `msg="asked WeChat again" apps=1 failed=0`)
	})
	require.Equal(t, http.StatusOK, answered())
	require.Equal(t, 2, wx.Calls("/cgi-bin/stable_token"))
}
