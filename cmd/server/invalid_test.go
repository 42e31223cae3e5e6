package main_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestAnInvalidConfigurationIsOneLineAndExitCode2(t *testing.T) {
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
		"bad address":        {config: good, args: []string{"-private", "nowhere"}, says: `-private (or WETOKEN_PRIVATE): invalid address "nowhere": want one to listen on such as 127.0.0.1:8080 or :8080`},
		"empty address":      {config: good, args: []string{"-private", ""}, says: `-private (or WETOKEN_PRIVATE): invalid address`},
		"address of no port": {config: good, args: []string{"-public", "127.0.0.1:"}, says: `-public (or WETOKEN_PUBLIC): invalid address`},
		"port too high":      {config: good, args: []string{"-public", ":65536"}, says: `-public (or WETOKEN_PUBLIC): invalid address`},
		"demo and file":      {config: good, args: []string{"-demo"}, says: "choose one"},
		"demo, file in env":  {args: []string{"-demo"}, env: []string{"WETOKEN_CONFIG=/etc/wetoken.yaml"}, says: "choose one"},
		"address taken":      {config: good, args: []string{"-private", taken.Addr().String()}, says: "-private: cannot listen on " + taken.Addr().String()},
		"odd store":          {config: good, args: []string{"-store", "mongodb://127.0.0.1"}, says: "mongodb"},
		"empty store":        {config: good, args: []string{"-store", ""}, says: "-store (or WETOKEN_STORE): is empty"},
		"empty store in env": {config: good, env: []string{"WETOKEN_STORE="}, says: "-store (or WETOKEN_STORE): is empty"},
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
	wx.AddFault(wechattest.Fault{Code: 40164})
	p := serveConfig(t, wx)
	answered := func() int {
		resp, err := p.token(t.Context())
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, http.StatusBadGateway, answered())
	wx.ClearFaults() // in WeChat's console
	require.Equal(t, http.StatusBadGateway, answered(), "the refusal is remembered")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
	waitUntil(t, 10*time.Second, "WeChat was asked again", func() bool {
		return strings.Contains(p.log.String(), `msg="asked WeChat again" apps=1 failed=0`)
	})
	require.Equal(t, http.StatusOK, answered())
	require.Equal(t, 2, wx.Calls("/cgi-bin/stable_token"))
}
