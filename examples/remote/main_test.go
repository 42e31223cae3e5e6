package main_test

import (
	"encoding/json"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAVisitorLogsInAndOut(t *testing.T) {
	home := start(t)
	v := newVisitor(t)
	_, body := v.open(home)
	at, body := v.open(v.login(body))
	at, body = v.open(v.consent(at, body, "O'Neil"))
	require.Equal(t, home, "http://"+at.Host+"/")
	require.Contains(t, body, `O&#39;Neil &lt;&#34;the bold&#34;&gt;`)
	require.Contains(t, body, "Not a follower")

	_, body = v.open(home)
	require.Contains(t, body, "O&#39;Neil")
	_, body = v.open(home + "in?login_code=made-up")
	require.Contains(t, body, "log in again")
	_, body = v.open(home + "in?login_error=denied")
	require.Contains(t, body, "您没有同意授权")
	_, body = v.open(home + "in?login_error=expired")
	require.Contains(t, body, "log in again")
	_, body = v.read(v.hc.Post(home+"out", "", nil))
	at, body = v.open(v.login(body))
	_, body = v.open(v.consent(at, body, "小明"))
	require.Contains(t, body, "A follower")
}

func TestThePageIsSignedAsItsScriptWouldHaveIt(t *testing.T) {
	page := start(t) + "?from=example"
	v := newVisitor(t)
	_, body := v.open(page)
	script := v.match(`src="(http[^"]+)/open/js/jweixin-1.6.0.js"`, body)
	public := v.match(`src="(http[^"]+)/js/config.js\?jsApiList=updateAppMessageShareData,scanQRCode"`, body)
	var config struct {
		AppID, NonceStr, Signature string
		Timestamp                  json.Number
	}
	_, answer := v.read(v.hc.Post(public+"/js/config", "text/plain", strings.NewReader(`{"url":"`+page+`"}`)))
	require.NoError(t, json.Unmarshal([]byte(answer), &config), answer)
	verdict := func(page string) (body string) {
		q := url.Values{"call": {"config"}, "url": {page}, "appId": {config.AppID}, "signature": {config.Signature}}
		q.Set("nonceStr", config.NonceStr)
		q.Set("timestamp", config.Timestamp.String())
		_, body = v.open(script + "/open/js/verify?" + q.Encode())
		return body
	}
	require.JSONEq(t, `{"errMsg":"config:ok"}`, verdict(page))
	require.JSONEq(t, `{"errMsg":"config:invalid signature"}`, verdict(page+"&x=1"))
}

func TestAServerElsewhereNeedsAKey(t *testing.T) {
	exe, err := build()
	require.NoError(t, err, exe)
	cmd := exec.Command(exe, "-addr", "127.0.0.1:0", "-public", "http://127.0.0.1:1/app/demo", "-private", "http://127.0.0.1:1/app/demo")
	cmd.Env = append(cmd.Environ(), "WETOKEN_KEY=")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "-public needs -private and a key")
}
